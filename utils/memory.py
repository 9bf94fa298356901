"""How much memory this process may still take, in a container, too."""

from pathlib import Path

import psutil

GROUP = Path("/sys/fs/cgroup")  # of a container on Linux


def free_memory() -> int:
    """Bytes that this process may still take: what the machine has, and what its container may.

    Files that the kernel keeps in memory count as free, because it gives them up.
    """
    free = psutil.virtual_memory().available
    try:
        limit = int((GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((GROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or no limit: "max"
        return free
    return max(0, min(free, limit - used + _files()))


def _files() -> int:
    """Bytes of files that the kernel keeps for a container; 0 where it does not tell."""
    try:
        lines = (GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        return int(dict(line.split() for line in lines)["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0
