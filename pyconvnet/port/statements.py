"""MATLAB's statements as Python's."""

from __future__ import annotations

import re
from typing import Any

from pyconvnet.port import names
from pyconvnet.port.expressions import NUMBERS, E, Expressions, items_of_operator, quoted
from pyconvnet.port.scope import Scope, path_of, targets
from pyconvnet.port.source import Node, Untranslated, arguments, chain, child, items, line_of, text_of, walk

_STATEMENTS = (
    "assignment function_call field_expression identifier command if_statement for_statement while_statement "
    "switch_statement try_statement spmd_statement break_statement continue_statement return_statement global_operator "
    "persistent_operator ERROR binary_operator comparison_operator boolean_operator postfix_operator unary_operator "
    "number string matrix cell range lambda handle_operator parenthesis not_operator boolean"
).split()


class Statements(Expressions):
    """Translates the statements of one scope into lines."""

    def __init__(self, unit: Any, scope: Scope, depth: int = 0) -> None:
        super().__init__(unit, scope)
        self.lines: list[str] = []
        self.depth = self.base = depth
        self.last_row = -1  # where the statement before ended, to keep blank lines and comments beside statements
        self.ending = "return"
        self.temporary = 0

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line if line else "")

    # --- blocks ----------------------------------------------------------------------------------------------------

    def block(self, node: Node | None) -> None:
        """The statements of a block, indented; `pass` where there are none."""
        self.depth += 1
        before = len(self.lines)
        if node is not None:
            self.body(node.children)
        if not any(line.strip() and not line.strip().startswith("#") for line in self.lines[before:]):
            self.emit("pass")
        self.depth -= 1

    def body(self, nodes: list[Node]) -> None:
        """Statements, comments and what lies between them."""
        for k, node in enumerate(nodes):
            if node.type == "comment":
                self.comment(node)
            elif node.type == "block":
                self.body(node.children)
            elif node.type in _STATEMENTS:
                self._spaced(node)
                following = nodes[k + 1] if k + 1 < len(nodes) else None
                self.statement(node, quiet=following is not None and following.type == ";")
                self.last_row = node.end_point[0]

    def _spaced(self, node: Node) -> None:
        row = node.start_point[0]
        if self.last_row >= 0 and row > self.last_row + 1 and self.lines and self.lines[-1]:
            self.emit("")

    def comment(self, node: Node) -> None:
        """A comment: beside the statement that it follows, or on lines of its own."""
        text = text_of(node)
        row = node.start_point[0]
        if text.startswith("%{") or "\n" in text:
            self._spaced(node)
            block = text.startswith("%{")
            inner = re.sub(r"^%\{\s*\n?|\n?\s*%\}\s*$", "", text) if block else text
            for line in inner.rstrip("\n").split("\n"):
                body = line.strip() if block else line.strip().lstrip("%").rstrip()
                self.emit(f"#{body if body.startswith(' ') or not body else ' ' + body}")
        else:
            body = text.lstrip("%#").rstrip()
            if text.startswith("..."):
                body = text[3:].rstrip()
            line = f"#{body if body.startswith(' ') or not body else ' ' + body}"
            if row == self.last_row and self.lines and self.lines[-1].strip() and "#" not in self.lines[-1]:
                self.lines[-1] += f"  {line}"
            else:
                self._spaced(node)
                self.emit(line)
        self.last_row = max(self.last_row, node.end_point[0] - (1 if text.endswith("\n") else 0))

    def statement(self, node: Node, quiet: bool) -> None:
        """One statement; what cannot be translated raises NotImplementedError where it would run."""
        mark, self.uncertain = len(self.lines), False
        compound = node.type.endswith("_statement") and node.type not in (
            "break_statement",
            "continue_statement",
            "return_statement",
        )
        for inside in (
            []
            if compound
            else [c for c in walk(node) if c.type in ("comment", "line_continuation") and "%" in text_of(c)]
        ):
            self.emit(f"# {text_of(inside).lstrip('. %').strip()}".rstrip())
        try:
            if node.type == "ERROR" or (node.has_error and not compound):
                raise Untranslated("the parser does not understand it")
            method = getattr(self, f"do_{node.type}", None)
            if method is None:
                self.expression_statement(node, quiet)
            else:
                method(node, quiet)
        except Untranslated as why:
            del self.lines[mark:]
            self.untranslated(node, str(why))
            return
        self.unit.counts["uncertain" if self.uncertain else "translated"] += 1

    def untranslated(self, node: Node, why: str) -> None:
        """raise NotImplementedError with the MATLAB line."""
        line = line_of(node)
        source = self.unit.source_lines[line - 1].strip()
        self.unit.counts["untranslated"] += 1
        self.unit.problems.append((line, source, why))
        for target in {
            t[0] for n in walk(node) if n.type == "assignment" for target in targets(n) if (t := path_of(target))
        }:
            if target in self.scope.variables and target not in self.scope.function.params:
                self.emit(f"{self.variable(target)} = None  # not known")
        self.emit(f"raise NotImplementedError({quoted(f'{self.unit.name}:{line}: {source}')})")

    # --- assignments -----------------------------------------------------------------------------------------------

    def do_assignment(self, node: Node, quiet: bool) -> None:
        left = targets(node)
        right = node.child_by_field_name("right") or items(node)[-1]
        several = (node.child_by_field_name("left") or node.children[0]).type == "multioutput_variable"
        if several and len(left) > 1:
            self.several(left, right)
        else:
            self.assign(left[0], right)
        if not quiet:
            for target in left:
                if target.type != "ignored_argument":
                    name = path_of(target)[0]
                    self.emit(f"rt.display({quoted(name)}, {self.variable(name)})")

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
                self.emit(f"{var} = Struct()")
            self.emit(f"{names.attribute(var, steps[0][1])} = {code}")
            return
        if fresh and name in self.scope.variables:
            self.emit(f"{var} = {'Struct()' if kinds[0] == '.' else '[]' if kinds[0] == '{' else 'rt.empty()'}")
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
        place = self.place(steps[1][1][0]) if kinds[:2] == [".", "{"] and len(steps[1][1]) == 1 else None
        if kinds == [".", "{", "."] and not fresh and steps[0][1] in names.CELL_FIELDS and place and place[0] == "-":
            self.emit(f"{names.attribute(f'{var}.{steps[0][1]}[{place}]', steps[2][1])} = {code}")
            return
        if set(kinds) == {"."} and not fresh and name in self.scope.handles:
            target = var
            for _, what in steps[:-1]:
                target = names.attribute(target, what)
            self.emit(f"{names.attribute(target, steps[-1][1])} = {code}")
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
            self.set_place(path_of(target)[0], inner, code, E(code))

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

    # --- other statements --------------------------------------------------------------------------------------------

    def expression_statement(self, node: Node, quiet: bool) -> None:
        root, steps = chain(node)
        name = text_of(root)
        variable = name in self.scope.variables
        if root.type == "identifier" and not variable:
            if "vl_setupnn" in text_of(node) or name in ("addpath", "rmpath", "clear", "clearvars", "close", "clc"):
                if name not in ("close",):
                    self.emit(f"# {text_of(node)}")
                    return
            given = steps[0][1] if steps else []
            if name == "load":
                raise Untranslated("load without a result sets variables that only the file knows")
            if name == "save":
                self.emit(self.save(given))
                return
            if name in ("size", "toc") and name == "toc" and not given:
                self.emit('ml.fprintf("Elapsed time is %f seconds.\\n", ml.toc())')
                return
        own = self.unit.function(name) if root.type == "identifier" and not variable else None
        method = len(steps) > 1 and steps[-1][0] == "(" and steps[-2][0] == "."
        bare = bool(steps) and steps[-1][0] == "." and variable
        silent = quiet or (own is not None and not own[1].outputs) or (name in names.VOID and not variable) or method
        if own is not None and len(steps) <= 1:
            code = self.call(name, steps[0][1] if steps else [], 1 if not silent else 0).code
            code = code.removesuffix("[0]") if silent else code
        else:
            e = self.expr(node)
            code = e.code
            if bare and steps[-1][1] in names.METHODS | self.unit.folder.methods and not code.endswith(")"):
                code += "()"
                silent = True
        if silent:
            if node.type == "identifier" and variable:
                return
            self.emit(code)
        else:
            shown = text_of(node) if node.type == "identifier" and variable else "ans"
            self.emit(f"rt.display({quoted(shown)}, {code})")

    def save(self, given: list[Node]) -> str:
        path, *words = given
        texts = [text_of(w)[1:-1] if w.type == "string" else None for w in words]
        if any(t is None for t in texts):
            raise Untranslated("save of names that are not written out")
        plain = [t for t in texts if t and not t.startswith("-")]
        if "-struct" in texts:
            return f"rt.save({self.code(path)}, {self.variable(plain[0])})"
        if not plain or any("*" in t or t not in self.scope.variables for t in plain):
            raise Untranslated("save of variables that are not named")
        pairs = ", ".join(f"{quoted(t)}, {self.variable(t)}" for t in plain)
        return f"rt.save({self.code(path)}, {pairs})"

    def do_command(self, node: Node, quiet: bool) -> None:
        name = text_of(child(node, "command_name"))
        words = [text_of(c) for c in node.children if c.type == "command_argument"]
        if name in ("clear", "clearvars", "clc", "format", "more", "warning", "close", "addpath", "dbstop"):
            self.emit(f"# {text_of(node)}")
            return
        if not words:
            if name in self.scope.variables:
                if not quiet:
                    self.emit(f"rt.display({quoted(name)}, {self.variable(name)})")
                return
            own = self.unit.function(name)
            code = self.call(name, [], 0 if own is not None and not own[1].outputs else 1).code
            self.emit(
                code
                if quiet or name in names.VOID or (own is not None and not own[1].outputs)
                else f'rt.display("ans", {code})'
            )
            return
        found = names.function(name)
        if found is None or name in ("load", "save"):
            raise Untranslated(f"the command {name} is not known")
        self.emit(f"{found[0]}({', '.join(quoted(w) for w in words)})")

    def do_global_operator(self, node: Node, quiet: bool) -> None:
        for name in [text_of(n) for n in walk(node) if n.type == "identifier"]:
            self.emit(f'rt.shared.setdefault("{name}", rt.empty())')

    def do_persistent_operator(self, node: Node, quiet: bool) -> None:
        for name in [text_of(n) for n in walk(node) if n.type == "identifier"]:
            self.emit(f'{self.scope.function.name}_kept.setdefault("{name}", rt.empty())')
        self.unit.kept.add(self.scope.function.name)

    def do_if_statement(self, node: Node, quiet: bool) -> None:
        note = "  # noqa: SIM102" if self._nested(node) else ""
        self.emit(f"if {self.condition(node.child_by_field_name('condition')).code}:{note}")
        self._head(node)
        self.block(child(node, "block"))
        for c in node.children:
            if c.type == "elseif_clause":
                try:
                    condition = self.condition(c.child_by_field_name("condition")).code
                except Untranslated as why:
                    self.emit("else:")
                    self.depth += 1
                    self.untranslated(c, str(why))
                    self.depth -= 1
                    return
                self.emit(f"elif {condition}:")
                self._head(c)
                self.block(child(c, "block"))
            elif c.type == "else_clause":
                self.emit("else:")
                self._head(c)
                self.block(child(c, "block"))
            elif c.type == "comment":
                self.depth += 1
                self.comment(c)
                self.depth -= 1

    @staticmethod
    def _nested(node: Node) -> bool:
        """Whether an if holds another one and nothing else: they stay two, as in MATLAB."""
        inner = child(node, "block")
        if inner is None or child(node, "else_clause", "elseif_clause") is not None:
            return False
        statements = [c for c in inner.children if c.is_named and c.type != "comment"]
        return [c.type for c in statements] == ["if_statement"] and child(
            statements[0], "else_clause", "elseif_clause"
        ) is None

    def _head(self, node: Node) -> None:
        self.last_row = node.start_point[0]

    def do_while_statement(self, node: Node, quiet: bool) -> None:
        self.emit(f"while {self.condition(node.child_by_field_name('condition')).code}:")
        self._head(node)
        self.block(child(node, "block"))

    def do_for_statement(self, node: Node, quiet: bool) -> None:
        iterator = child(node, "iterator") or next(c for c in walk(node) if c.type == "iterator")
        name, over = items(iterator)[0], items(iterator)[-1]
        self.emit(f"for {self.variable(text_of(name))} in {self.loop(over)}:")
        self._head(node)
        self.block(child(node, "block"))

    def loop(self, over: Node) -> str:
        """What a loop runs over."""
        if over.type == "range":
            parts = self.range_parts(over)
            kinds = [self.kind(p) for p in items(over) if p.type != ":"]
            step = parts[2] if len(parts) == 3 else "1"
            if set(kinds) == {"int"} and re.fullmatch(r"-?[1-9]\d*", step):
                by = 1 if int(step) > 0 else -1
                last = (
                    str(int(parts[1]) + by)
                    if re.fullmatch(r"-?\d+", parts[1])
                    else f"{parts[1]} {'+' if by > 0 else '-'} 1"
                )
                last = last.removesuffix(" - 1 + 1") if last.endswith(" - 1 + 1") else last
                return f"range({parts[0]}, {last})" if step == "1" else f"range({parts[0]}, {last}, {step})"
            return f"rt.steps({', '.join(parts)})"
        return f"rt.columns({self.code(over)})"

    do_parfor_statement = do_for_statement

    def do_spmd_statement(self, node: Node, quiet: bool) -> None:
        block = child(node, "block")
        self.body(block.children if block is not None else [])

    def do_switch_statement(self, node: Node, quiet: bool) -> None:
        e = self.expr(node.child_by_field_name("condition"))
        code = e.code
        if not re.fullmatch(r"[\w.]+", code):
            self.temporary += 1
            self.emit(f"value{self.temporary} = {code}")
            code = f"value{self.temporary}"
        word = "if"
        for c in node.children:
            if c.type == "case_clause":
                self.emit(f"{word} {self.case(code, c.child_by_field_name('condition'))}:")
                self._head(c)
                self.block(child(c, "block"))
                word = "elif"
            elif c.type == "otherwise_clause":
                self.emit("else:" if word == "elif" else "if True:")
                self._head(c)
                self.block(child(c, "block"))
            elif c.type == "comment":
                self.comment(c)

    def case(self, code: str, condition: Node) -> str:
        """Whether a value is one of a case's."""
        options = (
            [i for r in condition.children if r.type == "row" for i in items(r)]
            if condition.type == "cell"
            else [condition]
        )
        if options and all(o.type == "string" for o in options):
            texts = [self.code(o) for o in options]
            return f"{code} == {texts[0]}" if len(texts) == 1 else f"{code} in ({', '.join(texts)})"
        return f"rt.matches({code}, {', '.join(self.code(o) for o in options)})"

    def do_try_statement(self, node: Node, quiet: bool) -> None:
        self.emit("try:")
        self._head(node)
        self.block(child(node, "block"))
        clause = child(node, "catch_clause")
        name = child(clause, "identifier", "captured_variable") if clause is not None else None
        inside = child(clause, "block") if clause is not None else None
        used = (
            name is not None
            and inside is not None
            and any(n.type == "identifier" and text_of(n) == text_of(name) for n in walk(inside))
        )
        if used:
            self.emit("except rt.ERRORS as caught:")
            self.emit(f"    {self.variable(text_of(name))} = rt.caught(caught)")
        else:
            self.emit("except rt.ERRORS:")
        if clause is not None:
            self._head(clause)
        self.block(inside)

    def do_break_statement(self, node: Node, quiet: bool) -> None:
        self.emit("break")

    def do_continue_statement(self, node: Node, quiet: bool) -> None:
        self.emit("continue")

    def do_return_statement(self, node: Node, quiet: bool) -> None:
        self.emit(self.ending)


__all__ = ["Statements", "arguments", "items_of_operator"]
