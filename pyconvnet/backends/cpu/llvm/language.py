"""The language of kernels: a small part of Python, translated to LLVM's intermediate representation.

numba knows all of Python and numpy, and takes its time for that: half a second and more a kernel, before LLVM begins.
Kernels use whole numbers (64 bits), floats, truth values, vectors of 16 floats, tuples of those, arrays that they are
given, `if`, `while` and `for .. in range`. They call each other's functions (`inner`), which become part of them, and
operations that are written in LLVM's representation (`op`). Anything else is an error when a kernel is compiled.

A name keeps the type of what it is first given. Whole numbers divide as Python's do, downwards; by zero they must not.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import F32, F64, I1, I32, I64, at, declare
from pyconvnet.backends.cpu.llvm.numbers import CONSTANTS, NotInLanguage, Numbers


class Op:
    """An operation: write(build, *values) returns a value, or None."""

    def __init__(self, write: Callable[..., Any]) -> None:
        self.write, self.__doc__ = write, write.__doc__


def op(write: Callable[..., Any]) -> Any:
    """An operation for kernels, from a function that writes it with an IRBuilder; its arguments are LLVM's values."""
    return Op(write)


class Inner:
    """A function that kernels call: it becomes a part of each of them."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn, self.__doc__ = fn, fn.__doc__


class Array(NamedTuple):
    """A contiguous array; of a part that begins later, the shape is not known."""

    address: Any
    shape: tuple[Any, ...]
    dtype: np.dtype


class _Slot(NamedTuple):
    """Where a name has its value."""

    pointer: Any
    kind: Any


class _Loop(NamedTuple):
    following: Any  # the block that goes on with the next round
    after: Any


_ELEMENTS = {"int64": I64, "uint64": I64, "uint32": I32, "float32": F32, "float64": F64}


def write_call(build: ir.IRBuilder, fn: Callable[..., Any], args: list[Any]) -> Any:
    """Write the body of a kernel or an inner function at the builder's place; returns what it returns."""
    return _Translation(build, fn, args).result


