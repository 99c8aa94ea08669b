"""The register-blocked matrix kernel, written in LLVM IR.

It is the one building block of convolution here, forward and backward, direct and Winograd, and of fully connected
layers: a sum of small matrix products, C = sum over t of A_t B_t (Georganas et al., "Harnessing deep learning via a
single building block", 2020). C stays in registers: 14 x 32 floats with AVX-512's 32 registers, 6 x 16 with AVX2's 16.
There is one for each number of rows. They are compiled once for each machine, and other kernels call them through a
table of their addresses, so that none of these depends on the instruction set and none compiles them again.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import ir

from pyconvnet.backends.cpu.llvm.bfloat16 import add_products_of_pairs
from pyconvnet.backends.cpu.llvm.ir import (
    F32,
    I64,
    alloca,
    at,
    bits,
    build_prefetch,
    first_lanes,
    fma,
    masked_load,
    masked_store,
    splat,
    store_first,
    store_past,
    zeros,
)
from pyconvnet.backends.cpu.llvm.language import op

# Bits of `mode`: steps at the end, in this order; FAR: C is not in the caches and is prefetched at the start; STREAM:
# whole vectors of it are written past the caches, each to the beginning of a cache line.
ACCUMULATE, BIAS, RELU, FAR, STREAM = 4, 2, 1, 8, 16
_ARGUMENTS = "rows columns a a_row a_k taps count depth b b_k c c_row old bias mode ahead ahead_k".split()
# A table of kernels holds the lanes of a vector, and from each of these slots on the kernels for 1, 2 .. rows: of two
# whole vectors of columns, of two with the last one masked, of one masked vector, and of one and a masked half: 20 or
# 24 columns take three quarters of the time of 32.
WHOLE, WIDE, NARROW, MIXED = 0, 16, 32, 48
# Seventeen arguments do not fit into registers, so they are passed as the address of an array.
_KIND = ir.FunctionType(ir.VoidType(), [I64])


def _loaded(build, table):
    """The arguments in a table, by their names."""
    places = [build.add(table, I64(8 * i)) for i in range(len(_ARGUMENTS))]
    return {name: build.load(at(build, place, I64)) for name, place in zip(_ARGUMENTS, places)}


def _hidden(build, number):
    """The same number, its origin hidden: LLVM would recompute it as a chain of sums, or keep all of its values."""
    return build.asm(ir.FunctionType(I64, [I64]), "", "=r,0", [number], side_effect=False)


class _Tile:
    """Writes the IR of one kernel: `rows` x `vectors` registers of `lanes` numbers, masked in the last vector or not.

    half   the last vector has half as many
    masks  the CPU stores what is masked as fast as a whole vector: AVX-512
    """

    def __init__(self, module, rows, vectors, lanes, masked, half, pairs, number, masks):
        self.rows, self.vectors, self.lanes, self.masked = rows, vectors, lanes, masked
        self.last = lanes // 2 if half else lanes
        self.number, self.size, self.masks = number, bits(number) // 8, masks
        self.types = [ir.VectorType(number, lanes)] * (vectors - 1) + [ir.VectorType(number, self.last)]
        self.multiply_add = add_products_of_pairs if pairs else fma
        name = f"tile_{rows}x{vectors}x{lanes}" + ("_half" if half else "") + ("_masked" if masked else "")
        name += f"_{number}" + ("_pairs" if pairs else "")
        self.fn = ir.Function(module, _KIND, name)
        self.write()

    def columns_of_last(self, build):
        """Number of columns in the last vector."""
        return build.sub(self.arg["columns"], I64((self.vectors - 1) * self.lanes))

    def along(self, build, row, j):
        """The address of vector j of a row."""
        return build.add(row, I64(self.size * self.lanes * j)) if j else row

    def load(self, build, address, j):
        where = self.along(build, address, j)
        if self.masked and j == self.vectors - 1:
            return masked_load(build, where, self.lanes_in_use, self.zero(j))
        return build.load(at(build, where, self.types[j]), align=4)

    def zero(self, j):
        return zeros(self.types[j])

    def store(self, build, sums, stream=False):
        last = [[], []]
        for row, values in zip(self.rows_of(build, "c"), sums):
            for j, value in enumerate(values):
                where = self.along(build, row, j)
                if self.masked and j == self.vectors - 1:
                    last[0].append(value)
                    last[1].append(where)
                else:
                    place = at(build, where, self.types[j])
                    store_past(build, value, place) if stream else build.store(value, place, align=4)
        if self.masked and self.masks:
            for value, where in zip(*last):
                masked_store(build, value, where, self.lanes_in_use)
        elif self.masked:
            store_first(build, *last, self.columns_of_last(build))

    def grid(self, make):
        return [[make(i, j) for j in range(self.vectors)] for i in range(self.rows)]

    def write(self):
        fn = self.fn
        entry, tap, k_loop, tap_end, done = (fn.append_basic_block(n) for n in ("entry", "tap", "k", "tap_end", "done"))
        build = ir.IRBuilder(entry)
        arg = self.arg = _loaded(build, fn.args[0])
        self.lanes_in_use = first_lanes(build, self.columns_of_last(build), self.last) if self.masked else None
        a_row, a_k, b_k, self.c_row = (build.mul(arg[n], I64(self.size)) for n in ("a_row", "a_k", "b_k", "c_row"))
        apart = [None, a_row, _hidden(build, build.mul(a_row, I64(2)))]
        first = build.select(build.icmp_signed("==", arg["ahead"], I64(0)), arg["taps"], arg["ahead"])
        far, own, other, further, start = map(fn.append_basic_block, ("far", "own", "other", "further", "start"))
        build.cbranch(self.asked(build, FAR), far, start)
        build.position_at_end(far)
        build.cbranch(self.asked(build, STREAM), other, own)
        build.position_at_end(own)
        self.prefetch(build, "c", True)
        build.branch(other)
        build.position_at_end(other)
        apart_from_c = build.icmp_signed("!=", arg["old"], arg["c"])
        build.cbranch(build.and_(self.asked(build, ACCUMULATE), apart_from_c), further, start)
        build.position_at_end(further)
        self.prefetch(build, "old", False)
        build.branch(start)
        build.position_at_end(start)
        build.branch(tap)

        build.position_at_end(tap)  # for each product of the sum: offsets of its A and B from the table
        t, ahead = build.phi(I64), build.phi(I64)
        t.add_incoming(I64(0), start)
        # without an address to prefetch, use one at hand
        ahead.add_incoming(first, start)
        outer = self.grid(lambda i, j: build.phi(self.types[j]))
        self.each(outer, lambda p, i, j: p.add_incoming(self.zero(j), start))
        row = build.add(arg["taps"], build.mul(t, I64(16)))
        a_start = build.add(arg["a"], build.mul(build.load(at(build, row, I64)), I64(self.size)))
        a_starts = [build.add(a_start, build.mul(a_row, I64(i))) for i in range(0, self.rows, 3)]
        b_start = build.add(arg["b"], build.mul(build.load(at(build, build.add(row, I64(8)), I64)), I64(self.size)))
        build.branch(k_loop)

        build.position_at_end(k_loop)  # C += (column k of A) (row k of B)
        k, b_now, ahead_now = build.phi(I64), build.phi(I64), build.phi(I64)
        k.add_incoming(I64(0), tap)
        a_now = [build.phi(I64) for _ in a_starts]
        for phi, first in zip(a_now, a_starts):
            phi.add_incoming(first, tap)
        b_now.add_incoming(b_start, tap)
        ahead_now.add_incoming(ahead, tap)
        inner = self.grid(lambda i, j: build.phi(self.types[j]))
        self.each(inner, lambda p, i, j: p.add_incoming(outer[i][j], tap))
        build_prefetch(build, ahead_now, False, far=True)
        right = [self.load(build, b_now, j) for j in range(self.vectors)]
        sums = []
        held = [_hidden(build, phi) for phi in a_now]
        for i in range(self.rows):
            here, between = held[i // 3], i % 3
            left = build.load(at(build, build.add(here, apart[between]) if between else here, self.number))
            lefts = {lanes: splat(build, left, lanes) for lanes in {t.count for t in self.types}}
            sums.append([self.multiply_add(build, lefts[b.type.count], b, c) for b, c in zip(right, inner[i])])
        k_next, b_next = build.add(k, I64(1)), build.add(b_now, b_k)
        ahead_next = build.add(ahead_now, arg["ahead_k"])
        k.add_incoming(k_next, k_loop)
        ahead_now.add_incoming(ahead_next, k_loop)
        for phi, there in zip(a_now, held):
            phi.add_incoming(build.add(there, a_k), k_loop)
        b_now.add_incoming(b_next, k_loop)
        self.each(inner, lambda p, i, j: p.add_incoming(sums[i][j], k_loop))
        build.cbranch(build.icmp_signed("<", k_next, arg["depth"]), k_loop, tap_end)

        build.position_at_end(tap_end)
        t_next = build.add(t, I64(1))
        t.add_incoming(t_next, tap_end)
        ahead.add_incoming(ahead_next, tap_end)
        self.each(outer, lambda p, i, j: p.add_incoming(sums[i][j], tap_end))
        build.cbranch(build.icmp_signed("<", t_next, arg["count"]), tap, done)

        build.position_at_end(done)
        sums = self.when(build, ACCUMULATE, sums, self.add_old)
        sums = self.when(build, BIAS, sums, self.add_bias)
        sums = self.when(build, RELU, sums, self.rectify)
        if not self.masked:
            past, through = fn.append_basic_block("past"), fn.append_basic_block("through")
            build.cbranch(self.asked(build, STREAM), past, through)
            build.position_at_end(past)
            self.store(build, sums, stream=True)
            build.ret_void()
            build.position_at_end(through)
        self.store(build, sums)
        build.ret_void()

    @staticmethod
    def each(grid, act):
        for i, row in enumerate(grid):
            for j, value in enumerate(row):
                act(value, i, j)

    def prefetch(self, build, matrix, to_write):
        for row in self.rows_of(build, matrix):
            for j in range(0, self.size * self.lanes * self.vectors, 64):
                build_prefetch(build, build.add(row, I64(j)), to_write)

    def rows_of(self, build, matrix):
        """Where each row of C begins, or of the matrix that is added to it."""
        return [build.add(self.arg[matrix], build.mul(self.c_row, I64(i))) for i in range(self.rows)]

    def add_old(self, build, sums):
        rows = self.rows_of(build, "old")
        return self.grid(lambda i, j: build.fadd(sums[i][j], self.load(build, rows[i], j)))

    def add_bias(self, build, sums):
        bias = [self.load(build, self.arg["bias"], j) for j in range(self.vectors)]
        return self.grid(lambda i, j: build.fadd(sums[i][j], bias[j]))

    def rectify(self, build, sums):
        def positive(i, j):  # 0 for NaN, as MATLAB's maximum
            return build.select(build.fcmp_ordered(">", sums[i][j], self.zero(j)), sums[i][j], self.zero(j))

        return self.grid(positive)

    def asked(self, build, bit):
        return build.icmp_signed("!=", build.and_(self.arg["mode"], I64(bit)), I64(0))

    def when(self, build, bit, sums, change):
        """`sums`, changed if `mode` has the bit."""
        before = build.block
        then, after = self.fn.append_basic_block(), self.fn.append_basic_block()
        build.cbranch(self.asked(build, bit), then, after)
        build.position_at_end(then)
        changed = change(build, sums)
        build.branch(after)
        then = build.block
        build.position_at_end(after)
        out = self.grid(lambda i, j: build.phi(self.types[j]))
        self.each(out, lambda p, i, j: (p.add_incoming(sums[i][j], before), p.add_incoming(changed[i][j], then)))
        return out


class Registers(NamedTuple):
    """The tile of C that an instruction set has registers for: `rows` x two vectors of `lanes` floats."""

    rows: int
    lanes: int


REGISTERS = {"avx512": Registers(14, 16), "avx2": Registers(6, 8)}


def write_tiles(module, level, pairs=False, number=F32):
    """{slot: function} of the table for an instruction set, but for its first number, the lanes.

    pairs   A and B hold pairs of bfloat16 in place of floats
    number  F64: all are doubles, half as many to a vector
    """
    most_rows, lanes = REGISTERS[level]
    lanes = lanes * 32 // bits(number)
    kinds = [(WHOLE, 2, False, False), (WIDE, 2, True, False), (NARROW, 1, True, False)]
    halves = level == "avx512" and not pairs  # half a vector of AVX2 takes as long as a whole one
    kinds += [(MIXED, 2, True, True)] if halves else []
    table = {
        kind + rows: _Tile(module, rows, vectors, lanes, masked, half, pairs, number, level == "avx512").fn
        for kind, vectors, masked, half in kinds
        for rows in range(1, most_rows + 1)
    }
    return table if halves else table | {MIXED + rows: table[WIDE + rows] for rows in range(1, most_rows + 1)}


@op
def call_tile(
    build, kernel, rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, old, bias, mode, ahead, ahead_k
):
    """C[rows, columns] = sum over t, k of A[rows, k] B[k, columns]; kernel is the address of a table of kernels.

    a, b, c, old, bias, taps are byte addresses; a_row, a_k, b_k, c_row are strides in elements; A_t and B_t start at
    a + taps[t, 0] and b + taps[t, 1] (elements) and are `depth` deep; mode is a sum of ACCUMULATE (the matrix at `old`,
    with rows as far apart as those of C, is added), BIAS, RELU, FAR and STREAM. Prefetches from `ahead` into the second
    level of the cache, advancing `ahead_k` bytes per k (0: no prefetch).
    """
    given = rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, old, bias, mode, ahead, ahead_k
    table = alloca(build, ir.ArrayType(I64, len(_ARGUMENTS)))
    for i, value in enumerate(given):
        build.store(value, build.gep(table, [I64(0), I64(i)]))
    lanes = build.load(at(build, kernel, I64))
    mixed = build.icmp_signed("<=", columns, build.add(lanes, build.ashr(lanes, I64(1))))
    partial = build.select(mixed, I64(MIXED), I64(WIDE))
    partial = build.select(build.icmp_signed("<=", columns, lanes), I64(NARROW), partial)
    kind = build.select(build.icmp_signed("==", columns, build.shl(lanes, I64(1))), I64(WHOLE), partial)
    slot = build.add(kernel, build.shl(build.add(kind, rows), I64(3)))
    build.call(build.load(at(build, slot, _KIND.as_pointer())), [build.ptrtoint(table, I64)])


@op
def no_offset(build):
    """The address of `taps` for one product whose A and B begin at a and b."""
    known = build.module.globals.get("no_offset")
    if known is None:
        pair = ir.ArrayType(I64, 2)
        known = ir.GlobalVariable(build.module, pair, "no_offset")
        known.linkage, known.global_constant, known.initializer = "internal", True, ir.Constant(pair, [0, 0])
    return build.ptrtoint(known, I64)
