"""Function definitions, scripts and classes as Python's."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from pyconvnet.port import names
from pyconvnet.port.scope import Function, Scope, analyse, own, signature, targets
from pyconvnet.port.source import Node, chain, child, items, text_of, walk
from pyconvnet.port.statements import Statements

if TYPE_CHECKING:
    from pyconvnet.port.folder import Unit


def infer(scope: Scope, node: Node, unit: Unit) -> None:
    """Find out the kinds of the variables of a scope, from what is assigned to them."""
    asked = Statements(unit, scope)
    plain = {name for name in scope.assigned if name not in scope.function.params and name not in scope.shared}
    fixed = dict(scope.kinds)  # what the place of the function says of its parameters
    scope.kinds = {**dict.fromkeys(plain, "?"), "varargin": "cell", "varargout": "cell", **fixed}
    assignments = [n for n in own(node) if n.type == "assignment"]
    loops = [n for n in own(node) if n.type == "iterator"]
    for _ in range(8):
        found: dict[str, set[str | None]] = {}
        for n in assignments:
            left = targets(n)
            right = n.child_by_field_name("right") or items(n)[-1]
            for target in left:
                root, steps = chain(target)
                if root.type != "identifier":
                    continue
                name = text_of(root)
                if not steps:
                    kind = asked.kind(right) if len(left) == 1 else _of_several(asked, right)
                    if right.type == "cell" and kind != "cell":
                        kind = None
                    found.setdefault(name, set()).add(kind)
                elif steps[0][0] == "{":
                    found.setdefault(name, set()).add("cell" if len(steps[0][1]) == 1 else None)
                elif steps[0][0] == "(":
                    found.setdefault(name, set()).add("array" if len(steps) == 1 else None)
                else:
                    found.setdefault(name, set()).add("struct" if name not in scope.function.params else None)
        for n in loops:
            name, over = text_of(items(n)[0]), items(n)[-1]
            kind = None
            if over.type == "range":
                parts = [asked.kind(p) for p in items(over) if p.type != ":"]
                kind = "int" if all(p == "int" for p in parts[:-1]) else "num"
            found.setdefault(name, set()).add(kind)
        kinds = {name: _joined(found.get(name, {None}), name in scope.function.params) for name in scope.variables}
        kinds.update(dict.fromkeys(scope.shared, None))
        kinds.update(fixed)
        kinds.update({name: "cell" for name in ("varargin", "varargout") if name in scope.variables})
        kinds.update(dict.fromkeys(scope.handles, "obj"))
        if kinds == scope.kinds:
            return
        scope.kinds = kinds


def _of_several(asked: Statements, right: Node) -> str | None:
    root, steps = chain(right)
    return "int" if text_of(root) == "size" and len(steps) == 1 else None


def _joined(kinds: set[str | None], param: bool) -> str | None:
    kinds = kinds - {"?"} if len(kinds) > 1 else kinds
    if param or None in kinds:
        return None
    if kinds <= {"int", "num"}:
        return "num" if "num" in kinds else "int"
    if kinds <= {"float", "array", "int", "num"} and "float" in kinds:
        return "float"
    return kinds.pop() if len(kinds) == 1 and kinds != {"array"} else None


def shared_parameters(unit: Unit, node: Node, function: Function) -> set[str]:
    """Parameters with which the results of a function may share memory, as far as its assignments tell."""
    scope = analyse(node, function)
    infer(scope, node, unit)
    asked = Statements(unit, scope)
    from_: dict[str, set[str]] = {}
    for n in own(node):
        if n.type == "assignment":
            right = n.child_by_field_name("right") or items(n)[-1]
            for target in targets(n):
                root, _ = chain(target)
                from_.setdefault(text_of(root), set()).update(path[0] for path in asked.aliased(right))
        elif n.type == "iterator":
            from_.setdefault(text_of(items(n)[0]), set()).update(path[0] for path in asked.aliased(items(n)[-1]))
    reached = set(function.outputs)
    while True:
        more = {source for name in reached for source in from_.get(name, ())} - reached
        if not more:
            break
        reached |= more
    return {p for p in function.params if p in reached and not scope.changes((p,))}


class Definition:
    """The lines of one function."""

    def __init__(self, unit: Unit, node: Node, depth: int = 0, method_of: str = "") -> None:
        self.unit, self.node, self.depth, self.method_of = unit, node, depth, method_of

    def lines(self, static: bool = False) -> list[str]:
        function = signature(self.node)
        function.defaults = function.defaults or any(
            count < len([p for p in function.params if p != "varargin"])
            for count in self.unit.folder.used_with.get(function.name, ())
        )
        scope = analyse(self.node, function)
        constructor = bool(self.method_of) and function.name == self.method_of
        me = function.outputs[:1] if constructor else function.params[:1] if self.method_of and not static else []
        scope.handles = set(me)
        if self.method_of and function.name in ("forward", "backward"):
            scope.kinds = dict.fromkeys(function.params[1:], "cell")
        infer(scope, self.node, self.unit)
        body = Statements(self.unit, scope, self.depth + 1)
        body.ending = "return" if constructor else returned(function)
        body.last_row = self.node.start_point[0]
        blocks = [c for c in self.node.children if c.type in ("comment", "block", "ERROR")]
        prologue = self._prologue(function, scope, me)
        if prologue:
            comments = blocks[: next((k for k, b in enumerate(blocks) if b.type == "block"), len(blocks))]
            body.body(comments)
            blocks = blocks[len(comments) :]
            for line in prologue:
                body.emit(line)
        for block in blocks:
            body.body([block])
        after: list[str] = []
        if self.node.children[-1].type != "end" and not self.method_of:  # comments before the next function
            while body.lines and (not body.lines[-1] or body.lines[-1].strip().startswith("#")):
                after.insert(0, body.lines.pop().strip())
            while after and not after[0]:
                after.pop(0)
        if body.ending != "return" and not (
            body.lines
            and body.lines[-1].strip() == body.ending
            and len(body.lines[-1]) - len(body.lines[-1].lstrip()) == 4 * body.depth
        ):
            body.emit(body.ending)
        if not any(line.strip() and not line.strip().startswith("#") for line in body.lines):
            body.emit("pass")
        head = self._head(function, constructor, me)
        return [
            *(["    " * self.depth + "@staticmethod"] if static else []),
            "    " * self.depth + head,
            *marked(body.lines),
            *(["", "", *after] if after else []),
        ]

    def _head(self, function: Function, constructor: bool, me: list[str]) -> str:
        params = []
        given = function.params if constructor or not me else function.params[1:]
        for k, p in enumerate(given):
            if p == "varargin" and k == len(given) - 1:
                params.append("*varargin")
            else:
                name = f"_{k or ''}" if p == "~" else names.identifier(p)
                params.append(name + ("=None" if function.defaults else ""))
        if "nargout" in function.uses:
            usual = f"nargout={max(len(function.outputs), 1)}"  # of calls by handle, which do not say
            params.append(usual if params and params[-1].startswith("*") else f"*, {usual}")
        params = [names.identifier(m) for m in me] + params
        name = "__init__" if constructor else names.identifier(function.name)
        return f"def {name}({', '.join(params)}):"

    def _prologue(self, function: Function, scope: Scope, me: list[str]) -> list[str]:
        lines = []
        constructor = bool(self.method_of) and function.name == self.method_of
        if constructor:
            explicit = any(n.type == "superclass" for n in walk(self.node))
            if not explicit:
                lines.append("super().__init__()")
        given = [p for p in function.params if p not in ("varargin", *me)]
        if "varargin" in function.params:
            lines.append("varargin = list(varargin)")
        if "nargin" in function.uses:
            plain = ", ".join(names.identifier(p) for p in given if p != "~")
            more = len(me) if not constructor else 0
            count = f"rt.given({plain})" if plain else ""
            parts = [
                c
                for c in (count, "len(varargin)" if "varargin" in function.params else "", str(more) if more else "")
                if c
            ]
            lines.append(f"nargin = {' + '.join(parts) or 0}")
        for p in given:
            if scope.changes((p,)) and p != "~":
                lines.append(f"{names.identifier(p)} = rt.copy({names.identifier(p)})")
        if len(function.outputs) > 1 or function.outputs == ["varargout"]:
            top = {text_of(chain(t)[0]) for t in self._surely()}
            for out in function.outputs:
                if out == "varargout":
                    lines.append("varargout = []")
                elif out not in top and out not in function.params:
                    lines.append(f"{names.identifier(out)} = None")
        return lines

    def _surely(self) -> list[Node]:
        """What the function assigns outside of any branch, and before any return."""
        block = child(self.node, "block")
        if block is None or any(n.type == "return_statement" for n in own(self.node)):
            return []
        return [t for n in block.children if n.type == "assignment" for t in targets(n)]


def returned(function: Function) -> str:
    """The line that returns a function's outputs."""
    if not function.outputs:
        return "return"
    if function.varargout:
        return "return rt.outputs(varargout)"
    codes = [names.identifier(o) if o != "varargout" else "*varargout" for o in function.outputs]
    return f"return {', '.join(codes)}"


