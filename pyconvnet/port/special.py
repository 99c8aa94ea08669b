"""MATLAB functions that are written otherwise in Python: constants, struct(...), exist, nargin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyconvnet.port import names
from pyconvnet.port.code import COMPARE, E
from pyconvnet.port.scope import Scope
from pyconvnet.port.source import Node, items, text_of


class Special:
    """_call_NAME translates a call of NAME; None leaves it to the general case."""

    scope: Scope

    if TYPE_CHECKING:  # of Expressions

        def expr(self, node: Node) -> E: ...

        def code(self, node: Node) -> str: ...

        def kind(self, node: Node) -> str | None: ...

        def spread(self, node: Node, alone: bool = False) -> str: ...

    def variable(self, name: str) -> str:
        """A variable as Python writes it."""
        return self.scope.shared.get(name) or names.identifier(name)

    def given(self, nodes: list[Node]) -> str:
        """Arguments of a call."""
        return ", ".join('":"' if n.type == "spread_operator" else self.spread(n) for n in nodes)

    def _call_true(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("True", kind="bool")

    def _call_false(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("False", kind="bool")

    def _call_pi(self, nodes: list[Node]) -> E:
        return E("rt.pi", kind="num")

    def _call_i(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("1j")

    _call_j = _call_i

    def _call_inf(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("rt.Inf()", kind="num")

    _call_Inf = _call_inf

    def _call_nan(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("rt.NaN()", kind="num")

    _call_NaN = _call_nan

    def _call_nargin(self, nodes: list[Node]) -> E:
        return E("nargin", kind="int")

    def _call_nargout(self, nodes: list[Node]) -> E:
        return E("nargout", kind="int")

    def _call_exist(self, nodes: list[Node]) -> E | None:
        if nodes and nodes[0].type == "string":
            name = text_of(nodes[0])[1:-1]
            asked = len(nodes) == 1 or text_of(nodes[1])[1:-1] == "var"
            if asked and name in self.scope.function.params:
                return E(f"{self.variable(name)} is not None", COMPARE, "bool")
            if asked and name in self.scope.variables:
                return E(f'"{self.variable(name)}" in locals()', COMPARE, "bool")
            if len(nodes) == 2 and text_of(nodes[1])[1:-1] == "var":
                return E("False", kind="bool")
        return E(f"ml.exist({self.given(nodes)})", kind="int")

    def _call_struct(self, nodes: list[Node]) -> E | None:
        fields = [text_of(n)[1:-1] for n in nodes[::2]]
        plain = len(nodes) % 2 == 0 and all(
            n.type == "string" and names.identifier(f) == f and f.isidentifier() for n, f in zip(nodes[::2], fields)
        )
        if not plain or any(f in ("self",) for f in fields):
            return E(f"rt.struct({self.given(nodes)})")
        values = []
        for v in nodes[1::2]:
            if v.type == "cell":
                rows = [items(r) for r in v.children if r.type == "row"]
                if len(rows) != 1 or len(rows[0]) != 1:
                    return E(f"rt.struct({self.given(nodes)})")
                values.append(self.code(rows[0][0]))
            elif v.type in ("number", "string", "matrix", "lambda", "handle_operator", "unary_operator") or self.kind(
                v
            ):
                if self.kind(v) == "cell":
                    return E(f"rt.struct({self.given(nodes)})")
                values.append(self.code(v))
            else:
                return E(f"rt.struct({self.given(nodes)})")
        return E(f"Struct({', '.join(f'{f}={v}' for f, v in zip(fields, values))})", kind="struct")

    def _call_mfilename(self, nodes: list[Node]) -> E:
        return E('str(Path(__file__).with_suffix(""))' if nodes else "Path(__file__).stem", kind="str")

    def _call_eps(self, nodes: list[Node]) -> E | None:
        return None if nodes else E("rt.eps()", kind="num")
