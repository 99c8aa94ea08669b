"""What the commands share: their parsers, kinds of arguments, and how they say that something failed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from pyconvnet.text import visible


def command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
    """The parser of a new command; `run` gets its arguments and returns the exit code."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    parser.set_defaults(command=run)
    return parser


def count(text: str) -> int:
    """A number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, got {text}")
    return int(text)


def fail(error: BaseException, say: Callable[..., None] = print) -> int:
    """Say in one line on stderr what failed; returns the exit code."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename:
        text = f"{error.filename}: {error.strerror}"
    say(f"pyconvnet: {visible(text)}", file=sys.stderr)
    return 1
