"""warmup: compile all kernels."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command warmup."""
    command(commands, "warmup", run, "compile all kernels now, rather than when they are first used")


def run(args: argparse.Namespace) -> int:
    """Run warmup; returns the exit code."""
    from pyconvnet.backends.cpu.warmup import warmup

    print(f"{warmup(progress=sys.stderr.isatty())} kernels are ready")
    return 0
