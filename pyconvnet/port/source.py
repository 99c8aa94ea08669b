"""MATLAB source as a tree: tree-sitter's nodes, with the few questions that translation asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Node = Any  # tree_sitter.Node
_SKIPPED = ("comment", "line_continuation", ",", ";", "\n", "(", ")", "[", "]", "{", "}")


class Untranslated(Exception):
    """Why a statement cannot be translated."""


def read(path: str | Path) -> str:
    """The text of a .m file: UTF-8 or Latin-1, any kind of line end."""
    raw = Path(path).read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return re.sub(r"\r\n?", "\n", text) + "\n"


def parse(text: str) -> Node:
    """The root node of a text."""
    try:
        import tree_sitter
        import tree_sitter_matlab
    except ImportError:
        raise ImportError("pyconvnet port needs tree-sitter: pip install 'pyconvnet[port]'") from None
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_matlab.language()))
    return parser.parse(text.encode("utf-8")).root_node


def text_of(node: Node) -> str:
    """The source text of a node."""
    return node.text.decode("utf-8")


def line_of(node: Node) -> int:
    """The line, from 1, that a node begins in."""
    return node.start_point[0] + 1


def items(node: Node) -> list[Node]:
    """The children of a node without punctuation and comments."""
    return [c for c in node.children if c.type not in _SKIPPED]


def child(node: Node, *types: str) -> Node | None:
    """The first child of one of these types."""
    return next((c for c in node.children if c.type in types), None)


def walk(node: Node, into: Any = lambda n: True) -> Iterator[Node]:
    """The node and all below it, in order; `into` says into which it goes on."""
    yield node
    for c in node.children:
        if into(c):
            yield from walk(c, into)


def arguments(node: Node) -> list[Node]:
    """The arguments of a call or an index."""
    inner = child(node, "arguments")
    return items(inner) if inner is not None else []


Step = tuple[str, Any]


def chain(node: Node) -> tuple[Node, list[Step]]:
    """Where an expression such as a.b{3}(2).c begins, and its steps: ('.', name), ('.(', node), ('(' or '{', args)."""
    if node.type == "function_call":
        name = node.child_by_field_name("name")
        root, steps = chain(name)
        if child(node, "superclass") is not None:
            return root, [*steps, ("@", (text_of(child(node, "superclass")), arguments(node)))]
        bracket = next((c.type for c in node.children if c.type in ("(", "{")), "(")
        return root, [*steps, (bracket, arguments(node))]
    if node.type == "field_expression":
        root, steps = chain(node.child_by_field_name("object"))
        for part in node.children_by_field_name("field"):
            inner, more = chain(part)
            steps = [
                *steps,
                (".(", items(inner)[0]) if inner.type == "indirect_access" else (".", text_of(inner)),
                *more,
            ]
        return root, steps
    return node, []
