"""All that is written in LLVM IR: a vector of 16 floats for numba code, and the register-blocked matrix kernel.

The matrix kernel is the one building block of convolution here, forward and backward, direct and Winograd, and of fully
connected layers: a sum of small matrix products, C = sum over t of A_t B_t (Georganas et al., "Harnessing deep
learning via a single building block", 2020). C stays in registers: 14 x 32 floats with AVX-512's 32 registers, 6 x 16
with AVX2's 16. It is compiled once for each machine as a C function; other kernels call it through its address, so that
none of them depends on the instruction set and none compiles it again.
"""

from __future__ import annotations

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model

F32, I1, I32, I64 = ir.FloatType(), ir.IntType(1), ir.IntType(32), ir.IntType(64)
_POINTER_SUFFIX = "p0" if llvmlite.binding.llvm_version_info[0] >= 15 else None


# ---- a vector of 16 floats -------------------------------------------------------------------------------------------
class F32x16Type(types.Type):
    """16 floats in registers: one of AVX-512, two of AVX2."""

    def __init__(self):
        super().__init__("F32x16")


f32x16 = F32x16Type()
V16 = ir.VectorType(F32, 16)


@register_model(F32x16Type)
class _F32x16Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, V16)


def _at(build, address, kind):
    return build.inttoptr(address, kind.as_pointer())


def _splat(build, scalar, lanes):
    nothing = ir.Constant(ir.VectorType(F32, lanes), ir.Undefined)
    first = build.insert_element(nothing, scalar, I32(0))
    return build.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _declare(module, name, result, arguments):
    if name in module.globals:
        return module.globals[name]
    return ir.Function(module, ir.FunctionType(result, arguments), name)


def _fma(module, lanes):
    v = ir.VectorType(F32, lanes)
    return _declare(module, f"llvm.fma.v{lanes}f32", v, [v] * 3)


@intrinsic
def vload(context, address):
    """16 floats from a byte address, of any alignment."""

    def code(ctx, build, signature, args):
        value = build.load(_at(build, args[0], V16))
        value.align = 4
        return value

    return f32x16(types.int64), code


@intrinsic
def vstore(context, address, value):
    """16 floats to a byte address."""

    def code(ctx, build, signature, args):
        build.store(args[1], _at(build, args[0], V16)).align = 4
        return ctx.get_dummy_value()

    return types.void(types.int64, f32x16), code


@intrinsic
def fload(context, address):
    """One float from a byte address."""
    return types.float32(types.int64), lambda ctx, build, signature, args: build.load(_at(build, args[0], F32))


@intrinsic
def fstore(context, address, value):
    """One float to a byte address."""

    def code(ctx, build, signature, args):
        build.store(args[1], _at(build, args[0], F32))
        return ctx.get_dummy_value()

    return types.void(types.int64, types.float32), code


@intrinsic
def vset1(context, value):
    """The same float in all 16 lanes."""
    return f32x16(types.float32), lambda ctx, build, signature, args: _splat(build, args[0], 16)


def _arithmetic(name):
    @intrinsic
    def op(context, x, y):
        return f32x16(f32x16, f32x16), lambda ctx, build, signature, args: getattr(build, name)(*args)

    return op


vadd, vsub, vmul = _arithmetic("fadd"), _arithmetic("fsub"), _arithmetic("fmul")


@intrinsic
def vfma(context, x, y, z):
    """x y + z, rounded once."""
    return f32x16(f32x16, f32x16, f32x16), lambda ctx, build, signature, args: build.call(_fma(build.module, 16), args)


@intrinsic
def vlargest(context, x, y):
    """The larger; x where it is not a number: a diverging network must show it."""

    def code(ctx, build, signature, args):
        return build.select(build.fcmp_unordered(">=", *args), *args)

    return f32x16(f32x16, f32x16), code


# ---- a checksum ------------------------------------------------------------------------------------------------------
LANES = 64  # 64-bit words that are mixed side by side: 512 bytes


