"""Random cases of every operator, forward and backward, against loops in double precision that share no code with it.

    python -m tests.differential --cases 20000                 on each instruction level
    python -m tests.differential --cases 2000 --level plain    on one
    python -m tests.differential --case 7:1234                 a case again, by seed and number

Sizes are small and odd: 0 and 1, 1 to 65 channels, any stride, pad, dilation and group, any memory order, single and
double precision. A result may be off by what rounding can add, which follows from the number and size of the terms
(bounded.py). NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma lets a newer processor compile as an older one.
The exit code is 1 if a case is off.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from pyconvnet.backends.cpu.hardware import LEVELS
from tests.differential import formulas, losses, windows
from tests.differential.cases import Case, Draw, fault

OPERATORS: tuple[Callable[[Draw], Case], ...] = (
    *(windows.conv, windows.conv, windows.conv, windows.convt, windows.pool, windows.pool, windows.subsample),
    *(windows.crop, windows.roipool, windows.bilinear, formulas.relu, formulas.sigmoid, formulas.softmax),
    *(formulas.lrn, formulas.spnorm, formulas.noffset, formulas.normalizelp, formulas.bnorm, losses.loss),
    *(losses.loss, losses.pdist, formulas.dropout, formulas.concat, formulas.add, formulas.scale),
    formulas.affine_grid,
)


def make(seed: int, number: int) -> tuple[str, Case]:
    """(operator, case) of that number."""
    draw = Draw(seed, number)
    operator = OPERATORS[number % len(OPERATORS)]
    return operator.__name__, operator(draw)


def run(seed: int, numbers: range) -> bool:
    """Whether all cases are right; prints those that are off, and the largest error of each operator."""
    began, count, off, worst = time.perf_counter(), Counter(), 0, defaultdict(float)
    for number in numbers:
        name, case = make(seed, number)
        wrong, share = fault(case)
        count[name] += 1
        worst[name] = max(worst[name], share)
        if wrong:
            off += 1
            print(f"{seed}:{number} {case.text}\n    {wrong}", flush=True)
    shares = ", ".join(f"{name} {n} ({worst[name]:.2f})" for name, n in sorted(count.items()))
    level = os.environ.get("PYCONVNET_CPU", "the best level")
    print(f"{level}: {len(numbers)} cases, {off} off, {time.perf_counter() - began:.0f} s; of each operator (largest")
    print(f"error as a share of its bound): {shares}", flush=True)
    return not off


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", choices=LEVELS)
    parser.add_argument("--case", metavar="SEED:NUMBER", help="one case again, on this level or the best")
    args = parser.parse_args(argv)
    if args.case:
        seed, number = map(int, args.case.split(":"))
        print(make(seed, number)[1].text)
        return 0 if run(seed, range(number, number + 1)) else 1
    if args.level:
        os.environ["PYCONVNET_CPU"] = args.level
        return 0 if run(args.seed, range(args.cases)) else 1
    failed = 0
    for level in LEVELS:
        command = [sys.executable, "-m", "tests.differential", "--level", level]
        settings = {**os.environ, "PYCONVNET_CPU": level, "PYCONVNET_QUIET": "1"}
        failed |= subprocess.call([*command, "--cases", str(args.cases), "--seed", str(args.seed)], env=settings)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
