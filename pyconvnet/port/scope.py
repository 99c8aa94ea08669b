"""What a function does to its variables: which it assigns, which it changes in place, what kind of values they have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pyconvnet.port.source import Node, arguments, chain, child, items, text_of, walk

Path = tuple[str, ...]


def own(node: Node) -> Any:
    """Nodes of a function without those of functions within it."""
    return walk(node, lambda n: n.type not in ("function_definition", "class_definition"))


def path_of(node: Node) -> Path | None:
    """The variable and the steps of an expression as words: ('net', '.layers', '{}'); None where it is no variable."""
    root, steps = chain(node)
    if root.type != "identifier":
        return None
    words = {"(": "()", "{": "{}", ".(": ".*"}
    return (text_of(root), *(words.get(kind) or f".{what}" for kind, what in steps))


def targets(node: Node) -> list[Node]:
    """What an assignment sets."""
    left = node.child_by_field_name("left") or node.children[0]
    return items(left) if left.type == "multioutput_variable" else [left]


def loaded(node: Node) -> list[str]:
    """The variables that a statement load('file.mat', 'a', 'b') sets, as far as it names them."""
    names = [text_of(a)[1:-1] for a in arguments(node)[1:] if a.type == "string"]
    return [name for name in names if name.isidentifier()]


@dataclass
class Function:
    """A function of a folder, as its callers know it."""

    name: str
    params: list[str]
    outputs: list[str]
    uses: set[str]
    defaults: bool = False  # whether callers may leave arguments out

    @property
    def varargout(self) -> bool:
        return self.outputs == ["varargout"]

    @property
    def several(self) -> bool:
        """Whether it returns a tuple of fixed length."""
        return len(self.outputs) > 1


def signature(node: Node) -> Function:
    """The head of a function definition."""
    name = node.child_by_field_name("name")
    output = child(node, "function_output")
    outputs = []
    if output is not None:
        outputs = [text_of(n) for n in walk(output) if n.type == "identifier"]
    given = child(node, "function_arguments")
    params = []
    if given is not None:
        params = [text_of(n) if n.type == "identifier" else "~" for n in items(given)]
    uses = {text_of(n) for n in own(node) if n.type == "identifier"} & {"nargin", "nargout", "exist", "varargin"}
    found = Function(text_of(name).split(".")[-1], params, outputs, uses)
    found.defaults = bool(uses & {"nargin", "exist"})
    return found


@dataclass
class Scope:
    """The variables of one function or script."""

    function: Function
    variables: set[str] = field(default_factory=set)
    assigned: Counter[str] = field(default_factory=Counter)
    changed: set[Path] = field(default_factory=set)  # places whose value an assignment changes from within
    read: Counter[str] = field(default_factory=Counter)
    shared: dict[str, str] = field(default_factory=dict)  # global and persistent variables: how they are written
    handles: set[str] = field(default_factory=set)  # parameters that are objects: never copied
    kinds: dict[str, str | None] = field(default_factory=dict)

    def changes(self, path: Path) -> bool:
        """Whether an assignment changes the value at a place from within, or one within it."""
        return any(
            len(p) >= len(path) and all(a in (b, ".*") or b == ".*" for a, b in zip(p, path)) for p in self.changed
        )


def analyse(node: Node, function: Function) -> Scope:
    """The scope of a function definition or of a script."""
    scope = Scope(function, set(function.params) | set(function.outputs))
    for n in own(node):
        if n.type == "assignment":
            for target in targets(n):
                path = path_of(target)
                if path:
                    scope.variables.add(path[0])
                    scope.assigned[path[0]] += 1
                    for k in range(1, len(path)):
                        scope.changed.add(path[:k])
        elif n.type == "iterator":
            name = text_of(items(n)[0])
            scope.variables.add(name)
            scope.assigned[name] += 2
        elif n.type in ("global_operator", "persistent_operator"):
            for name in [text_of(i) for i in walk(n) if i.type == "identifier"]:
                scope.variables.add(name)
                scope.assigned[name] += 2
                scope.shared[name] = (
                    f"rt.shared.{name}" if n.type == "global_operator" else f"{function.name}_kept.{name}"
                )
        elif n.type == "catch_clause":
            caught = child(n, "identifier", "captured_variable")
            if caught is not None:
                scope.variables.add(text_of(caught))
                scope.assigned[text_of(caught)] += 1
        elif (
            n.type == "function_call" and text_of(n.children[0]) == "load" and n.parent.type in ("block", "source_file")
        ):
            for name in loaded(n):  # load('file.mat', 'a', 'b')
                scope.variables.add(name)
                scope.assigned[name] += 1
    if "varargin" in function.params:
        scope.variables.add("varargin")
    return scope
