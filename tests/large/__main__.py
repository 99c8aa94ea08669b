"""Operators on more than 2^31 elements, where indexes of 32 bits would overflow.

    python -m tests.large                 all calls, one after another: each takes up to 10 GB and a minute
    python -m tests.large pooling relu    those with one of these words in their names

Each runs in a process of its own and is told with its time and its largest memory. The exit code is 1 if one failed.
The calls that need little memory are run by the tests as well.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.large.calls import LONG, SHORT, peak

ALONE = "--alone"


def main(words: list[str]) -> int:
    if words[:1] == [ALONE]:
        (SHORT | LONG)[words[1]]()
        print(f"{peak() / 2**30:.2f}")
        return 0
    failed = 0
    for name in SHORT | LONG:
        if words and not any(word in name for word in words):
            continue
        start = time.perf_counter()
        found = subprocess.run([sys.executable, "-m", "tests.large", ALONE, name], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if found.returncode:
            failed += 1
            last = (found.stderr.strip().splitlines() or [f"exit code {found.returncode}"])[-1]
            print(f"{name:<34} FAILED after {seconds:.1f} s: {last}", flush=True)
        else:
            print(f"{name:<34} right {seconds:8.1f} s {found.stdout.strip():>8} GB", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
