"""report: a page about a training."""

from __future__ import annotations

import argparse
from typing import Any

from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command report."""
    parser = command(commands, "report", run, "one HTML page about a training: table, curves, confusion, filters")
    parser.add_argument("folder", metavar="EXPDIR", help="the expDir of cnn_train or cross_validate")
    parser.add_argument("--out", metavar="FILE", help="default: EXPDIR/report.html")


def run(args: argparse.Namespace) -> int:
    """Run report; returns the exit code."""
    from pyconvnet.report import report

    print(report(args.folder, args.out))
    return 0
