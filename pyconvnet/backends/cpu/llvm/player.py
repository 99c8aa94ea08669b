"""Plays a list of kernel calls, one after the other, without Python between them; written in LLVM IR."""

from __future__ import annotations

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.ir import I32, I64, at, counted

COLUMNS = 2  # of the list: the address of a kernel's entry, and that of its arguments
_ENTRY = ir.FunctionType(ir.VoidType(), [I64] * 4)
_TEAM = ir.FunctionType(ir.VoidType(), [I64] * 7 + [I32])  # as numba's pools of threads have it


def write_player(module: ir.Module) -> dict[int, ir.Function]:
    """play(calls, count, team, threads, first, parts, step): arguments as `threads.team` gives them."""
    fn = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 7), "play")
    calls, count, team, threads, *tables = fn.args
    build = ir.IRBuilder(fn.append_basic_block("entry"))
    with counted(build, count) as index:
        row = build.add(calls, build.mul(index, I64(8 * COLUMNS)))
        entry, arguments = (build.load(at(build, build.add(row, I64(8 * i)), I64)) for i in range(COLUMNS))
        with build.if_else(build.icmp_signed("==", team, I64(0))) as (alone, together):
            with alone:
                build.call(at(build, entry, _ENTRY), [*tables, arguments])
            with together:
                given = [entry, *tables, arguments, I64(0), I64(1), build.trunc(threads, I32)]
                build.call(at(build, team, _TEAM), given)
    build.ret_void()
    return {0: fn}
