"""Variables with their fields and indexes, and calls of functions: MATLAB writes all of them x(1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyconvnet.port import names
from pyconvnet.port.code import ADD, ATOM, MUL, E, quoted
from pyconvnet.port.scope import Scope
from pyconvnet.port.source import Node, Step, Untranslated, chain, items, text_of
from pyconvnet.port.special import Special

if TYPE_CHECKING:
    from pyconvnet.port.folder import Unit


class Calls(Special):
    """What Expressions know of names."""

    scope: Scope
    unit: Unit
    whole: bool = False  # whether a call gives all of its values: the body of an anonymous function
    single: bool = False  # whether an anonymous function is for cellfun, which wants one value
    ends: int = 0  # how many indexes, in which `end` is a number, are open

    def __init__(self, unit: Unit, scope: Scope) -> None:
        self.unit, self.scope = unit, scope
        self.uncertain = False  # whether the statement at hand needed a guess

    # --- chains ----------------------------------------------------------------------------------------------------

    def chained(self, root: Node, steps: list[Step], nargout: int = 1) -> E:
        """A variable or function with the steps after it."""
        if root.type != "identifier":
            return self._stepped(self.expr(root), steps)
        name = text_of(root)
        if name in self.scope.variables:
            return self._stepped(E(self.variable(name), kind=self.scope.kinds.get(name)), steps)
        dotted = [name]
        for kind, what in steps:
            if kind != ".":
                break
            dotted.append(what)
        code = names.block(dotted) if len(dotted) > 1 else None
        if code is None and len(dotted) > 1:
            code = self.unit.packaged(dotted)
        if code is not None:
            rest = steps[len(dotted) - 1 :]
            given = rest[0][1] if rest and rest[0][0] == "(" else []
            if dotted[-1] == "loadobj" and given:
                return E(f"{code}({self.code(given[0])})")
            e = E(f"{code}({self.keywords(given)})", kind="obj")
            return self._stepped(e, rest[1:] if rest and rest[0][0] == "(" else rest)
        if steps and steps[0][0] == "@":
            return self._super("__init__", steps[0][1][1])
        if name in self.unit.folder.classes and steps and steps[0][0] == ".":
            return self._stepped(E(self.unit.class_code(name), kind="obj"), steps)
        if steps and steps[0][0] == "{":
            raise Untranslated(f"{name} is not a variable")
        given = steps[0][1] if steps and steps[0][0] == "(" else []
        return self._stepped(self.call(name, given, nargout), steps[1:] if steps and steps[0][0] == "(" else steps)

    def _stepped(self, e: E, steps: list[Step]) -> E:
        k = 0
        while k < len(steps):
            kind, what = steps[k]
            following = steps[k + 1] if k + 1 < len(steps) else ("", [])
            if kind == "." and following[0] == "@":
                e = self._super(what, following[1][1])
                k += 2
            elif kind == "." and what in names.INDEX_METHODS and following[0] == "(":
                e = E(f"rt.{what}({e.code}, {self.given(following[1])})")
                k += 2
            elif kind == "." and what == "move" and following[0] == "(":
                e = E(f"rt.move({e.code}, {self.given(following[1])})")
                k += 2
            elif kind == "." and following[0] == "(" and what in names.METHODS | self.unit.folder.methods:
                e = E(f"{e.within(ATOM)}.{what}({self.given(following[1])})")
                k += 2
            elif kind == "." and what in ("inputIndexes", "outputIndexes", "paramIndexes"):
                e = E(f"rt.one_based({e.within(ATOM)}.{what})")
                k += 1
            elif kind == ".":
                code = (
                    f"{e.within(ATOM)}.{what}()"
                    if what in names.METHODS - {"keys", "values", "copy"} and e.kind != "struct" and what in _BARE
                    else None
                )
                fields = "cell" if what in names.CELL_FIELDS else None
                e = E(code or names.attribute(e.within(ATOM), what, e.kind == "obj"), kind=fields)
                k += 1
            elif kind == ".(":
                e = E(f"{e.within(ATOM)}[{self.code(what)}]")
                k += 1
            elif kind == "(":
                e = self._indexed(e, what)
                k += 1
            elif kind == "{":
                e = self._braced(e, what)
                k += 1
            else:
                raise Untranslated(f"{quoted(str(what))} is not understood")
        return e

    def _super(self, name: str, given: list[Node]) -> E:
        return E(f"super().{name}({self.given(given)})")

    def _indexed(self, e: E, given: list[Node]) -> E:
        if e.kind == "fn" or not given:
            code = f"{e.within(ATOM)}({self.given(given)})"
            return E(f"rt.first({code})" if self.unit.folder.tuples and not self.whole else code)
        if len(given) == 1 and given[0].type == "spread_operator":
            return E(f"rt.colon({e.code})", kind="float" if e.kind == "float" else None)
        for table, find in (("vars", "getVarIndex"), ("params", "getParamIndex"), ("layers", "getLayerIndex")):
            root, steps = chain(given[0])
            if (
                e.code.endswith(f".{table}")
                and len(given) == 1
                and [s[0] for s in steps[-2:]] == [".", "("]
                and steps[-2][1] == find
            ):
                if len(steps[-1][1]) == 1 and f"{self.chained(root, steps[:-2]).code}.{table}" == e.code:
                    return E(f"{e.code}[{self.code(steps[-1][1][0])}]", kind="obj")
        if (
            e.kind is None
            and e.code.isidentifier()
            and e.code in self.scope.function.params
            and e.code not in self.scope.assigned
        ):
            self.uncertain = True  # an array or a function
        kind = e.kind if e.kind in ("str", "cell") else "float" if e.kind == "float" else None
        return E(f"at({e.code})[{self.index(given)}]", kind=kind)

    def _braced(self, e: E, given: list[Node]) -> E:
        if e.kind == "cell" and len(given) == 1:
            place = self.place(given[0])
            if place is not None:
                return E(f"{e.within(ATOM)}[{place}]")
        return E(f"inside({e.code})[{self.index(given)}]")

    def place(self, node: Node) -> str | None:
        """The 0-based position that an index is proved to be; None where it is not."""
        text = text_of(node).replace(" ", "")
        if text == "end":
            return "-1"
        if text.startswith("end-") and text[4:].isdecimal():
            return str(-1 - int(text[4:]))
        if "end" in text.split("(")[0] and any(True for _ in self._ends_of(node)):
            return None
        e = self.expr(node)
        if e.kind != "int":
            return None
        if e.code.isdecimal():
            return str(int(e.code) - 1) if int(e.code) else None
        if e.code.endswith(" + 1") and e.code.count(" ") == 2:
            return e.code[:-4]
        return f"{e.within(ADD)} - 1"

    # --- indexes ---------------------------------------------------------------------------------------------------

    def index(self, given: list[Node]) -> str:
        """The inside of at(x)[...]."""
        return ", ".join(self._one_index(node) for node in given)

    def _one_index(self, node: Node) -> str:
        if node.type == "spread_operator":
            return ":"
        if node.type == "range":
            parts = [p for p in items(node) if p.type != ":"]
            codes = [self._end_form(p) for p in parts]
            if all(codes):
                return f"{codes[0]}:{codes[1]}" if len(codes) == 2 else f"{codes[0]}:{codes[2]}:{codes[1]}"
        simple = self._end_form(node)
        if simple is not None:
            return simple
        self.ends += 1
        try:
            return f"lambda end: {self.code(node)}"
        finally:
            self.ends -= 1

    def _end_form(self, node: Node) -> str | None:
        """The code of an index with END in it; None where `end` is not added to, subtracted from or divided only."""
        if not any(True for _ in self._ends_of(node)):
            return self.code(node)
        if node.type == "end_keyword":
            return "END"
        if node.type == "binary_operator":
            left, right = (c for c in node.children if c.is_named)
            sign = next(text_of(c) for c in node.children if not c.is_named)
            ended = [any(True for _ in self._ends_of(side)) for side in (left, right)]
            if sign in "+-*/" and ended == [True, False]:
                inner = self._end_form(left)
                if inner is None:
                    return None
                inner = inner if sign in "+-" or inner == "END" else f"({inner})"
                return f"{inner} {sign} {self.expr(right).within(MUL)}"
        return None

    def _ends_of(self, node: Node) -> Any:
        """The `end`s in an index that are of the indexed variable itself."""
        if node.type == "end_keyword":
            yield node
        root, steps = chain(node)
        if steps and root.type == "identifier" and text_of(root) in self.scope.variables:
            return
        for c in node.children:
            yield from self._ends_of(c)

    # --- functions -------------------------------------------------------------------------------------------------

    def keywords(self, nodes: list[Node]) -> str:
        """Arguments of a constructor, 'name', value pairs as keywords where all names are written out."""
        named = nodes[::2]
        texts = [text_of(n)[1:-1] for n in named]
        plain = len(nodes) % 2 == 0 and all(n.type == "string" and t.isidentifier() for n, t in zip(named, texts))
        if not plain or any(names.identifier(t) != t for t in texts) or len(set(texts)) < len(texts):
            return self.given(nodes)
        return ", ".join(f"{t}={self.code(v)}" for t, v in zip(texts, nodes[1::2]))

    def call(self, name: str, nodes: list[Node], nargout: int = 1) -> E:
        """A call of a function by its name."""
        special = getattr(self, f"_call_{name}", None)
        if special is not None:
            found = special(nodes)
            if found is not None:
                return found
        own = self.unit.function(name)
        if own is not None:
            code, function = own
            if nodes:
                self.unit.folder.used_with.setdefault(name, set()).add(len(nodes))
            text = self.given(nodes)
            usual = max(len(function.outputs), 1)
            if "nargout" in function.uses and nargout != usual and not self.whole:
                text = f"{text}, nargout={nargout}" if text else f"nargout={nargout}"
            called = f"{code}({text})"
            if nargout == 1 and self.whole:
                self.unit.folder.tuples = self.unit.folder.tuples or function.several or function.varargout
            elif nargout == 1 and function.several:
                called += "[0]"
            elif nargout == 1 and function.varargout:
                called = f"rt.first({called})"
            return E(called)
        if name in self.unit.folder.classes:
            return E(f"{self.unit.class_code(name)}({self.given(nodes)})", kind="obj")
        if name in self.unit.folder.methods and nodes and names.function(name) is None:
            return E(f"{self.expr(nodes[0]).within(ATOM)}.{name}({self.given(nodes[1:])})")
        if name in self.unit.folder.scripts:
            raise Untranslated(f"{name} is a script, which shares the variables of its caller")
        found = names.function(name)
        if found is None:
            raise Untranslated(f"the function {name} is not known")
        code, f = found
        before, self.single = self.single, name in ("cellfun", "arrayfun", "structfun") and nargout == 1
        try:
            text = self.given(nodes)
        finally:
            self.single = before
        if nargout > 1 and name in ("cellfun", "arrayfun") and nodes[0].type == "handle_operator":
            inner = names.function(text_of(items(nodes[0])[-1]))
            if inner is not None and names.accepts_nargout(inner[1]):
                text = f"rt.wanting({inner[0]}, {nargout}), {self.given(nodes[1:])}"
        if nargout > 1 and names.accepts_nargout(f):
            text = f"{text}, nargout={nargout}" if text else f"nargout={nargout}"
        if name == "vl_argparse" and nargout == 1:
            text += ", strict=True"
        called = f"{code}({text})"
        if nargout == 1 and (name in names.TUPLES or (name in names.BACKWARD_TUPLES and self._derives(name, nodes))):
            called += "[0]"
        kind = names.KINDS.get(name)
        if kind is None or name.startswith("strcmp"):
            kind = self.result_kind(name, nodes, nargout) or (kind if not name.startswith("strcmp") else None)
        if name == "size" and len(nodes) == 2 and self.kind(nodes[1]) in ("int", "num"):
            kind = "int"
        if name in ("zeros", "ones", "rand", "randn", "eye") and not nodes:
            return E(called, ATOM, "num")
        return E(called, ATOM, kind)

    def result_kind(self, name: str, nodes: list[Node], nargout: int) -> str | None:
        """The kind of a result that depends on the arguments."""
        kinds = [self.kind(n) for n in nodes]
        if name.startswith("strcmp"):
            return None if "cell" in kinds or any(n.type == "cell" for n in nodes) else "bool"
        if name == "isfield" and len(nodes) == 2 and kinds[1] == "str":
            return "bool"
        if name in names.ELEMENTWISE and nargout == 1 and kinds and all(k in ("int", "num") for k in kinds):
            return "num" if name not in ("max", "min") or len(kinds) == 2 else None
        if name in names.OF_FLOATS and kinds and kinds[0] == "float":
            return (
                "float"
                if all(k in ("float", "int", "num", None) for k in kinds[1:]) or name in ("sum", "mean")
                else None
            )
        if name == "cell" and len(nodes) == 2 and text_of(nodes[0]) == "1":
            return "cell"
        if name in ("single", "double") and kinds and kinds[0] in ("int", "num", "float"):
            return "float"
        return None

    def _derives(self, name: str, nodes: list[Node]) -> bool:
        least = {"vl_nnconv": 4, "vl_nnconvt": 4, "vl_nnbilinearsampler": 3, "vl_nnpdist": 4}[name]
        return len(nodes) >= least and nodes[least - 1].type != "string"

    def handle(self, parts: list[str]) -> str:
        """The code of @name."""
        if len(parts) > 1:
            code = names.block(parts) or self.unit.packaged(parts)
            if code is None:
                raise Untranslated(f"the function {'.'.join(parts)} is not known")
            return code
        own = self.unit.function(parts[0])
        if own is not None:
            return own[0]
        if parts[0] in self.unit.folder.classes:
            return self.unit.class_code(parts[0])
        found = names.function(parts[0])
        if found is None:
            raise Untranslated(f"the function {parts[0]} is not known")
        return found[0]


# Methods that are called without parentheses, `net.reset ;`, too.
_BARE = {"reset", "initParams", "rebuild", "getInputs", "getOutputs", "getLayerExecutionOrder", "saveobj"}
