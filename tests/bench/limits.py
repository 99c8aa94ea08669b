"""What the machine can do at most: multiplications and additions of registers, and reading memory, on all threads.

Both run in turn with the libraries, as long as a benchmark's own work would take them at best: its multiplications and
additions as such, and one read of as many bytes as its inputs, filters and results have.
"""

from __future__ import annotations

import networks
import numpy as np

CHAINS = 8  # of multiplications that depend on one another; enough to keep two units of 4 to 5 cycles busy
FLOP = CHAINS * 16 * 2  # of one round
LEAST_BYTES = 1 << 12


def prepare(which, mode, layers, size, batch):
    """A function to time: "multiply" or "read"; None where the benchmark has no such work."""
    passes = 1 if mode == "forward" else 3
    if networks.precision(layers) != np.float32:
        return None  # the units are as many, twice as wide numbers half as many: not measured
    from pyconvnet.backends.cpu.layout import address, aligned
    from pyconvnet.threads import parallel_region

    multiply, read = _kernels()
    if which == "multiply":
        rounds = int(networks.flop(layers, size, batch) * passes / FLOP)
        out = aligned(1 << 12)

        def run():
            with parallel_region() as threads:
                multiply(threads, rounds, address(out))
    else:
        memory = aligned(max(LEAST_BYTES, networks.traffic(layers, size, batch, mode)) // 4)
        memory[:] = 1
        out = aligned(1 << 12)

        def run():
            with parallel_region() as threads:
                read(threads, address(memory), memory.size, address(out))

    return run if which == "read" or rounds else None


def _kernels():
    from pyconvnet.backends.cpu.compiled import parallel
    from pyconvnet.backends.cpu.llvm.simd import vadd, vfma, vload, vset1, vstore

    @parallel
    def multiply(t, threads, rounds, out):
        x = vset1(np.float32(0.999))
        a, b, c, d, e, f, g, h = x, x, x, x, x, x, x, x
        for _ in range(rounds * t // threads, rounds * (t + 1) // threads):
            a, b, c, d = vfma(a, x, x), vfma(b, x, x), vfma(c, x, x), vfma(d, x, x)
            e, f, g, h = vfma(e, x, x), vfma(f, x, x), vfma(g, x, x), vfma(h, x, x)
        vstore(out + 256 * t, vadd(vadd(vadd(a, b), vadd(c, d)), vadd(vadd(e, f), vadd(g, h))))

    @parallel
    def read(t, threads, memory, count, out):
        vectors = count // 16
        first, last = vectors * t // threads, vectors * (t + 1) // threads
        a = vset1(np.float32(0))
        b, c, d = a, a, a
        at = memory + 64 * first
        for _ in range((last - first) // 4):
            a, b = vadd(a, vload(at)), vadd(b, vload(at + 64))
            c, d = vadd(c, vload(at + 128)), vadd(d, vload(at + 192))
            at += 256
        vstore(out + 256 * t, vadd(vadd(a, b), vadd(c, d)))

    return multiply, read
