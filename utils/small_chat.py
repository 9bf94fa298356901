"""The course's own chat model: fine-tune it, or take the one that was fine-tuned.

    python -m utils.small_chat                       # in English, in some minutes
    python -m utils.small_chat --language zh         # in Chinese

examines it on tales that it has never seen, and the model before fine-tuning too. On dialogues of
your own, from the small GPT-2 or from a model of yours:

    python -m utils.small_chat --dialogues my.jsonl
    python -m utils.small_chat --dialogues my.jsonl --base FOLDER

each line of the file is {"messages": [{"role": "user", "content": …}, …]}. With LoRA, a small
adapter for the chat model learns them, and the model itself stays as it is:

    python -m utils.small_chat --dialogues my.jsonl --lora 8
"""

import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from utils.command_line import run
from utils.errors import CourseError
from utils.training.recipes import OWN_DIALOGUES, ChatRecipe

if TYPE_CHECKING:  # Keras takes seconds to import, which --help need not wait for
    from utils.data.dialogues import Message
    from utils.evaluation.examination import Question
    from utils.training.runs import Run

CORPORA = {"en": "tales", "zh": "tales-zh"}
QUESTIONS = 500
BATCH_TOKENS = 25_600  # positions of all texts that are generated at a time


def chat_run(language: str = "en") -> "Run":
    """The fine-tuned chat model; if it is not there yet, it is trained first.

    Raises:
        CourseError: if training fails.
    """
    from utils.small_gpt2 import pretrained, train_by
    from utils.training.finetuning import finetune, identity_of
    from utils.training.runs import is_finished

    base = pretrained(CORPORA[language])
    if not is_finished(identity_of(base, language, ChatRecipe()).folder):
        print("The chat model is not trained yet.", file=sys.stderr)
        train_by("utils.small_chat", "--language", language)
    return finetune(base, language, ChatRecipe(), quiet=True)


class Assistant:
    """A chat model, ready to answer.

    Args:
        run: the run of a fine-tuning; its model knows the tokens of the roles.
    """

    def __init__(self, run: "Run"):
        from utils.data.chat_template import Template
        from utils.data.keras_tokenizers import from_keras
        from utils.generation.generator import Generator
        from utils.training.presets import load_preset

        self.model = load_preset(run.preset)
        self.template = Template(from_keras(self.model.preprocessor.tokenizer))
        self.generator = Generator(self.model, self.template.end_id)

    def replies(self, chats: Sequence[Sequence["Message"]], **sampling) -> list[str]:
        """A reply to each chat; without settings the likeliest one.

        All chats share one shape, so that nothing is compiled twice.
        """
        sampling = sampling or {"top_k": 1}
        prompts = [self.template.prompt(messages) for messages in chats]
        return answers(self.generator, prompts, self.template.reply, **sampling)

    def stream(self, messages: Sequence["Message"], **sampling) -> Iterator[str]:
        """A reply, piece by piece. Where the context is too short, the oldest turns are forgotten.

        Raises:
            ChatError: if the last message leaves no room for a reply.
        """
        from utils.data.chat_template import recent_messages
        from utils.data.decoding import as_text

        context = self.generator.context
        recent = recent_messages(messages, context, self.template.fits)
        ids = self.generator.stream(self.template.prompt(recent, longest=context - 1), **sampling)
        text = takewhile(lambda i: i < self.template.end_id, ids)
        yield from as_text(text, self.template.tokenizer)


