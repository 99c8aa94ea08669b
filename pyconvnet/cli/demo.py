"""demo: the small network that comes along reads a sentence."""

from __future__ import annotations

import argparse
from typing import Any

from pyconvnet.cli.arguments import command


def add(commands: Any) -> None:
    """The command demo."""
    command(commands, "demo", run, "read a sentence with the small network that comes along")


def run(args: argparse.Namespace) -> int:
    """Run demo; returns the exit code."""
    from pyconvnet import formats, vl_simplenn_display
    from pyconvnet.models.sentence import LETTERS, SENTENCE, read_sentence

    net = formats.load(LETTERS)
    print(f"{LETTERS.name}: a network that reads letters a-z, 32 x 32 pixels each\n")
    print(vl_simplenn_display(net, style="classic")[1])
    reading = read_sentence(net, SENTENCE)
    print(f"{SENTENCE.name}, read fully convolutionally, one letter for every four pixels:\n{reading.columns}\n")
    print(f"which says:\n{reading.text}")
    return 0
