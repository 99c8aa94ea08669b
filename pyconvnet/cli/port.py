"""port: .m files as Python."""

from __future__ import annotations

import argparse
from typing import Any

from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command port."""
    parser = command(commands, "port", run, "translate an experiment's .m files to Python")
    parser.add_argument("folder", metavar="FOLDER", help="folder of .m files, or one of them; nothing of them is run")
    parser.add_argument("--out", metavar="DIR", help="folder for the Python files (default: FOLDER-python)")


def run(args: argparse.Namespace) -> int:
    """Run port; returns the exit code."""
    from pyconvnet.port import port
    from pyconvnet.port.summary import summary

    print(summary(port(args.folder, args.out)), end="")
    return 0