def answers(generator, prompts: Sequence[Sequence[int]], reply, **sampling) -> list[str]:
    """What a model writes after each prompt, made text by `reply`; in batches of one shape."""
    texts: list[str] = []
    size = max(1, BATCH_TOKENS // generator.context)
    for start in range(0, len(prompts), size):
        batch = list(prompts[start : start + size])
        filled = batch + batch[:1] * (size - len(batch))
        rows = generator(filled, **sampling)[: len(batch)]
        texts += [reply(row[len(prompt) :]) for row, prompt in zip(rows, batch, strict=True)]
    return texts


# ---- the examination -----------------------------------------------------------------------------


def held_out_questions(language: str = "en", number: int = QUESTIONS) -> "list[Question]":
    """The first questions about the tales of the test split; no training has seen these tales."""
    from utils.data.dialogues import about_tales
    from utils.evaluation.examination import Question

    dialogues = about_tales(language, "test", number)  # more than enough
    questions = (Question(*turn) for dialogue in dialogues for turn in dialogue.replies())
    return list(islice(questions, number))


def base_answers(run: "Run", language: str, questions: "Sequence[Question]") -> list[str]:
    """What the model before fine-tuning writes after tale and question: up to a full stop.

    It knows no roles: the messages are put one behind the other, as a text.
    """
    from utils.data.bpe import Tokenizer
    from utils.data.keras_tokenizers import folder
    from utils.generation.generator import Generator
    from utils.training.presets import load_preset

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

    model = load_preset(run.preset)
    return answers(Generator(model, end_id), prompts, reply, top_k=1)


def examine(told: dict[str, list[str]], right: Sequence[str], language: str) -> None:
    """Print exact match and F1 of some replies by the name of who gave them.

    Args:
        told: the replies of each model, in the order of `right`.
        right: the right replies.
        language: how words are told apart: "en" or "zh".
    """
    from utils.evaluation.scores import exact_match, token_f1

    for name, replies in told.items():
        pairs = [(reply, answer, language) for reply, answer in zip(replies, right, strict=True)]
        exact = sum(exact_match(*pair) for pair in pairs) / len(pairs)
        f1 = sum(token_f1(*pair) for pair in pairs) / len(pairs)
        print(f"{name:6} fine-tuning {exact:31.1%}   {f1:.3f}")


# ---- the command ---------------------------------------------------------------------------------


def main() -> None:
    """Fine-tune, then examine."""
    from utils.course.settings import settings

    args = settings(
        language="en",
        dialogues=None,
        base=None,
        lora=None,
        steps=None,
        batch_size=None,
        learning_rate=None,
        seed=ChatRecipe.seed,
    )
    if args.lora and not args.dialogues:
        raise CourseError("--lora adapts the chat model to your dialogues: give --dialogues FILE.")
    if args.base and not args.dialogues:
        raise CourseError("--base is the model that learns your dialogues: give --dialogues FILE.")
    if args.dialogues:
        chat_on_own_dialogues(args)
    else:
        chat_on_tales(args)


def recipe_from(args: Namespace, usual: ChatRecipe) -> ChatRecipe:
    """The training configuration that the settings ask for; where they say nothing, the usual."""
    names = ("steps", "batch_size", "learning_rate", "seed")
    asked = {name: getattr(args, name) for name in names}
    return replace(usual, **{name: value for name, value in asked.items() if value is not None})


def chat_on_tales(args: Namespace) -> None:
    """Fine-tune on the course's dialogues, and ask about tales that no training has seen."""
    from utils.evaluation.examination import examination, shares
    from utils.small_gpt2 import pretrained
    from utils.training.finetuning import finetune

    base = pretrained(CORPORA[args.language])
    run = finetune(base, args.language, recipe_from(args, ChatRecipe()))
    questions = held_out_questions(args.language)
    assistant = Assistant(run)
    told = {
        "before": base_answers(base, args.language, questions),
        "after": assistant.replies([q.messages for q in questions]),
    }
    print(f"{len(questions)} questions about tales never seen   exact match   F1")
    examine(told, [question.answer for question in questions], args.language)
    print("\nThe examination            questions    right   refused")
    for name, part in examination(args.language).items():
        replies = assistant.replies([question.messages for question in part])
        right, refused = shares(replies, part, args.language)
        print(f"{name:27}{len(part):9}{right:9.1%}{refused:10.1%}")
    print(f"The model is in {run.folder}.")


def chat_on_own_dialogues(args: Namespace) -> None:
    """Fine-tune on a file of dialogues, and compare with the replies in those held out.

    Raises:
        CourseError: if the file or the base cannot be used; then nothing is trained.
    """
    from utils.data.dialogues import read_jsonl

    path = Path(args.dialogues)
    dialogues = read_jsonl(path)  # first: a mistake in it is told at once
    for number, dialogue in enumerate(dialogues, 1):
        if any("\ud800" <= c <= "\udfff" for m in dialogue.messages for c in m.content):
            raise CourseError(
                f"{path}: dialogue {number} has half of a character: an emoji may have been cut."
            )
    different = list(dict.fromkeys(dialogues))  # what is held out must not be learnt as well
    duplicates = len(dialogues) - len(different)

    from utils.data.chat_template import Template
    from utils.data.dialogue_rows import fit_context
    from utils.data.keras_tokenizers import from_keras
    from utils.small_gpt2 import pretrained
    from utils.training.adapters import AdapterRecipe, adapter_file, train_adapter
    from utils.training.finetuning import finetune_on, split, steps_for
    from utils.training.presets import load_preset

    if args.base:
        base = Path(args.base)
    elif args.lora:
        base = Path(chat_run(args.language).preset)
    else:
        base = Path(pretrained(CORPORA[args.language]).preset)
    model = load_preset(base)
    context = model.backbone.max_sequence_length
    template = Template(from_keras(model.preprocessor.tokenizer))
    fitted = fit_context(different, template, context)
    if not fitted.dialogues:
        raise CourseError(
            f"The last turn of every dialogue in {path} is longer than the context of {context}"
            " tokens: shorten them, or take a --base with a larger context."
        )
    train, held_out = split(fitted.dialogues)
    print(
        f"{path.name}: {len(train)} dialogues to learn from, {len(held_out)} held out;"
        f" {fitted.shortened} were longer than the context of {context} tokens and lost their"
        f" oldest turns, {fitted.left_out} were left out, as nothing to be learnt fits"
        + (f"; {duplicates} duplicates were left out" if duplicates else "")
    )
    recipe = recipe_from(args, AdapterRecipe(rank=args.lora) if args.lora else OWN_DIALOGUES)
    if args.steps is None:
        recipe = replace(recipe, steps=steps_for(train, template, context, recipe.batch_size))
    if isinstance(recipe, AdapterRecipe):
        run = train_adapter(fitted.dialogues, path.stem, base, recipe)
    else:
        run = finetune_on(fitted.dialogues, path.stem, base, recipe)
    turns = [turn for dialogue in held_out for turn in dialogue.replies()][:QUESTIONS]
    replies = Assistant(run).replies([messages for messages, _, _ in turns])
    print(f"{len(turns)} replies in dialogues held out   exact match   F1")
    examine({"after": replies}, [answer for _, answer, _ in turns], args.language)
    preset = shlex.quote(str(run.preset))
    print(f"The model is in {run.folder}. Chat: python -m utils.serving --preset {preset}")
    if args.lora:
        file = adapter_file(run)
        print(f"The adapter alone has {file.stat().st_size / 1000:,.0f} kB: {file}")
        name = re.sub(r"[^\w.-]+", "-", path.stem)  # as the server takes it
        print(f"Beside others: python -m utils.serving --adapter {shlex.quote(f'{name}={file}')}")


if __name__ == "__main__":
    run(main)
