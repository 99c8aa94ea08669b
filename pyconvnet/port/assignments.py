"""MATLAB's assignments as Python's: of variables, fields and elements, which grow and are copied as in MATLAB."""

from __future__ import annotations

import re
from typing import Any

from pyconvnet.port import names
from pyconvnet.port.code import NUMBERS, E, quoted
from pyconvnet.port.expressions import Expressions
from pyconvnet.port.scope import path_of, targets
from pyconvnet.port.source import Node, Untranslated, arguments, chain, items, text_of


class Assignments(Expressions):
    """Translates assignments into lines."""

    lines: list[str]
    depth: int
    base: int  # the depth of the function's own statements
    anchor: int  # where the outermost statement at hand begins
    temporary: int

    def emit(self, line: str) -> None:
        """One line, indented."""
        self.lines.append("    " * self.depth + line if line else "")

    def do_assignment(self, node: Node, quiet: bool) -> None:
        left = targets(node)
        right = node.child_by_field_name("right") or items(node)[-1]
        several = (node.child_by_field_name("left") or node.children[0]).type == "multioutput_variable"
        if several and len(left) > 1:
            self.several(left, right)
        elif several and chain(left[0])[1][-1:] and chain(left[0])[1][-1][0] == ".":
            self.each(left[0], right)
        else:
            self.assign(left[0], right)
        if not quiet:
            for target in left:
                if target.type != "ignored_argument":
                    name = self.root_of(target)
                    self.emit(f"rt.display({quoted(name)}, {self.variable(name)})")

    def each(self, target: Node, right: Node) -> None:
        """[s.name] = deal(v): the field of every struct of an array."""
        root, steps = chain(target)
        value = arguments(right)
        if text_of(chain(right)[0]) != "deal" or len(value) != 1:
            if any(kind != "." for kind, _ in steps):
                raise Untranslated("several elements are set to several values")
            self.assign(target, right)
            return
        before = self.chained(root, steps[:-1]).code
        self.emit(f"for element in rt.elements({before}):")
        self.emit(f"    {names.attribute('element', steps[-1][1])} = {self.code(value[0])}")

    @staticmethod
    def root_of(target: Node) -> str:
        """The variable that an assignment sets or changes."""
        return text_of(chain(target)[0])

    def assign(self, target: Node, right: Node) -> None:
        root, steps = chain(target)
        if root.type == "ignored_argument":
            self.emit(self.code(right))
            return
        name = text_of(root)
        if right.type == "matrix" and not items(right) and steps and steps[-1][0] == "(":
            self.remove(name, steps)
            return
        if right.type == "lambda" and not steps and name not in self.scope.shared:
            head, body = self.lambda_parts(right)
            self.emit(f"def {names.identifier(name)}({head}):")
            self.emit(f"    return {body}")
            return
        e = self.expr(right)
        code = self.copied(target, right, e)
        self.set_place(name, steps, code, e)

    def copied(self, target: Node, right: Node, e: E) -> str:
        """The value to assign: a copy where it shares memory with something that is changed in place."""
        if e.kind in (*NUMBERS, "bool", "str", "fn", "obj"):
            return e.code
        place, places = path_of(target), self.aliased(right)
        if place is not None and len(place) == 1:
            places = [p for p in places if p[0] != place[0]]
        if place is None or not places or all(p[0] in self.scope.handles for p in places):
            return e.code
        if right.type == "function_call" and text_of(right.child_by_field_name("name")) == "vl_argparse":
            deeper = any(len(p) > 1 and p[0] == place[0] for p in self.scope.changed)  # the outer struct is new
            return f"rt.copy({e.code})" if deeper else e.code
        changed = self.scope.changes(place) or any(self.scope.changes(p) for p in places)
        return f"rt.copy({e.code})" if changed else e.code

    def set_place(self, name: str, steps: list[Any], code: str, e: E) -> None:
        """variable.steps = code"""
        var = self.variable(name)
        if not steps:
            self.emit(f"{var} = {code}")
            return
        fresh = self._first(name)
        kinds = [kind for kind, _ in steps]
        known = not fresh and name not in self.scope.shared
        if kinds == ["."] and (known or fresh):
            if fresh:
                self.make(f"{var} = Struct()")
            self.emit(f"{names.attribute(var, steps[0][1], name in self.scope.handles)} = {code}")
            return
        if fresh and name in self.scope.variables:
            self.make(f"{var} = {'Struct()' if kinds[0] == '.' else '[]' if kinds[0] == '{' else 'rt.empty()'}")
        if kinds == ["("]:
            self.emit(f"{var} = into({var})[{self.index(steps[0][1])}].put({code})")
            return
        if kinds == ["{"] and self.scope.kinds.get(name) == "cell" and len(steps[0][1]) == 1:
            if text_of(steps[0][1][0]).replace(" ", "") == "end+1":
                self.emit(f"{var}.append({code})")
            elif self.lines[-1:] == ["    " * self.depth + f"{var} = []"] and text_of(steps[0][1][0]) == "1":
                self.lines[-1] = "    " * self.depth + f"{var} = [{code}]"
            else:
                self.emit(f"inside({var})[{self.index(steps[0][1])}] = {code}")
            return
        if kinds[-1] == "{" and kinds[:-1] == ["."] and steps[0][1] in names.CELL_FIELDS and known:
            place = text_of(steps[1][1][0]).replace(" ", "")
            if len(steps[1][1]) == 1 and place == "end+1" and (name, f".{steps[0][1]}") in self.made_cells():
                self.emit(f"{var}.{steps[0][1]}.append({code})")
                return
        spot = self.place(steps[1][1][0]) if kinds[:2] == [".", "{"] and len(steps[1][1]) == 1 else None
        if kinds == [".", "{", "."] and not fresh and steps[0][1] in names.CELL_FIELDS and spot and spot[0] == "-":
            self.emit(f"{names.attribute(f'{var}.{steps[0][1]}[{spot}]', steps[2][1])} = {code}")
            return
        if set(kinds) == {"."} and not fresh and name in self.scope.handles:
            target = var
            for k, (_, what) in enumerate(steps[:-1]):
                target = names.attribute(target, what, not k)
            self.emit(f"{names.attribute(target, steps[-1][1], len(steps) == 1)} = {code}")
            return
        if set(kinds) == {"."} and self.depth == self.base and self.only_fields(name):
            target = var
            for _, what in steps[:-1]:
                target = names.attribute(target, what)
                if not any(re.match(rf"\s*{re.escape(target)} = ", line) for line in self.lines):
                    self.emit(f"{target} = Struct()")
            self.emit(f"{names.attribute(target, steps[-1][1])} = {code}")
            return
        if set(kinds) == {"."} and self.made(name, [what for _, what in steps[:-1]]):
            target = var
            for _, what in steps[:-1]:
                target = names.attribute(target, what)
            self.emit(f"{names.attribute(target, steps[-1][1])} = {code}")
            return
        self.emit(f"{var} = assign({var}, ({self.path(steps)}), {code})")

    def made(self, name: str, fields: list[str]) -> bool:
        """Whether the struct that a field is set in is sure to be there: set by an earlier line at the same depth."""
        target = names.identifier(name)
        for f in fields:
            target = names.attribute(target, f)
        return any(
            line.startswith(f"{target} = Struct(") or (line.strip().startswith(f"{target}.") and " = " in line)
            for line in self.lines
            if len(line) - len(line.lstrip()) <= 4 * self.depth
        )

    def make(self, line: str) -> None:
        """The line that makes a variable which a field or an element is set of: before the loop or branch that does."""
        if self.depth == self.base:
            self.emit(line)
        else:
            self.lines.insert(self.anchor, "    " * self.base + line)

    def only_fields(self, name: str) -> bool:
        """Whether a variable was made here, by setting fields of it and in no other way so far."""
        var = re.escape(names.identifier(name))
        ways = [line.strip() for line in self.lines if re.match(rf"\s*([\w, *]*, )?{var}(, [\w, *]*)? = ", line)]
        return ways == [f"{names.identifier(name)} = Struct()"]

    def made_cells(self) -> set[tuple[str, str]]:
        """Fields that this scope sets to a cell before anything else."""
        found = set()
        for line in self.lines:
            m = re.fullmatch(r"\s*(\w+)\.(\w+) = \[.*\]", line)
            if m:
                found.add((m[1].rstrip("_"), f".{m[2]}"))
        return found

    def path(self, steps: list[Any]) -> str:
        """The steps of an assignment, for rt.assign."""
        codes = []
        for kind, what in steps:
            if kind == ".":
                codes.append(quoted(what))
            elif kind == ".(":
                codes.append(self.code(what))
            else:
                codes.append(f"{'paren' if kind == '(' else 'brace'}[{self.index(what)}]")
        return ", ".join(codes) + ("," if len(codes) == 1 else "")

    def remove(self, name: str, steps: list[Any]) -> None:
        var = self.variable(name)
        if len(steps) == 1:
            self.emit(f"{var} = into({var})[{self.index(steps[0][1])}].delete()")
        else:
            self.emit(f"{var} = rt.removed({var}, ({self.path(steps)}))")

    def _first(self, name: str) -> bool:
        """Whether nothing has been assigned to a variable yet, so that a field or an element makes it."""
        if name in self.scope.function.params or name in self.scope.shared or name in self.scope.handles:
            return False
        var = re.escape(names.identifier(name))
        pattern = re.compile(rf"\s*(({var}|[\w, *]*\b{var}\b[\w, *]*) = |for {var} in |def {var}\()")
        return not any(pattern.match(line) for line in self.lines)

    def several(self, left: list[Node], right: Node) -> None:
        """[a, b] = f(...)"""
        root, steps = chain(right)
        e = self.call_for(right, len(left))
        places, after = [], []
        for target in left:
            path = path_of(target) if target.type != "ignored_argument" else None
            if path is None:
                places.append("_")
            elif len(path) == 1:
                places.append(self.variable(path[0]))
            else:
                self.temporary += 1
                places.append(f"value{self.temporary}")
                after.append((target, places[-1]))
        own = self.unit.function(text_of(root)) if root.type == "identifier" and len(steps) <= 1 else None
        if own is not None and len(own[1].outputs) > len(left) and not own[1].varargout:
            places.append("*_")
        if own is not None and own[1].varargout and len(left) == 1:
            places.append("*_")
        count = names.BACKWARD_TUPLES.get(text_of(root), 0)
        if text_of(root) in ("vl_nnbnorm",) or (count > len(left)):
            places.append("*_")
        self.emit(f"{', '.join(places)} = {e}")
        for target, code in after:
            _, inner = chain(target)
            self.set_place(self.root_of(target), inner, code, E(code))

    def call_for(self, node: Node, count: int) -> str:
        """The code of a call that gives several values."""
        root, steps = chain(node)
        if (
            root.type == "identifier"
            and text_of(root) not in self.scope.variables
            and [k for k, _ in steps] in ([], ["("])
        ):
            return self.call(text_of(root), steps[0][1] if steps else [], count).code
        if steps and steps[-1][0] == "{":
            return self.spread(node).lstrip("*")
        if root.type == "identifier" and text_of(root) in self.scope.variables and [k for k, _ in steps] == ["("]:
            return f"{self.variable(text_of(root))}({self.given(steps[0][1])})"
        if steps and steps[-1][0] == "(" and steps[-2:-1] and steps[-2][0] == ".":
            before = self.chained(root, steps[:-1])
            code = before.code if not before.code.endswith("()") else before.code[:-2]
            return f"{code}({self.given(steps[-1][1])})"
        if steps and steps[-1][0] == ".":
            return f"rt.every({self.chained(root, steps[:-1]).code}, {quoted(steps[-1][1])})"
        raise Untranslated("several values of such an expression")
