"""The course's own chat model: fine-tune it, or take the one that was fine-tuned.

    python -m utils.small_chat                       # in English, in some minutes
    python -m utils.small_chat --language zh         # in Chinese

asks it 500 questions about tales that it has never seen, and the model before fine-tuning too.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from utils.command_line import run
from utils.training.recipes import ChatRecipe

if TYPE_CHECKING:  # Keras takes seconds to import, which --help need not wait for
    from utils.data.dialogues import Message
    from utils.training.pretraining import Run

CORPORA = {"en": "tales", "zh": "tales-zh"}
QUESTIONS = 500
BATCH = 100  # prompts that are answered at a time


def chat_run(language: str = "en") -> "Run":
    """The fine-tuned chat model; if it is not there yet, it is trained first.

    Raises:
        CourseError: if training fails.
    """
    from utils.small_gpt2 import pretrained, train_by
    from utils.training.finetuning import finetune, run_folder
    from utils.training.pretraining import is_finished

    base = pretrained(CORPORA[language])
    if not is_finished(run_folder(base, language, ChatRecipe())):
        print("The chat model is not trained yet.", file=sys.stderr)
        train_by("utils.small_chat", "--language", language)
    return finetune(base, language, ChatRecipe(), quiet=True)


class Assistant:
    """A chat model, ready to answer.

    Args:
        run: of a fine-tuning.
        language: "en" or "zh".
    """

    def __init__(self, run: "Run", language: str = "en"):
        import keras_nlp

        from utils.data.bpe import Tokenizer
        from utils.data.chat_template import Template
        from utils.data.keras_tokenizers import folder
        from utils.generation.generator import Generator

        self.template = Template(Tokenizer.load(folder(language)))
        self.model = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
        self.generator = Generator(self.model, self.template.end_id)

    def replies(self, chats: Sequence[Sequence["Message"]], **sampling) -> list[str]:
        """A reply to each chat; without settings the likeliest one.

        All chats share one shape, so that nothing is compiled twice.
        """
        sampling = sampling or {"top_k": 1}
        prompts = [self.template.prompt(messages) for messages in chats]
        return answers(self.generator, prompts, self.template.reply, **sampling)

    def stream(self, messages: Sequence["Message"], **sampling) -> Iterator[str]:
        """A reply, piece by piece. The oldest exchanges are forgotten where there is no room.

        Raises:
            ChatError: if the last message is too long.
        """
        from utils.data.decoding import as_text

        context = self.generator.context
        prompt = self.template.prompt(messages, longest=context - ROOM_FOR_REPLY)
        ids = self.generator.stream(prompt, **sampling)
        text = takewhile(lambda i: i < self.template.end_id, ids)
        yield from as_text(text, self.template.tokenizer)


ROOM_FOR_REPLY = 40  # tokens; few replies in the data are longer


def answers(generator, prompts: Sequence[Sequence[int]], reply, **sampling) -> list[str]:
    """What a model writes after each prompt, made text by `reply`; in batches of one shape."""
    texts: list[str] = []
    for start in range(0, len(prompts), BATCH):
        batch = list(prompts[start : start + BATCH])
        filled = batch + batch[:1] * (BATCH - len(batch))
        rows = generator(filled, **sampling)[: len(batch)]
        texts += [reply(row[len(prompt) :]) for row, prompt in zip(rows, batch, strict=True)]
    return texts


# ---- the examination -----------------------------------------------------------------------------


class Question(NamedTuple):
    """A question with the messages before it; `kind` as in `utils.data.dialogues`."""

    messages: tuple["Message", ...]
    answer: str
    kind: str


def held_out_questions(language: str = "en", number: int = QUESTIONS) -> list[Question]:
    """The first questions about the tales of the test split; no training has seen these tales."""
    from utils.data.dialogues import about_tales

    dialogues = about_tales(language, "test", number)  # more than enough
    questions = (Question(*turn) for dialogue in dialogues for turn in dialogue.replies())
    return list(islice(questions, number))


def base_answers(run: "Run", language: str, questions: Sequence[Question]) -> list[str]:
    """What the model before fine-tuning writes after tale and question: up to a full stop.

    It knows no roles: the messages are put one behind the other, as a text.
    """
    import keras_nlp

    from utils.data.bpe import Tokenizer
    from utils.data.keras_tokenizers import folder
    from utils.generation.generator import Generator

    tokenizer = Tokenizer.load(folder(language))
    end_id, stop = tokenizer.end_id, {"en": ".", "zh": "。"}[language]
    space = {"en": " ", "zh": ""}[language]
    prompts = []
    for question in questions:
        text = space.join(message.content for message in question.messages)
        prompts.append([end_id, *tokenizer.encode(text)])

    def reply(ids: list[int]) -> str:
        text = tokenizer.decode(i for i in ids if i != end_id)
        return text.split(stop)[0].strip() + stop

    model = keras_nlp.models.GPT2CausalLM.from_preset(run.preset)
    return answers(Generator(model, end_id), prompts, reply, top_k=1)


def main() -> None:
    """Fine-tune, then examine."""
    from utils.course.settings import settings

    usual = {name: value for name, value in asdict(ChatRecipe()).items() if name != "patience"}
    args = vars(settings(language="en", **usual))
    language = args.pop("language")

    from utils.evaluation.scores import exact_match, token_f1
    from utils.small_gpt2 import pretrained
    from utils.training.finetuning import finetune

    base = pretrained(CORPORA[language])
    run = finetune(base, language, ChatRecipe(**args))
    questions = held_out_questions(language)
    told = {
        "before": base_answers(base, language, questions),
        "after": Assistant(run, language).replies([q.messages for q in questions]),
    }
    print(f"{len(questions)} questions about tales never seen   exact match   F1")
    for name, replies in told.items():
        pairs = [(reply, q.answer, language) for reply, q in zip(replies, questions, strict=True)]
        exact = sum(exact_match(*pair) for pair in pairs) / len(pairs)
        f1 = sum(token_f1(*pair) for pair in pairs) / len(pairs)
        print(f"{name:6} fine-tuning {exact:31.1%}   {f1:.3f}")
    print(f"The model is in {run.folder}.")


if __name__ == "__main__":
    run(main)
