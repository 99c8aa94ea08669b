"""What a process holds: memory, descriptors, threads, children, files. Linux says it under /proc."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import time
from collections import Counter
from pathlib import Path
from statistics import median

PAGE = os.sysconf("SC_PAGE_SIZE")
LEAST_SAMPLES = 8
LIBC = ctypes.CDLL(None)


def memory(pid: int | str = "self") -> int:
    """Bytes in main memory (RSS); 0 once the process is gone.

    Of this process without what malloc keeps of freed memory: pages between the arrays of four threads come and go by
    some percent, which would hide a leak of one.
    """
    if pid == "self" and hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def growth(samples: list[tuple[float, int]], warm: float) -> float | None:
    """The growth of memory after `warm` seconds: medians of the first and the last third are compared.

    samples  (seconds since the start, bytes)
    None for too few samples, of which nothing can be said.
    """
    after = [size for seconds, size in samples if seconds >= warm and size]
    third = len(after) // 3
    return median(after[-third:]) / median(after[:third]) - 1 if len(after) >= LEAST_SAMPLES else None


class Held:
    """Descriptors, threads, children and files of this process, to compare with those at a later time."""

    def __init__(self, folders: list[Path]) -> None:
        """folders: whose files count"""
        self.folders = folders
        self.before = self._now()

    def left(self, patience: float = 5.0) -> dict[str, list[str]]:
        """What has come since; threads that are about to end are waited for."""
        end = time.monotonic() + patience
        while True:
            gc.collect()
            now = self._now()
            more = {kind: list((held - self.before[kind]).elements()) for kind, held in now.items()}
            more = {kind: sorted(names) for kind, names in more.items() if names}
            if not more or time.monotonic() > end:
                return more
            time.sleep(0.1)

    def _now(self) -> dict[str, Counter]:
        return {
            "descriptors": Counter(filter(None, map(_target, Path("/proc/self/fd").iterdir()))),
            "threads": Counter({"thread": len(os.listdir("/proc/self/task"))}),
            "children": Counter({"child": len(multiprocessing.active_children())}),
            "files": Counter(str(p) for folder in self.folders for p in folder.rglob("*") if p.is_file()),
        }


def _target(link: Path) -> str:
    """What a descriptor stands for, without the number of a pipe or socket; "" for the one that lists them."""
    try:
        found = os.readlink(link)
    except OSError:
        return ""
    return found.partition(":[")[0]
