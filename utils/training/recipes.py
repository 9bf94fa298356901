"""Training configurations, *recipes* for short. Light to import, so that `--help` is instant.

On one machine, and with the same versions, equal recipes and equal data give equal weights, bit for
bit. So whatever decides the weights stands in a recipe, and nothing else does.
"""

from dataclasses import dataclass

from utils.models.sizes import SIZES, ModelSize

EVALUATIONS = 20  # how often a run validates and writes a checkpoint


@dataclass(frozen=True)
class TrainingRecipe:
    """What every run has.

    Attributes:
        steps: gradient steps; those after the last whole evaluation are left out.
        batch_size: rows in a step.
        learning_rate: the highest one of the schedule.
        seed: the seed of the first weights and of the order of the rows.
        patience: evaluations without a better validation loss after which training stops.
    """

    steps: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    patience: int = 4

    @property
    def steps_per_evaluation(self) -> int:
        """Steps between two evaluations."""
        return max(1, self.steps // EVALUATIONS)


@dataclass(frozen=True)
class Recipe(TrainingRecipe):
    """The configuration of a pretraining.

    Attributes:
        learning_rate: the highest one, Muon's; AdamW's is half of it.
        vocabulary_size: the number of tokens of the tokenizer for a text of one's own.
        size: the size of the model.
        accumulate: parts that a batch is split into. Their gradients are added up before the step,
            so the result is that of the whole batch, and only a part has to fit into the memory.
        dtype: what the model multiplies in: "float32" or "mixed_bfloat16".
    """

    steps: int = 1400
    batch_size: int = 16
    learning_rate: float = 0.02
    vocabulary_size: int = 1536
    size: ModelSize = SIZES["small"]
    accumulate: int = 1
    dtype: str = "float32"


@dataclass(frozen=True)
class ChatRecipe(TrainingRecipe):
    """The configuration of a fine-tuning.

    Attributes:
        batch_size: rows in a step, each with a tale or packed with small talk.
        learning_rate: the highest one.
        patience: the evaluations as above; while the questions are plain, the validation loss may
            rise for long.
        optimizer: "muon" or "adamw".
    """

    steps: int = 4200
    batch_size: int = 4
    learning_rate: float = 0.005
    patience: int = 10
    optimizer: str = "muon"


# For somebody's own dialogues, on any GPT-2: AdamW is what nearly all of them were trained with.
OWN_DIALOGUES = ChatRecipe(steps=3600, batch_size=2, learning_rate=0.002, optimizer="adamw")
