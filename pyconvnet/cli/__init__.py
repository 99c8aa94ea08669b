"""The command line: pyconvnet show, run, convert, fetch, port, demo, report, warmup. COMMAND --help tells more."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from pyconvnet.cli import convert, demo, fetch, port, report, run, show, warmup
from pyconvnet.cli.arguments import fail
from pyconvnet.text import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 1 it failed, 2 wrong usage, 130 Ctrl-C; stderr says why."""
    args = parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"pyconvnet: {visible(str(message))}", file=sys.stderr)
            code: int = args.command(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # `pyconvnet show ... | head`: the pipe is closed, and Python's own flush at the end must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:
        return fail(error)
    except KeyboardInterrupt as interrupt:
        print(f"pyconvnet: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Parser of the command line."""
    from pyconvnet import __version__

    top = argparse.ArgumentParser(
        prog="pyconvnet",
        description="Look at and run MatConvNet networks (.mat files of any release) without MATLAB.",
        epilog="Try: pyconvnet demo",
    )
    top.add_argument("--version", action="version", version=f"pyconvnet {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (show, run, fetch, convert, demo, report, port, warmup):
        module.add(commands)
    return top