_PLAIN = re.compile(r"(\s*)(\w+) = (?!.*#)(.*)")


def marked(lines: list[str]) -> list[str]:
    """The lines, with a note for ruff at variables that the function never reads, as in MATLAB."""
    text = "\n".join(re.sub(r'"(\\.|[^"\\])*"', '""', line.split("  #")[0]) for line in lines)
    reads: Counter[str] = Counter(re.findall(r"(?<![.\w])[A-Za-z_]\w*", text))
    writes = Counter(m[2] for line in lines if (m := _PLAIN.match(line)))
    if "locals()" in text:
        return lines
    out = []
    for line in lines:
        unknown = re.fullmatch(r"\s*(\w+) = None  # not known", line)
        if unknown and reads[unknown[1]] <= 1:
            continue
        m = _PLAIN.match(line)
        alone = m is not None and reads[m[2]] <= writes[m[2]] and not re.search(rf"(?<![.\w]){m[2]}\b", m[3])
        out.append(f"{line}  # noqa: F841 (never read)" if alone else line)
    return out


def class_lines(unit: Unit, node: Node) -> list[str]:
    """A class definition."""
    name = text_of(child(node, "identifier"))
    above = child(node, "superclasses")
    bases = [text_of(n) for n in walk(above) if n.type == "property_name"] if above is not None else []
    codes = {
        b: names.block(b.split(".")) or (unit.class_code(b) if b in unit.folder.classes else None)
        for b in bases
        if b != "handle"
    }
    unknown = [b for b, c in codes.items() if c is None]
    heads = [c for c in codes.values() if c]
    if any(c.startswith("pcn.dagnn.") for c in heads) and names.block(["dagnn", name]):
        heads.append("replace=True")  # of the same name as a layer here
    heads = heads or ["rt.Handle"]
    lines = [f"class {name}({', '.join(heads)}):"]
    if unknown:
        unit.problems.append(
            (node.start_point[0] + 1, text_of(node).split("\n")[0], f"the class {unknown[0]} is not known")
        )
        unit.counts["untranslated"] += 1
        lines = [
            f"class {name}(rt.Handle):",
            f"    # {unit.name}:{node.start_point[0] + 1}: the base {unknown[0]} is not known",
        ]
    elif "handle" not in bases and not any(codes.values()):
        unit.counts["uncertain"] += 1  # a class whose objects are values is translated as one of handles
    transient: list[str] = []
    body: list[str] = []
    for part in node.children:
        if part.type == "comment":
            asked = Statements(unit, Scope(Function(name, [], [], set())), 1)
            asked.comment(part)
            body += asked.lines
        elif part.type == "properties":
            properties, passing = _properties(unit, part, name)
            body += properties
            transient += passing
        elif part.type == "methods":
            static = "Static" in text_of(part).split("\n")[0]
            for method in part.children:
                if method.type == "function_definition":
                    body += ["", *Definition(unit, method, 1, name).lines(static)]
                elif method.type == "comment":
                    asked = Statements(unit, Scope(Function(name, [], [], set())), 1)
                    asked.comment(method)
                    body += ["", *asked.lines]
    if "dagnn.Loss" in bases and _sums(node):
        note = "# summed over the images of a batch, as losses of MatConvNet 1.0-beta25 are: training divides"
        body = [f"    {note}", "    averages = False", *body]
        unit.counts["uncertain"] += 1
    if transient:
        body = [f"    transient = ({', '.join(repr(t).replace(chr(39), chr(34)) for t in transient)},)", *body]
    if not any(line.strip() and not line.strip().startswith("#") for line in body):
        body.append("    pass")
    return lines + body


