"""Teach a model your own preferences, with DPO.

    python -m utils.preferences --pairs my.jsonl                    # the chat model of the course
    python -m utils.preferences --pairs my.jsonl --base FOLDER      # another GPT-2

each line of the file is {"prompt": …, "chosen": …, "rejected": …}. To a model that knows the roles
of a chat the prompt is a message of the user, to another one the beginning of a text; it may be
empty there. One pair in ten is held out. A training can be stopped at any time; the same command
goes on with it.
"""

import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from utils.command_line import (
    OneSentenceParser,
    file,
    positive_number,
    preset_folder,
    run,
    whole_number,
)
from utils.preferences.pair_file import Pair, PairsError, read_pairs
from utils.quiet import import_tensorflow

if TYPE_CHECKING:  # Keras takes seconds to import, which --help need not wait for
    from utils.preferences.dpo import DpoRecipe
    from utils.preferences.pairs import PairRows

PASSES, FEWEST_STEPS, MOST_STEPS = 5, 20, 1000
SHOWN = 3  # held-out prompts that the model replies to before and after


def main(words: list[str] | None = None) -> None:
    """Train on a file of pairs, and compare on those held out.

    Raises:
        CourseError: if the file or the base cannot be used; then nothing is trained.
    """
    args = parse(words)
    pairs = read_pairs(Path(args.pairs))  # first: a mistake in it is told at once
    import_tensorflow()

    from utils.preferences.dpo import DpoRecipe, log_probs_of, pair_network, train_on_pairs
    from utils.preferences.pairs import split
    from utils.small_chat import chat_run
    from utils.training.presets import load_preset

    base = Path(args.base or chat_run().preset)
    kept, rows = encode(pairs, base)
    train, held_out = split(len(kept))
    different = len(set(pairs))
    left_out, duplicates = different - len(kept), len(pairs) - different
    print(
        f"{Path(args.pairs).name}: {len(train)} pairs to learn from, {len(held_out)} held out;"
        f" {left_out} are longer than the context and were left out"
        + (f"; {duplicates} duplicates were left out" if duplicates else "")
    )
    recipe = recipe_from(args, DpoRecipe(), len(train))
    trained = train_on_pairs(rows, Path(args.pairs).stem, base, recipe)
    print(f"{len(held_out)} pairs held out: the chosen text is the likelier one in")
    margins = []
    for name, preset in [("before", base), ("after", Path(trained.preset))]:
        log_probs = log_probs_of(pair_network(load_preset(preset), rows), rows.part(held_out))
        margins.append(log_probs[:, 0] - log_probs[:, 1])
        print(f"{name:7}{(margins[-1] > 0).mean():8.1%}")
    gained = (margins[1] > margins[0]).mean()
    print(f"It has become likelier, beside the rejected one, in {gained:.1%}.")
    print(advice(*margins), end="")
    show([kept[i] for i in held_out[:SHOWN]], base, Path(trained.preset))
    print(f"The model is in {trained.folder}. Chat: ", end="")
    print(f"python -m utils.serving --preset {shlex.quote(str(trained.preset))}")


def advice(before: np.ndarray, after: np.ndarray) -> str:
    """A line that says what to do if the rejected texts are still the likelier ones, or nothing.

    Args:
        before: log p of the chosen text minus log p of the rejected one by the base, in nats, for
            each pair that was held out.
        after: the same by the trained model.
    """
    if (after > 0).mean() >= 0.5:
        return ""
    if (after > before).mean() <= 0.5:
        return (
            "So it has not learnt what you prefer: give more pairs, or a higher --learning-rate.\n"
        )
    return (
        "So the rejected texts are still the likelier ones. DPO shifts what a model writes already:"
        " fine-tune it on the chosen texts first (python -m utils.small_chat --dialogues FILE),"
        " and give that model as --base.\n"
    )