@intrinsic
def mix(context, sums, memory, count):
    """sums[i] = (sums[i] xor word) prime, for `count` rows of LANES 64-bit words; sums and memory are addresses.

    This is FNV-1a on 64-bit words. The prime is odd, so that no change of one word in a lane goes unseen.
    """

    def code(ctx, build, signature, args):
        v = ir.VectorType(I64, 8)
        prime = ir.Constant(v, [0x100000001B3] * 8)
        places = [I64(64 * i) for i in range(LANES // 8)]
        fn, entry = build.function, build.block
        loop, after = fn.append_basic_block("mix"), fn.append_basic_block("mixed")
        start = [build.load(_at(build, build.add(args[0], p), v), align=8) for p in places]
        build.cbranch(build.icmp_signed(">", args[2], I64(0)), loop, after)
        build.position_at_end(loop)
        i, now = build.phi(I64), build.phi(I64)
        old = [build.phi(v) for _ in places]
        words = [build.load(_at(build, build.add(now, p), v), align=4) for p in places]
        new = [build.mul(build.xor(o, w), prime) for o, w in zip(old, words)]
        i_next, now_next = build.add(i, I64(1)), build.add(now, I64(8 * LANES))
        for phi, first, following in [(i, I64(0), i_next), (now, args[1], now_next), *zip(old, start, new)]:
            phi.add_incoming(first, entry)
            phi.add_incoming(following, loop)
        build.cbranch(build.icmp_signed("<", i_next, args[2]), loop, after)
        build.position_at_end(after)
        last = [build.phi(v) for _ in places]
        for phi, s, n in zip(last, start, new):
            phi.add_incoming(s, entry)
            phi.add_incoming(n, loop)
        for p, phi in zip(places, last):
            build.store(phi, _at(build, build.add(args[0], p), v), align=8)
        return ctx.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


# ---- the matrix kernel -----------------------------------------------------------------------------------------------
# What `mode` adds at the end, in this order.
ACCUMULATE, BIAS, RELU = 4, 2, 1
ARGUMENTS = "rows columns a a_row a_k taps count depth b b_k c c_row bias mode".split()


class _Tile:
    """Writes the IR of one kernel: `rows` x `vectors` registers of `lanes` floats, masked in the last vector or not."""

    def __init__(self, module, rows, vectors, lanes, masked):
        self.rows, self.vectors, self.lanes, self.masked = rows, vectors, lanes, masked
        self.v = ir.VectorType(F32, lanes)
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(ARGUMENTS))
        name = f"tile_{rows}x{vectors}x{lanes}" + ("_masked" if masked else "")
        self.fn = ir.Function(module, kind, name)
        self.fn.linkage = "internal"
        self.fn.attributes.add("noinline")
        self.arg = dict(zip(ARGUMENTS, self.fn.args))
        self.write()

    def mask(self, build):
        """Lanes of the last vector that hold columns."""
        valid = build.sub(self.arg["columns"], I64((self.vectors - 1) * self.lanes))
        lane = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
        nothing = ir.Constant(ir.VectorType(I32, self.lanes), ir.Undefined)
        first = build.insert_element(nothing, build.trunc(valid, I32), I32(0))
        zeros = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return build.icmp_signed("<", lane, build.shuffle_vector(first, nothing, zeros))

    def load(self, build, address, j):
        where = build.add(address, I64(4 * self.lanes * j))
        if self.masked and j == self.vectors - 1:
            pointer = _at(build, where, self.v)
            masks = ir.VectorType(I1, self.lanes)
            name = f"llvm.masked.load.v{self.lanes}f32." + (_POINTER_SUFFIX or f"p0v{self.lanes}f32")
            read = _declare(build.module, name, self.v, [pointer.type, I32, masks, self.v])
            return build.call(read, [pointer, I32(4), self.lanes_in_use, ir.Constant(self.v, [0.0] * self.lanes)])
        value = build.load(_at(build, where, self.v))
        value.align = 4
        return value

    def store(self, build, value, address, j):
        where = build.add(address, I64(4 * self.lanes * j))
        pointer = _at(build, where, self.v)
        if self.masked and j == self.vectors - 1:
            masks = ir.VectorType(I1, self.lanes)
            name = f"llvm.masked.store.v{self.lanes}f32." + (_POINTER_SUFFIX or f"p0v{self.lanes}f32")
            write = _declare(build.module, name, ir.VoidType(), [self.v, pointer.type, I32, masks])
            build.call(write, [value, pointer, I32(4), self.lanes_in_use])
        else:
            build.store(value, pointer).align = 4

    def grid(self, make):
        return [[make(i, j) for j in range(self.vectors)] for i in range(self.rows)]

    def write(self):
        arg, fn = self.arg, self.fn
        entry, tap, k_loop, tap_end, done = (fn.append_basic_block(n) for n in ("entry", "tap", "k", "tap_end", "done"))
        build = ir.IRBuilder(entry)
        self.lanes_in_use = self.mask(build) if self.masked else None
        a_row, a_k, b_k, self.c_row = (build.mul(arg[n], I64(4)) for n in ("a_row", "a_k", "b_k", "c_row"))
        zero = ir.Constant(self.v, [0.0] * self.lanes)
        build.branch(tap)

        build.position_at_end(tap)  # for each product of the sum: offsets of its A and B from the table
        t = build.phi(I64)
        t.add_incoming(I64(0), entry)
        outer = self.grid(lambda i, j: build.phi(self.v))
        self.each(outer, lambda p, i, j: p.add_incoming(zero, entry))
        row = build.add(arg["taps"], build.mul(t, I64(16)))
        a_start = build.add(arg["a"], build.mul(build.load(_at(build, row, I64)), I64(4)))
        b_start = build.add(arg["b"], build.mul(build.load(_at(build, build.add(row, I64(8)), I64)), I64(4)))
        build.branch(k_loop)

        build.position_at_end(k_loop)  # C += (column k of A) (row k of B)
        k, a_now, b_now = build.phi(I64), build.phi(I64), build.phi(I64)
        k.add_incoming(I64(0), tap)
        a_now.add_incoming(a_start, tap)
        b_now.add_incoming(b_start, tap)
        inner = self.grid(lambda i, j: build.phi(self.v))
        self.each(inner, lambda p, i, j: p.add_incoming(outer[i][j], tap))
        right = [self.load(build, b_now, j) for j in range(self.vectors)]
        sums = []
        for i in range(self.rows):
            left = build.load(_at(build, build.add(a_now, build.mul(a_row, I64(i))), F32))
            left = _splat(build, left, self.lanes)
            fma = _fma(build.module, self.lanes)
            sums.append([build.call(fma, [left, right[j], inner[i][j]]) for j in range(self.vectors)])
        k_next, a_next, b_next = build.add(k, I64(1)), build.add(a_now, a_k), build.add(b_now, b_k)
        k.add_incoming(k_next, k_loop)
        a_now.add_incoming(a_next, k_loop)
        b_now.add_incoming(b_next, k_loop)
        self.each(inner, lambda p, i, j: p.add_incoming(sums[i][j], k_loop))
        build.cbranch(build.icmp_signed("<", k_next, arg["depth"]), k_loop, tap_end)

        build.position_at_end(tap_end)
        t_next = build.add(t, I64(1))
        t.add_incoming(t_next, tap_end)
        self.each(outer, lambda p, i, j: p.add_incoming(sums[i][j], tap_end))
        build.cbranch(build.icmp_signed("<", t_next, arg["count"]), tap, done)

        build.position_at_end(done)
        sums = self.when(build, ACCUMULATE, sums, self.add_old)
        sums = self.when(build, BIAS, sums, self.add_bias)
        sums = self.when(build, RELU, sums, self.rectify)
        for i in range(self.rows):
            for j in range(self.vectors):
                self.store(build, sums[i][j], self.c_address(build, i), j)
        build.ret_void()

    @staticmethod
    def each(grid, act):
        for i, row in enumerate(grid):
            for j, value in enumerate(row):
                act(value, i, j)

    def c_address(self, build, i):
        return build.add(self.arg["c"], build.mul(self.c_row, I64(i)))

    def add_old(self, build, sums):
        return self.grid(lambda i, j: build.fadd(sums[i][j], self.load(build, self.c_address(build, i), j)))

    def add_bias(self, build, sums):
        bias = [self.load(build, self.arg["bias"], j) for j in range(self.vectors)]
        return self.grid(lambda i, j: build.fadd(sums[i][j], bias[j]))

    def rectify(self, build, sums):
        zero = ir.Constant(self.v, [0.0] * self.lanes)

        def positive(i, j):  # not a number stays so: a diverging network must show it
            return build.select(build.fcmp_ordered("<=", sums[i][j], zero), zero, sums[i][j])

        return self.grid(positive)

    def when(self, build, bit, sums, change):
        """`sums`, changed if `mode` has the bit."""
        before = build.block
        then, after = self.fn.append_basic_block(), self.fn.append_basic_block()
        build.cbranch(build.icmp_signed("!=", build.and_(self.arg["mode"], I64(bit)), I64(0)), then, after)
        build.position_at_end(then)
        changed = change(build, sums)
        build.branch(after)
        then = build.block
        build.position_at_end(after)
        out = self.grid(lambda i, j: build.phi(self.v))
        self.each(out, lambda p, i, j: (p.add_incoming(sums[i][j], before), p.add_incoming(changed[i][j], then)))
        return out


def _dispatching_tile(most_rows, lanes):
    """Calls the kernel of the asked number of rows, 1 .. most_rows, and columns, 1 .. 2 lanes."""

    def body(ctx, build, signature, args):
        rows, columns = args[:2]
        fn, module = build.function, build.module
        whole = build.icmp_signed("==", columns, I64(2 * lanes))
        narrow = build.icmp_signed("<=", columns, I64(lanes))
        blocks = {n: fn.append_basic_block(n) for n in ("whole", "partial", "wide", "narrow")}
        after = fn.append_basic_block("after")
        build.cbranch(whole, blocks["whole"], blocks["partial"])
        build.position_at_end(blocks["partial"])
        build.cbranch(narrow, blocks["narrow"], blocks["wide"])
        for name, vectors, masked in (("whole", 2, False), ("wide", 2, True), ("narrow", 1, True)):
            build.position_at_end(blocks[name])
            switch = build.switch(rows, after)
            for r in range(1, most_rows + 1):
                case = fn.append_basic_block()
                switch.add_case(I64(r), case)
                build.position_at_end(case)
                build.call(_Tile(module, r, vectors, lanes, masked).fn, args)
                build.branch(after)
        build.position_at_end(after)
        return ctx.get_dummy_value()

    return body


def _intrinsic_of(most_rows, lanes):
    @intrinsic
    def tile(context, rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode):
        return types.void(*([types.int64] * len(ARGUMENTS))), _dispatching_tile(most_rows, lanes)

    return tile


_TILE_SIGNATURE = types.void(*([types.int64] * len(ARGUMENTS)))


@intrinsic
def call_tile(context, kernel, rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode):
    """C[rows, columns] = sum over t, k of A[rows, k] B[k, columns], by the matrix kernel at the address `kernel`.

    a, b, c, bias, taps are byte addresses; a_row, a_k, b_k, c_row are strides in elements; A_t and B_t start at
    a + taps[t, 0] and b + taps[t, 1] (elements) and are `depth` deep; mode is a sum of ACCUMULATE, BIAS and RELU.
    """

    def code(ctx, build, signature, args):
        kind = ir.FunctionType(ir.VoidType(), [I64] * len(ARGUMENTS))
        build.call(build.inttoptr(args[0], kind.as_pointer()), args[1:])
        return ctx.get_dummy_value()

    return types.void(*([types.int64] * (len(ARGUMENTS) + 1))), code


_tile_14x32 = _intrinsic_of(14, 16)
_tile_6x16 = _intrinsic_of(6, 8)


def compile_tile(level, cfunc):
    """The matrix kernel for "avx512" or "avx2"; `cfunc` is numba's decorator, with whatever cache there is."""
    return cfunc(_TILE_SIGNATURE)(_avx512 if level == "avx512" else _avx2)


def _avx512(rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode):
    _tile_14x32(rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode)


def _avx2(rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode):
    _tile_6x16(rows, columns, a, a_row, a_k, taps, count, depth, b, b_k, c, c_row, bias, mode)