def _sums(node: Node) -> bool:
    """Whether a loss computes its output by itself, rather than by MatConvNet's losses, which are means here."""
    for n in walk(node):
        if n.type == "function_definition" and text_of(n.child_by_field_name("name")) == "forward":
            return not any(t in text_of(n) for t in ("vl_nnloss", "vl_nnsoftmaxloss", "forward@"))
    return False


def _properties(unit: Unit, node: Node, name: str) -> tuple[list[str], list[str]]:
    scope = Scope(Function(name, [], [], set()))
    asked = Statements(unit, scope, 1)
    asked.last_row = node.start_point[0]
    passing = []
    for part in node.children:
        if part.type == "comment":
            asked.comment(part)
        elif part.type == "property":
            asked._spaced(part)
            field = text_of(child(part, "identifier"))
            default = child(part, "default_value")
            try:
                code = asked.code(items(default)[-1]) if default is not None else "rt.empty()"
            except Exception as why:  # as a statement that cannot be translated
                unit.problems.append((part.start_point[0] + 1, text_of(part), str(why)))
                unit.counts["untranslated"] += 1
                code = "None"
            note = "  # noqa: RUF012 (each object gets a copy)" if code.startswith("[") else ""
            asked.emit(f"{names.identifier(field)} = {code}{note}")
            unit.counts["translated"] += 1
            asked.last_row = part.end_point[0]
            if "Transient" in text_of(node).split("\n")[0]:
                passing.append(field)
    return asked.lines, passing


