"""Numbers of kernels: constants of Python, and whole numbers, floats and truth values of LLVM; arithmetic with them."""

from __future__ import annotations

import ast
import operator
from typing import Any

import numpy as np
from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import F32, F64, I1, I64

_COMPARED = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_FOLDED = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_WHOLE = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.LShift: "shl", ast.RShift: "ashr"}
_WHOLE |= {ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor"}
_REAL = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
CONSTANTS = bool, int, float, np.floating


class NotInLanguage(TypeError):
    """What kernels do not have."""


class Numbers:
    """Writes with an IRBuilder; numbers that Python knows are computed by Python."""

    def __init__(self, build: ir.IRBuilder) -> None:
        self.build = build

    def value(self, v: Any) -> Any:
        """LLVM's value of a constant."""
        if isinstance(v, bool):
            return I1(int(v))
        if isinstance(v, (int, np.integer)):
            return I64(int(v))
        if isinstance(v, np.float32):
            return F32(float(v))
        return F64(float(v)) if isinstance(v, (float, np.float64)) else v

    def truth(self, v: Any) -> Any:
        """A constant, or a truth value."""
        if isinstance(v, CONSTANTS):
            return bool(v)
        return v if v.type == I1 else self.build.icmp_signed("!=", v, I64(0))

    def real(self, v: Any, kind: Any) -> Any:
        """A number as a float of that kind."""
        v = self.value(v)
        if v.type == kind:
            return v
        if v.type == I64:
            return self.build.sitofp(v, kind)
        return self.build.fpext(v, kind) if kind == F64 else self.build.fptrunc(v, kind)

    def common(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Two numbers, as of one type."""
        a, b = self.value(a), self.value(b)
        if a.type != b.type and I1 not in (a.type, b.type):
            a, b = self.real(a, F64), self.real(b, F64)
        if a.type != b.type:
            raise NotInLanguage(f"{a.type} meets {b.type}")
        return a, b

    def binary(self, kind: type[ast.operator], a: Any, b: Any) -> Any:
        """Of two numbers, what an operator of Python's gives."""
        if isinstance(a, CONSTANTS) and isinstance(b, CONSTANTS):
            return _FOLDED[kind](a, b)
        if kind is ast.Pow and isinstance(b, int) and b == 2:
            return self.binary(ast.Mult, a, a)
        if kind is ast.Div and self.value(a).type == self.value(b).type == I64:
            a = self.real(a, F64)
        divisor = b
        a, b = self.common(a, b)
        if a.type in (F32, F64) and kind in _REAL:
            return getattr(self.build, _REAL[kind])(a, b)
        if a.type == I64 and kind in _WHOLE:
            return getattr(self.build, _WHOLE[kind])(a, b)
        if a.type == I64 and kind in (ast.FloorDiv, ast.Mod):
            return self.divided(a, b, divisor, kind is ast.Mod)
        raise NotInLanguage(f"no {kind.__name__} of {a.type}")

    def divided(self, a: Any, b: Any, divisor: Any, rest: bool) -> Any:
        """a // b or a % b, downwards."""
        build = self.build
        if isinstance(divisor, int) and divisor > 0 and divisor & (divisor - 1) == 0:
            return build.and_(a, I64(divisor - 1)) if rest else build.ashr(a, I64(divisor.bit_length() - 1))
        left = build.srem(a, b)
        off = build.and_(build.icmp_signed("!=", left, I64(0)), build.icmp_signed("<", build.xor(left, b), I64(0)))
        if rest:
            return build.select(off, build.add(left, b), left)
        return build.sub(build.sdiv(a, b), build.zext(off, I64))

    def negative(self, v: Any) -> Any:
        if isinstance(v, CONSTANTS):
            return -v
        return self.build.neg(v) if v.type == I64 else self.build.fneg(v)

    def compared(self, kind: type[ast.cmpop], a: Any, b: Any) -> Any:
        if isinstance(a, CONSTANTS) and isinstance(b, CONSTANTS):
            raise NotInLanguage("two constants are compared")
        a, b = self.common(a, b)
        sign = _COMPARED[kind]
        if a.type in (F32, F64):
            return (self.build.fcmp_unordered if sign == "!=" else self.build.fcmp_ordered)(sign, a, b)
        return self.build.icmp_signed(sign, a, b)

    def extreme(self, sign: str, args: list[Any]) -> Any:
        """The smallest ("<") or largest (">") of whole numbers."""
        out = args[0]
        for v in args[1:]:
            if isinstance(out, CONSTANTS) and isinstance(v, CONSTANTS):
                out = min(out, v) if sign == "<" else max(out, v)
                continue
            a, b = self.common(out, v)
            out = self.build.select(self.build.icmp_signed(sign, a, b), a, b)
        return out
