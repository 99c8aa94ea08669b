"""MATLAB's statements as Python's."""

from __future__ import annotations

import re
from typing import Any

from pyconvnet.port import names
from pyconvnet.port.assignments import Assignments
from pyconvnet.port.code import quoted
from pyconvnet.port.scope import Scope, loaded, path_of, targets
from pyconvnet.port.source import Node, Untranslated, chain, child, items, line_of, text_of, walk

_STATEMENTS = (
    "assignment function_call field_expression identifier command if_statement for_statement while_statement "
    "switch_statement try_statement spmd_statement break_statement continue_statement return_statement global_operator "
    "persistent_operator ERROR binary_operator comparison_operator boolean_operator postfix_operator unary_operator "
    "number string matrix cell range lambda handle_operator parenthesis not_operator boolean"
).split()


class Statements(Assignments):
    """Translates the statements of one scope into lines."""

    def __init__(self, unit: Any, scope: Scope, depth: int = 0) -> None:
        super().__init__(unit, scope)
        self.lines: list[str] = []
        self.depth = self.base = depth
        self.last_row = -1  # where the statement before ended, to keep blank lines and comments beside statements
        self.ending = "return"
        self.temporary = 0
        self.anchor = 0  # where the outermost statement at hand begins

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
            elif node.type == "function_definition":
                line, head = line_of(node), text_of(node).split("\n")[0]
                self.unit.counts["untranslated"] += 1
                self.unit.problems.append((line, head, "functions within functions share variables"))
                self.emit(f"# {self.unit.name}:{line}: {head} (not translated: it shares variables)")
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
        if self.depth == self.base:
            self.anchor = len(self.lines)
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
        except (AttributeError, IndexError, KeyError, TypeError, ValueError, StopIteration) as why:
            # a form of the tree that nobody has thought of must not stop the files after it
            del self.lines[mark:]
            self.untranslated(node, f"its form is not known ({type(why).__name__}: {why})")
            return
        self.unit.counts["uncertain" if self.uncertain else "translated"] += 1

    def untranslated(self, node: Node, why: str) -> None:
        """raise NotImplementedError with the MATLAB line."""
        line = line_of(node)
        source = self.unit.source_lines[line - 1].strip()
        self.unit.counts["untranslated"] += 1
        self.unit.problems.append((line, source, why))
        for n in walk(node):
            if n.type == "function_call" and text_of(n.children[0]) == "load":
                for name in loaded(n):
                    self.emit(f"{self.variable(name)} = None  # not known")
        for target in {
            t[0] for n in walk(node) if n.type == "assignment" for target in targets(n) if (t := path_of(target))
        }:
            if target in self.scope.variables and target not in self.scope.function.params:
                self.emit(f"{self.variable(target)} = None  # not known")
        self.emit(f"raise NotImplementedError({quoted(f'{self.unit.name}:{line}: {source}')})")

    # --- other statements --------------------------------------------------------------------------------------------

    def expression_statement(self, node: Node, quiet: bool) -> None:
        root, steps = chain(node)
        name = text_of(root)
        variable = name in self.scope.variables
        if root.type == "identifier" and not variable:
            if "vl_setupnn" in text_of(node) or name in ("addpath", "rmpath", "clear", "clearvars", "clc"):
                self.emit(f"# {one_line(node)}")
                return
            given = steps[0][1] if steps else []
            if name == "load":
                self.load(node, given)
                return
            if name == "save":
                self.emit(self.save(given))
                return
            if name == "toc" and not given:
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
            self.emit(code if code.endswith(")") else f"_ = {code}")
        else:
            shown = text_of(node) if node.type == "identifier" and variable else "ans"
            self.emit(f"rt.display({quoted(shown)}, {code})")

    def load(self, node: Node, given: list[Node]) -> None:
        """load(path, 'a', 'b') as a statement, which sets variables."""
        found = loaded(node)
        if not found:
            raise Untranslated("load without a result sets variables that only the file knows")
        self.temporary += 1
        self.emit(f"value{self.temporary} = rt.load({self.given(given)})")
        for name in found:
            self.emit(f"{self.variable(name)} = value{self.temporary}.{name}")

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
            self.emit(f"# {one_line(node)}")
            return
        words = [w for w in words if w]
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
                last = last.removesuffix(" - 1 + 1")
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


def one_line(node: Node) -> str:
    """A statement without its continuation marks."""
    return re.sub(r"\s*\.\.\.[^\n]*\n\s*|\s*\n\s*", " ", text_of(node))
