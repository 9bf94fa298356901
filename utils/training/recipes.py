"""The settings of a pretraining: light to import, so that `--help` can show them at once."""

from dataclasses import dataclass

REPORTS = 20  # how often a run validates and writes a checkpoint


@dataclass(frozen=True)
class Recipe:
    """The settings of a run. On one machine equal recipes give equal weights, bit for bit.

    Attributes:
        steps: gradient steps.
        batch_size: windows in a step.
        learning_rate: the highest one, Muon's; AdamW's is half of it.
        seed: of the first weights and of the order of the windows.
        vocabulary_size: of the tokenizer for a text of one's own.
        patience: reports without a better validation loss after which it stops.
    """

    steps: int = 1400
    batch_size: int = 16
    learning_rate: float = 0.02
    seed: int = 0
    vocabulary_size: int = 1536
    patience: int = 4

    @property
    def steps_per_report(self) -> int:
        """Steps between two reports."""
        return max(1, self.steps // REPORTS)


@dataclass(frozen=True)
class ChatRecipe:
    """The settings of a fine-tuning.

    Attributes:
        steps: gradient steps.
        batch_size: rows in a step, each with a tale or packed with small talk.
        learning_rate: the highest one, of AdamW: a tenth of pretraining's.
        seed: of the order of the rows.
        patience: reports without a better validation loss after which it stops.
    """

    steps: int = 3600
    batch_size: int = 2
    learning_rate: float = 0.002
    seed: int = 0
    patience: int = 4

    @property
    def steps_per_report(self) -> int:
        """Steps between two reports."""
        return max(1, self.steps // REPORTS)
