"""```{command-line}```: the help of `pyconvnet` and of each of its commands, as it prints them; a section for each."""

import argparse
from functools import partial
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class CommandLine(SphinxDirective):
    def run(self) -> list[nodes.Node]:
        from pyconvnet.cli import parser

        top = parser()
        commands = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction)).choices
        out: list[nodes.Node] = [_said("pyconvnet --help", top)]
        for name, command in commands.items():
            title = f"pyconvnet {name}"
            section = nodes.section(ids=[nodes.make_id(title)], names=[nodes.fully_normalize_name(title)])
            section += nodes.title(title, title)
            section += _said(f"{title} --help", command)
            out.append(section)
        return out


def _said(call: str, command: argparse.ArgumentParser) -> nodes.literal_block:
    command.formatter_class = partial(command.formatter_class, width=90)  # not that of this terminal
    text = f"$ {call}\n{command.format_help()}".rstrip()
    return nodes.literal_block(text, text, language="text")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