@lru_cache(maxsize=256)
def _parsed(fn: Callable[..., Any]) -> tuple[ast.FunctionDef, dict[str, Any]]:
    """(its syntax tree, the values of names from outside)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree, {**vars(builtins), **fn.__globals__, **inspect.getclosurevars(fn).nonlocals}


class _Translation(Numbers):
    """One function, with its own names."""

    def __init__(self, build: ir.IRBuilder, fn: Callable[..., Any], args: list[Any]) -> None:
        super().__init__(build)
        self.fn = fn
        self.tree, self.outside = _parsed(fn)
        self.names: dict[str, Any] = {}
        self.loops: list[_Loop] = []
        self.result: Any = None
        names = [a.arg for a in self.tree.args.args]
        if len(names) != len(args):
            raise TypeError(f"{fn.__name__} takes {len(names)} arguments, got {len(args)}")
        for name, value in zip(names, args):
            self.assign(name, value)
        for i, statement in enumerate(self.tree.body):
            if isinstance(statement, ast.Return):
                if i + 1 < len(self.tree.body):
                    raise TypeError(f"{fn.__name__}: return is the last statement of a function")
                self.result = None if statement.value is None else self.read(statement.value)
            else:
                self.statement(statement)

    # Names and arrays

    def assign(self, name: str, v: Any) -> None:
        v = self.value(v)
        if not isinstance(v, ir.Value):  # tuples and arrays
            self.names[name] = v
            return
        slot = self.names.get(name)
        if not isinstance(slot, _Slot):
            with self.build.goto_entry_block():
                slot = self.names[name] = _Slot(self.build.alloca(v.type, name=name), v.type)
        if slot.kind != v.type:
            raise NotInLanguage(f"{name} is {slot.kind} and becomes {v.type}")
        self.build.store(v, slot.pointer)

    def element(self, array: Array, places: list[Any]) -> tuple[Any, Any]:
        """(pointer, type) of an element."""
        place: Any = None
        for i, length in zip(places, array.shape):
            i = self.build.add(length, I64(i)) if isinstance(i, int) and i < 0 else self.value(i)
            place = i if place is None else self.build.add(self.build.mul(place, length), i)
        kind = _ELEMENTS[array.dtype.name]
        start = self.build.add(array.address, self.build.mul(place, I64(array.dtype.itemsize)))
        return at(self.build, start, kind), kind

    def loaded(self, array: Array, places: list[Any]) -> Any:
        pointer, kind = self.element(array, places)
        found = self.build.load(pointer)
        return self.build.zext(found, I64) if kind == I32 else found

    def stored(self, array: Array, places: list[Any], v: Any) -> None:
        pointer, kind = self.element(array, places)
        if kind in (F32, F64):
            v = self.real(v, kind)
        elif kind == I32:
            v = self.build.trunc(self.value(v), I32)
        self.build.store(self.value(v), pointer)

    def target(self, node: ast.expr, v: Any) -> None:
        """Give a value to what stands left of =."""
        if isinstance(node, ast.Name):
            self.assign(node.id, v)
        elif isinstance(node, ast.Subscript):
            self.stored(self.read(node.value), self.places(node), v)
        elif isinstance(node, ast.Tuple):
            if isinstance(v, Array):
                v = tuple(self.loaded(v, [i]) for i in range(len(node.elts)))
            if len(v) != len(node.elts):
                raise NotInLanguage(f"{len(v)} values for {len(node.elts)} names")
            for name, each in zip(node.elts, tuple(map(self.value, v))):
                self.target(name, each)
        else:
            raise NotInLanguage("only names, elements of arrays and tuples of those are given values")

    def places(self, node: ast.Subscript) -> list[Any]:
        index = node.slice
        return [self.read(i) for i in (index.elts if isinstance(index, ast.Tuple) else [index])]

    # Statements

    def statement(self, node: ast.stmt) -> None:
        if self.build.block.is_terminated:
            return
        try:
            self.write(node)
        except NotInLanguage as error:
            line = self.fn.__code__.co_firstlineno + node.lineno - 1
            where = f"{self.fn.__name__}, line {line} of {self.fn.__code__.co_filename}"
            raise TypeError(f"{where}: {error}") from error

    def write(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.For, ast.While)) and node.orelse:
            raise NotInLanguage("loops have no else")
        if isinstance(node, ast.Expr):
            if not isinstance(node.value, ast.Constant):  # that is a docstring
                self.read(node.value)
        elif isinstance(node, ast.Assign):
            v = self.read(node.value)
            for target in node.targets:
                self.target(target, v)
        elif isinstance(node, ast.AugAssign):
            self.target(node.target, self.binary(type(node.op), self.read(node.target), self.read(node.value)))
        elif isinstance(node, ast.If):
            self.branch(node)
        elif isinstance(node, ast.For):
            self.counted(node)
        elif isinstance(node, ast.While):
            self.loop(lambda: self.truth(self.read(node.test)), node.body)
        elif isinstance(node, (ast.Continue, ast.Break)):
            loop = self.loops[-1]
            self.build.branch(loop.following if isinstance(node, ast.Continue) else loop.after)
        else:
            raise NotInLanguage(f"kernels have no {type(node).__name__}")

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            self.statement(statement)

    def go(self, block: Any) -> None:
        if not self.build.block.is_terminated:
            self.build.branch(block)

    def branch(self, node: ast.If) -> None:
        test = self.truth(self.read(node.test))
        if isinstance(test, bool):
            self.body(node.body if test else node.orelse)
            return
        then, other, after = (self.build.append_basic_block() for _ in range(3))
        self.build.cbranch(test, then, other)
        for block, statements in ((then, node.body), (other, node.orelse)):
            self.build.position_at_end(block)
            self.body(statements)
            self.go(after)
        self.build.position_at_end(after)

    def counted(self, node: ast.For) -> None:
        call = node.iter
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "range"):
            raise NotInLanguage("loops are over a range")
        bounds = [self.value(self.read(a)) for a in call.args]
        start, stop = (I64(0), bounds[0]) if len(bounds) == 1 else bounds[:2]
        step = bounds[2] if len(bounds) == 3 else I64(1)
        if isinstance(step, ir.Constant) and step.constant < 1:
            raise NotInLanguage("ranges go upwards")
        with self.build.goto_entry_block():
            count = self.build.alloca(I64)
        self.build.store(start, count)

        def more() -> Any:
            now = self.build.load(count)
            self.target(node.target, now)
            return self.build.icmp_signed("<", now, stop)

        def next_round() -> None:
            self.build.store(self.build.add(self.build.load(count), step), count)

        self.loop(more, node.body, next_round)

    def loop(self, more: Callable[[], Any], statements: list[ast.stmt], next_round: Callable[[], None] | None = None):
        test, inside, following, after = (self.build.append_basic_block() for _ in range(4))
        self.build.branch(test)
        self.build.position_at_end(test)
        self.build.cbranch(self.value(more()), inside, after)
        self.build.position_at_end(inside)
        self.loops.append(_Loop(following, after))
        self.body(statements)
        self.loops.pop()
        self.go(following)
        self.build.position_at_end(following)
        if next_round:
            next_round()
        self.build.branch(test)
        self.build.position_at_end(after)

    # Expressions

    def read(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            found = self.names.get(node.id, self)
            if found is self:
                if node.id not in self.outside:
                    raise NotInLanguage(f"no name {node.id}")
                return self.outside[node.id]
            return self.build.load(found.pointer) if isinstance(found, _Slot) else found
        if isinstance(node, ast.Tuple):
            return tuple(self.read(e) for e in node.elts)
        if isinstance(node, ast.BinOp):
            return self.binary(type(node.op), self.read(node.left), self.read(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return self.negative(self.read(node.operand))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            v = self.truth(self.read(node.operand))
            return not v if isinstance(v, bool) else self.build.not_(v)
        if isinstance(node, ast.Compare):
            values = [self.read(v) for v in (node.left, *node.comparators)]
            each = [self.compared(type(kind), *pair) for kind, *pair in zip(node.ops, values, values[1:])]
            return reduce(self.build.and_, each)
        if isinstance(node, ast.BoolOp):
            return self.both(isinstance(node.op, ast.And), node.values)
        if isinstance(node, ast.IfExp):
            return self.choice(
                self.truth(self.read(node.test)), lambda: self.read(node.body), lambda: self.read(node.orelse)
            )
        if isinstance(node, ast.Attribute):
            return self.attribute(node)
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise NotInLanguage(f"kernels have no {type(node).__name__}")

    def both(self, every: bool, nodes: list[ast.expr]) -> Any:
        """`and` of all, or `or`: those after the first are read only where it does not decide."""
        first = self.truth(self.read(nodes[0]))
        if len(nodes) == 1:
            return first
        if isinstance(first, bool):
            return self.both(every, nodes[1:]) if first == every else first
        rest, decided = (lambda: self.value(self.both(every, nodes[1:]))), lambda: I1(int(not every))
        return self.choice(first, rest, decided) if every else self.choice(first, decided, rest)

    def choice(self, test: Any, then: Callable[[], Any], other: Callable[[], Any]) -> Any:
        if isinstance(test, bool):
            return then() if test else other()
        blocks = [self.build.append_basic_block() for _ in range(3)]
        self.build.cbranch(test, *blocks[:2])
        found: list[Any] = []
        ends = []
        for block, read in zip(blocks, (then, other)):
            self.build.position_at_end(block)
            found.append(read())
            ends.append(self.build.block)
        several = isinstance(found[0], tuple)
        if any(isinstance(v, float) for v in found) and all(isinstance(v, (int, float)) for v in found):
            found = [float(v) for v in found]
        pairs = [tuple(map(self.value, pair)) for pair in (zip(*found) if several else [found])]
        if any(a.type != b.type for a, b in pairs):
            raise NotInLanguage(f"{found[0]} or {found[1]}")
        for end in ends:
            self.build.position_at_end(end)
            self.build.branch(blocks[2])
        self.build.position_at_end(blocks[2])
        out = []
        for pair in pairs:
            phi = self.build.phi(pair[0].type)
            for v, end in zip(pair, ends):
                phi.add_incoming(v, end)
            out.append(phi)
        return tuple(out) if several else out[0]

    def attribute(self, node: ast.Attribute) -> Any:
        base = self.read(node.value)
        if not isinstance(base, Array):
            return getattr(base, node.attr)  # of a module, or a named tuple
        if node.attr == "shape":
            return base.shape
        if node.attr == "size":
            size = self.value(base.shape[0])
            for length in base.shape[1:]:
                size = self.build.mul(size, self.value(length))
            return size
        if node.attr == "ctypes":
            return _Place(base.address)
        raise NotInLanguage(f"arrays have no {node.attr} here")

    def given(self, v: Any) -> Any:
        """What an operation gets."""
        return tuple(map(self.given, v)) if isinstance(v, tuple) and not isinstance(v, Array) else self.value(v)

    def subscript(self, node: ast.Subscript) -> Any:
        base = self.read(node.value)
        if isinstance(base, Array) and isinstance(node.slice, ast.Slice):
            first = 0 if node.slice.lower is None else self.read(node.slice.lower)
            start = self.build.add(base.address, I64(base.dtype.itemsize * first))
            return Array(start, (None,), base.dtype)
        if isinstance(base, Array):
            return self.loaded(base, self.places(node))
        if isinstance(node.slice, ast.Slice):
            lower, upper = (None if e is None else self.read(e) for e in (node.slice.lower, node.slice.upper))
            return tuple(base[lower:upper])
        return base[self.read(node.slice)]

    def call(self, node: ast.Call) -> Any:
        if node.keywords:
            raise NotInLanguage("arguments have no names")
        fn, args = self.read(node.func), [self.read(a) for a in node.args]
        if isinstance(fn, Inner):
            return write_call(self.build, fn.fn, [a if isinstance(a, tuple) else self.value(a) for a in args])
        if isinstance(fn, Op):
            return fn.write(self.build, *map(self.given, args))
        if fn in (min, max):
            return self.extreme("<" if fn is min else ">", args)
        if fn is len:
            return args[0].shape[0]
        if fn in (np.float32, float):
            return (
                fn(args[0]) if isinstance(args[0], CONSTANTS) else self.real(args[0], F32 if fn is np.float32 else F64)
            )
        if fn is int and self.value(args[0]).type == I64:
            return args[0]
        name = {abs: "fabs"}.get(fn, getattr(fn, "__name__", ""))
        if name in ("fabs", "exp", "log") and len(args) == 1:
            v = self.real(args[0], F64)
            return self.build.call(declare(self.build.module, f"llvm.{name}.f64", F64, [F64]), [v])
        raise NotInLanguage(f"kernels cannot call {fn}")


class _Place(NamedTuple):
    """array.ctypes"""

    data: Any
