"""MATLAB's expressions as Python's."""

from __future__ import annotations

import re
from typing import Any

from pyconvnet.port import names
from pyconvnet.port.calls import Calls
from pyconvnet.port.code import ADD, AND, ATOM, COMPARE, LAMBDA, MUL, NOT, NUMBERS, OR, UNARY, E, quoted
from pyconvnet.port.scope import Scope, path_of
from pyconvnet.port.source import Node, Untranslated, chain, items, text_of, walk

_OPERATORS = {
    "+": ("plus", "+", ADD), "-": ("minus", "-", ADD), ".*": ("times", "*", MUL), "*": ("mtimes", "*", MUL),
    "./": ("rdivide", "/", MUL), "/": ("mrdivide", "/", MUL),
    ".^": ("power", "**", UNARY), "^": ("mpower", "**", UNARY),
    "\\": ("mldivide", "", MUL), ".\\": ("ldivide", "", MUL),
}  # fmt: skip
_COMPARISONS = {"==": "eq", "~=": "ne", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


class Expressions(Calls):
    """Translates expressions of one scope; Calls knows functions and fields."""

    scope: Scope

    def expr(self, node: Node) -> E:
        """The translation of an expression; raises Untranslated."""
        if node.has_error:
            raise Untranslated("the parser does not understand it")
        kind = "inner" if node.type == "_expression" else node.type
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise Untranslated(f"{node.type.replace('_', ' ')} is not known")
        return method(node)

    def code(self, node: Node) -> str:
        return self.expr(node).code

    def kind(self, node: Node) -> str | None:
        """The kind of an expression, None where it is not known or cannot be translated."""
        try:
            return self.expr(node).kind
        except Untranslated:
            return None

    def condition(self, node: Node) -> E:
        """An expression that Python may ask whether it is true."""
        e = self.expr(node)
        return e if e.kind in ("bool", *NUMBERS) else E(f"rt.true({e.code})", ATOM, "bool")

    # --- literals ------------------------------------------------------------------------------------------------

    def _number(self, node: Node) -> E:
        text = text_of(node)
        if text[-1] in "ij":
            return E(text[:-1] + "j")
        if re.fullmatch(r"\d+", text):
            return E(str(int(text)), ATOM, "int")
        if not re.fullmatch(r"[\d.]+([eEdD][+-]?\d+)?", text):
            raise Untranslated(f"the number {text} is not understood")
        text = re.sub(r"[dD]", "e", text)
        return E(re.sub(r"^0+(?=\d)", "", text), ATOM, "num")

    def _string(self, node: Node) -> E:
        text = text_of(node)
        quote = text[0]
        return E(quoted(text[1:-1].replace(quote * 2, quote)), ATOM, "str")

    def _identifier(self, node: Node) -> E:
        return self._chain(node)

    _function_call = _field_expression = _identifier

    def _chain(self, node: Node) -> E:
        root, steps = chain(node)
        return self.chained(root, steps)

    def _boolean(self, node: Node) -> E:
        return E(text_of(node).title(), ATOM, "bool")

    def _end_keyword(self, node: Node) -> E:
        if not self.ends:
            raise Untranslated("end outside of an index")
        return E("end", ATOM, "int")

    def _inner(self, node: Node) -> E:
        return self.expr(items(node)[0])

    def _parenthesis(self, node: Node) -> E:
        e = self.expr(items(node)[0])
        return E(e.code if e.binds == ATOM else f"({e.code})", ATOM, e.kind)

    # --- operators -----------------------------------------------------------------------------------------------

    def _binary_operator(self, node: Node) -> E:
        first = items_of_operator(node)[0]
        if (
            first.type == "unary_operator"
            and text_of(first.children[0]) == "-"
            and any(text_of(c) in ("^", ".^") for c in node.children)
        ):
            return self.negative_power(node)
        left, sign, right = self._operands(node)
        if sign in ("&", "|"):
            return self._both("and_" if sign == "&" else "or_", sign, left, right)
        name, python, binds = _OPERATORS[sign]
        if "?" in (left.kind, right.kind):  # while kinds are being found out
            other = right.kind if left.kind == "?" else left.kind
            return E("?", ATOM, other if other in (*NUMBERS, "float", "?") else None)
        kinds = {left.kind, right.kind}
        kind = (
            "int"
            if kinds == {"int"}
            else "num"
            if kinds <= set(NUMBERS)
            else "float"
            if kinds <= {*NUMBERS, "float"}
            else None
        )
        scalar = left.kind in NUMBERS or right.kind in NUMBERS
        known = kind is not None and (scalar or (sign in ("+", "-", ".*") and self.same_size(node)))
        if sign == "^" and left.kind not in NUMBERS:
            known = False
        if python == "*" and '"single"' in left.code + right.code:
            known = False  # a single array times a number: MATLAB's last bit is not numpy's
        if python in "+-*" and known:
            return E(f"{left.within(binds)} {python} {right.within(binds + 1)}", binds, kind)
        if python == "/" and known and re.fullmatch(r"[\d.e]*[1-9][\d.e+-]*", right.code):
            return E(f"{left.within(binds)} / {right.within(binds + 1)}", binds, "num" if kind == "int" else kind)
        if python == "**" and known and right.code.isdecimal():
            return E(f"{left.within(ATOM)} ** {right.code}", UNARY, kind)
        if kind == "int" and python not in ("+", "-", "*"):
            kind = "num"
        if kind is None and scalar and "float" in kinds:
            kind = "float"
        return E(f"rt.{name}({left.code}, {right.code})", ATOM, kind)

    def negative_power(self, node: Node) -> E:
        """-x ^ y, which MATLAB reads as -(x ^ y)."""
        first, right = items_of_operator(node)
        base, power = self.expr(items(first)[-1]), self.expr(right)
        if base.kind in NUMBERS and power.code.isdecimal():
            return E(f"-{base.within(ATOM)} ** {power.code}", UNARY, base.kind)
        name = "power" if any(text_of(c) == ".^" for c in node.children) else "mpower"
        return E(f"rt.uminus(rt.{name}({base.code}, {power.code}))")

    def same_size(self, node: Node) -> bool:
        """Whether both operands are one variable."""
        left, right = items_of_operator(node)
        return text_of(left) == text_of(right)

    def _operands(self, node: Node) -> tuple[E, str, E]:
        left, right = items_of_operator(node)
        sign = next(text_of(c) for c in node.children if not c.is_named)
        return self.expr(left), sign, self.expr(right)

    def _both(self, name: str, sign: str, left: E, right: E) -> E:
        if left.kind == right.kind == "bool":
            word, binds = ("and", AND) if sign == "&" else ("or", OR)
            return E(f"{left.within(binds)} {word} {right.within(binds)}", binds, "bool")
        return E(f"rt.{name}({left.code}, {right.code})")

    def _comparison_operator(self, node: Node) -> E:
        left, sign, right = self._operands(node)
        if {left.kind, right.kind} <= {"int", "num"}:
            sign = "!=" if sign == "~=" else sign
            return E(f"{left.within(ADD)} {sign} {right.within(ADD)}", COMPARE, "bool")
        return E(f"rt.{_COMPARISONS[sign]}({left.code}, {right.code})")

    def _boolean_operator(self, node: Node) -> E:
        left, right = items_of_operator(node)
        sign = next(text_of(c) for c in node.children if not c.is_named)
        word, binds = ("and", AND) if sign == "&&" else ("or", OR)
        return E(f"{self.condition(left).within(binds)} {word} {self.condition(right).within(binds)}", binds, "bool")

    def _not_operator(self, node: Node) -> E:
        inside = items(node)[-1]
        while inside.type == "parenthesis":
            inside = items(inside)[0]
        e = self.expr(inside)
        if e.kind in ("bool", *NUMBERS):
            inner = re.fullmatch(r"(\S+) (==|!=) (\S+)", e.code)
            if inner and e.binds == COMPARE:
                return E(f"{inner[1]} {'!=' if inner[2] == '==' else '=='} {inner[3]}", COMPARE, "bool")
            return E(f"not {e.within(NOT)}", NOT, "bool")
        return E(f"rt.not_({e.code})")

    def _unary_operator(self, node: Node) -> E:
        sign, e = text_of(node.children[0]), self.expr(items(node)[-1])
        if sign in ("~", "!"):
            return self._not_operator(node)
        if e.kind in (*NUMBERS, "float"):
            return E(f"{sign}{e.within(UNARY)}", UNARY, e.kind)
        return e if sign == "+" else E(f"rt.uminus({e.code})")

    def _postfix_operator(self, node: Node) -> E:
        e = self.expr(items(node)[0])
        if e.kind in NUMBERS:
            return e
        return E(
            f"rt.{'ctranspose' if text_of(node.children[-1]) == chr(39) else 'transpose'}({e.code})",
            ATOM,
            e.kind if e.kind == "float" else None,
        )

    def _range(self, node: Node) -> E:
        return E(f"rt.span({', '.join(self.range_parts(node))})")

    def range_parts(self, node: Node) -> list[str]:
        """First, last, and the step where there is one."""
        parts = [self.code(p) for p in items(node) if p.type != ":"]
        return parts if len(parts) == 2 else [parts[0], parts[2], parts[1]]

    # --- matrices, cells, functions --------------------------------------------------------------------------------

    def _rows(self, node: Node) -> list[list[Node]]:
        return [items(r) for r in node.children if r.type == "row"]

    def _matrix(self, node: Node) -> E:
        lines = self._rows(node)
        if not lines or not any(lines):
            return E("rt.empty()", ATOM, None)
        alone = len(lines) == 1 and len(lines[0]) == 1
        if alone and self.kind(lines[0][0]) in (*NUMBERS, "str", "float"):
            return self.expr(lines[0][0])
        if len(lines) == 1 and all(self.kind(i) == "str" for i in lines[0]):
            return E(" + ".join(self.expr(i).within(ADD) for i in lines[0]), ADD, "str")
        kinds = {self.kind(i) for line in lines for i in line}
        kind = "float" if kinds <= {*NUMBERS, "float"} else None
        codes = [", ".join(self.spread(i, alone) for i in line) for line in lines]
        if len(lines) == 1:
            return E(f"rt.row({codes[0]})", ATOM, kind)
        parts = [c if len(line) == 1 else f"rt.row({c})" for c, line in zip(codes, lines)]
        return E(f"rt.rows({', '.join(parts)})", ATOM, kind)

    def _cell(self, node: Node) -> E:
        lines = self._rows(node)
        if not lines or not any(lines):
            return E("[]", ATOM, "cell")
        alone = len(lines) == 1 and len(lines[0]) == 1
        codes = [", ".join(self.spread(i, alone) for i in line) for line in lines]
        if len(lines) == 1:
            return E(f"[{codes[0]}]", ATOM, "cell")
        return E(f"rt.cell_rows({', '.join(f'[{c}]' for c in codes)})")

    def spread(self, node: Node, alone: bool = False) -> str:
        """One of several items: c{:} and, alone, s.name may stand for several values."""
        root, steps = chain(node)
        if steps and steps[-1][0] == "{" and any(a.type in ("spread_operator", "range") for a in steps[-1][1]):
            before = self.chained(root, steps[:-1])
            if len(steps[-1][1]) == 1 and steps[-1][1][0].type == "spread_operator":
                return f"*{before.code}" if before.kind == "cell" else f"*inside({before.code})[:]"
            return f"*inside({before.code})[{self.index(steps[-1][1])}]"
        if (
            alone
            and len(steps)
            and steps[-1][0] == "."
            and root.type == "identifier"
            and text_of(root) in self.scope.variables
        ):
            return f"*rt.every({self.chained(root, steps[:-1]).code}, {quoted(steps[-1][1])})"
        return self.code(node)

    def _lambda(self, node: Node) -> E:
        head, body = self.lambda_parts(node)
        return E(f"lambda {head}: {body}" if head else f"lambda: {body}", LAMBDA, "fn")

    def lambda_parts(self, node: Node) -> tuple[str, str]:
        """Parameters and body of an anonymous function. Variables that may change later are kept as they are now."""
        given = next((c for c in node.children if c.type in ("arguments", "lambda_arguments")), None)
        params = [text_of(p) if p.type == "identifier" else "~" for p in items(given)] if given is not None else []
        body = node.child_by_field_name("expression")
        read = {text_of(n) for n in walk(body) if n.type == "identifier"}
        captured = sorted((read & self.scope.variables) - set(params))
        written = []
        for k, p in enumerate(params):
            name = f"_{k or ''}" if p == "~" else names.identifier(p)
            written.append(f"*{name}" if p == "varargin" and k == len(params) - 1 else name)
        kept = [v for v in captured if self.may_change(v)]
        if kept and not any(w.startswith("*") for w in written):
            written.append("*")
        written += [f"{names.identifier(v)}={self.variable(v)}" for v in kept]
        kinds, variables = dict(self.scope.kinds), set(self.scope.variables)
        try:
            for p in params:
                self.scope.kinds[p] = "cell" if p == "varargin" else None
            self.scope.variables |= set(params)
            self.whole = body.type == "function_call" and not self.single
            code = self.expr(body).code
        finally:
            self.scope.kinds, self.scope.variables, self.whole = kinds, variables, False
        return ", ".join(written), code

    def may_change(self, name: str) -> bool:
        """Whether a variable may have another value later."""
        s = self.scope
        first = 0 if name in s.function.params else 1
        return s.assigned[name] > first or s.changes((name,)) or name in s.shared

    def _handle_operator(self, node: Node) -> E:
        target = items(node)[-1]
        parts = text_of(target).split(".")
        if text_of(target) in self.scope.variables:
            raise Untranslated("a handle of a variable")
        return E(self.handle(parts), ATOM, "fn")

    def aliased(self, node: Node) -> list[tuple[str, ...]]:
        """Places that a value may share memory with."""
        if node.type in ("identifier", "function_call", "field_expression"):
            root, steps = chain(node)
            if root.type == "identifier" and text_of(root) in self.scope.variables:
                path = path_of(node)
                return [] if self.kind(node) in ("int", "num", "bool", "str") else [path] if path else []
            if root.type == "identifier" and len(steps) == 1 and steps[0][0] == "(" and text_of(root) in names.FRESH:
                return []
            own = self.unit.function(text_of(root)) if root.type == "identifier" and len(steps) <= 1 else None
            if own is not None:
                given = steps[0][1] if steps else []
                shared = self.unit.folder.shares(own[1].name)
                params = own[1].params
                return [
                    p for k, a in enumerate(given) if params[min(k, len(params) - 1)] in shared for p in self.aliased(a)
                ]
            if root.type == "identifier" and len(steps) == 1 and steps[0][1] and text_of(root) in names.VIEWS:
                return self.aliased(steps[0][1][0])
            return [p for kind, given in steps if kind in ("(", "{") for a in given for p in self.aliased(a)]
        if node.type == "matrix" and self.kind(node) == "float" and len(items(node)[0].children) > 1:
            return []
        if node.type in ("matrix", "cell", "row", "parenthesis", "postfix_operator"):
            return [p for c in items(node) for p in self.aliased(c)]
        return []


def items_of_operator(node: Node) -> tuple[Any, Any]:
    """The two operands."""
    named = [c for c in node.children if c.is_named and c.type not in ("line_continuation", "comment")]
    return named[0], named[-1]
