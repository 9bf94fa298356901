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
        lines = (GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        files = int(dict(line.split() for line in lines)["inactive_file"])
    except (OSError, ValueError, KeyError):  # no container, or no limit: "max"
        return free
    return max(0, min(free, limit - used + files))
