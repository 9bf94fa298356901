"""What the processes that `benchmarks.nanogpt` starts set for themselves, before TensorFlow."""

import gc
import os
from importlib.metadata import version

INTEL_MAC = version("tensorflow").startswith("2.16.")  # the last for those, with an older XLA


def prepare() -> None:
    """Tell XLA how to compile, and turn the garbage collector off.

    To be called before TensorFlow is imported, and only by a program: whoever merely imports a
    benchmark keeps their process as it is. Why these settings, says `benchmarks.characters`.
    """
    gc.disable()
    flags = "--xla_disable_hlo_passes=tree_reduction_rewriter"
    if not INTEL_MAC:  # it has no such flag
        flags += " --xla_cpu_prefer_vector_width=512"
    os.environ.setdefault("XLA_FLAGS", flags)