def unit_body(unit: Unit, root: Node) -> list[str]:
    """The lines of a file: its functions, its class, or its script after its functions."""
    definitions = [n for n in root.children if n.type == "function_definition"]
    lines: list[str] = []
    classes = [n for n in root.children if n.type == "class_definition"]
    loose = [n for n in root.children if n.type not in ("function_definition", "class_definition")]
    script = not classes and any(
        n.type not in ("comment", "\n", ";", ",", "line_continuation") and (n.type != "ERROR" or not definitions)
        for n in loose
    )
    if script:
        for d in definitions:
            lines += ["", "", *Definition(unit, d).lines()]
        lines += ["", ""] if definitions else [""]
        function = Function(unit.stem, [], [], set())
        scope = analyse(root, function)
        infer(scope, root, unit)
        body = Statements(unit, scope)
        body.body(loose)
        return [*lines, *body.lines]
    first = True
    row = -1
    for n in root.children:
        if n.type == "comment":
            asked = Statements(unit, Scope(Function(unit.stem, [], [], set())))
            asked.comment(n)
            lines += (
                ["", ""] if not first and n.start_point[0] > row + 1 and lines and not lines[-1].startswith("#") else []
            ) + asked.lines
            row = n.end_point[0]
        elif n.type in ("function_definition", "class_definition"):
            near = bool(lines) and lines[-1].startswith("#") and not first
            made: Any = class_lines(unit, n) if n.type == "class_definition" else Definition(unit, n).lines()
            lines += ([] if near else ["", ""]) + made
            first = False
            row = n.end_point[0]
        elif n.type == "ERROR":
            asked = Statements(unit, Scope(Function(unit.stem, [], [], set())))
            asked.untranslated(n, "the parser does not understand it")
            lines += ["", *(f"# {line}" for line in asked.lines)]
    return lines