def parse(words: list[str] | None) -> Namespace:
    """The command line; a mistake prints one sentence and exits with code 2."""
    parser = OneSentenceParser(
        prog="python -m utils.preferences",
        description="Teach a model your own preferences, with DPO.",
    )
    add = parser.add_argument
    pairs = 'the pairs, each line {"prompt": …, "chosen": …, "rejected": …}'
    add("--pairs", type=file("JSON Lines file"), required=True, metavar="FILE", help=pairs)
    chat = "preset or run of the model to start from (default: the course's chat model)"
    add("--base", type=preset_folder(), metavar="FOLDER", help=chat)
    number = whole_number(1, 1_000_000)
    add("--steps", type=number, metavar="VALUE", help="gradient steps (default: five passes)")
    add("--batch-size", type=number, metavar="VALUE", help="pairs in a step")
    add("--learning-rate", type=positive_number(), metavar="VALUE", help="the highest one")
    beta = "how much a nat of log ratio is worth; the lower, the further from the base"
    add("--beta", type=positive_number(), metavar="VALUE", help=beta)
    add("--seed", type=whole_number(0, 2**32 - 1), metavar="VALUE", help="of the order of pairs")
    return parser.parse_args(words)


def recipe_from(args: Namespace, usual: "DpoRecipe", pairs: int) -> "DpoRecipe":
    """The training configuration that the flags ask for; where they say nothing, the usual."""
    names = ("batch_size", "learning_rate", "beta", "seed", "steps")
    asked = {name: getattr(args, name) for name in names}
    recipe = replace(usual, **{name: value for name, value in asked.items() if value is not None})
    if args.steps is None:
        steps = -(-PASSES * pairs // recipe.batch_size)
        recipe = replace(recipe, steps=min(MOST_STEPS, max(FEWEST_STEPS, steps)))
    return recipe


def encode(pairs: Sequence[Pair], base: Path) -> tuple[list[Pair], "PairRows"]:
    """The pairs that fit into the context of a model, each once, and their ids.

    Raises:
        PairsError: if none fits, or for an empty prompt where the model is to reply to it.
    """
    from utils.data.chat_template import ChatTokenizer, Template
    from utils.data.keras_tokenizers import from_keras
    from utils.preferences.pairs import as_rows, chat_ids, text_ids
    from utils.training.presets import load_preset

    model = load_preset(base)
    tokenizer, longest = (
        from_keras(model.preprocessor.tokenizer),
        model.backbone.max_sequence_length,
    )
    template = None
    if isinstance(model.preprocessor.tokenizer, ChatTokenizer):
        template = Template(tokenizer)
    found = {}  # a pair that is there twice must not be learnt and held out
    for number, pair in enumerate(pairs, 1):
        if template and not pair.prompt.strip():
            raise PairsError(f"Pair {number} has an empty prompt, and a chat model replies to one.")
        texts = (pair.chosen, pair.rejected)
        if template:
            ids = [chat_ids(pair.prompt, text, template) for text in texts]
        else:
            ids = [text_ids(pair.prompt, text, tokenizer) for text in texts]
        if all(len(start) + len(rest) <= longest + 1 for start, rest in ids):
            found[pair] = (ids[0], ids[1])
    if not found:
        raise PairsError(f"No pair fits into the context of {longest} tokens: shorten the texts.")
    return list(found), as_rows(list(found.values()), tokenizer.end_id)


def show(pairs: Sequence[Pair], *presets: Path) -> None:
    """Print what the models say to some prompts, likeliest token by token."""
    from utils.data.chat_template import ChatTokenizer, Template
    from utils.data.dialogues import Message
    from utils.data.keras_tokenizers import from_keras
    from utils.generation.generator import Generator
    from utils.preferences.pairs import text_ids
    from utils.training.presets import load_preset

    told = []
    for preset in presets:
        model = load_preset(preset)
        tokenizer = from_keras(model.preprocessor.tokenizer)
        template = Template(tokenizer)
        if isinstance(model.preprocessor.tokenizer, ChatTokenizer):
            prompts = [template.prompt([Message("user", pair.prompt)]) for pair in pairs]
        else:
            prompts = [text_ids(pair.prompt, "", tokenizer)[0] for pair in pairs]
        rows = Generator(model, tokenizer.end_id)(prompts, top_k=1)
        told.append([template.reply(r[len(p) :]) for r, p in zip(rows, prompts, strict=True)])
    for pair, before, after in zip(pairs, *told, strict=True):
        print(f"\n> {pair.prompt}\n  before: {before}\n  after:  {after}")


if __name__ == "__main__":
    run(main)
