"""The CPU at hand: its instruction set, its memory, and the matrix kernel for it."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache
from typing import NamedTuple

LEVELS = ("avx512", "avx2", "plain")
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILES = 158, 0x1023, 18  # of Linux on x86-64


class Tile(NamedTuple):
    """The kernels of llvm/matrix_kernel.py: the address of their table; their register tile, rows x columns of C."""

    kernel: int
    rows: int
    columns: int


def isa() -> str:
    """ "avx512", "avx2" or "plain" (numpy and BLAS): the environment variable PYCONVNET_CPU, or the best there is."""
    asked = os.environ.get("PYCONVNET_CPU")
    if asked is None:
        return _best()
    if asked not in LEVELS:
        raise ValueError(f"PYCONVNET_CPU must be one of {', '.join(LEVELS)}, got {asked!r}")
    return asked


@lru_cache(maxsize=1)
def _best() -> str:
    from llvmlite import binding

    try:
        has = binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor
        return "plain"
    if all(has.get(f) for f in ("avx512f", "avx512dq", "avx512bw", "avx512vl")):
        return "avx512"
    return "avx2" if has.get("avx2") and has.get("fma") else "plain"


def has_bfloat16() -> bool:
    """Whether this CPU multiplies pairs of bfloat16 (AVX512-BF16), and as many in the same time as floats.

    AMD's do, from Zen 4 on. On an Intel Xeon ResNet-50 took 1.1 to 1.5 times as long as with floats.
    """
    return isa() == "avx512" and _has("avx512bf16") and _name().startswith("znver")


def has_amx() -> bool:
    """Whether this CPU has Intel's AMX for bfloat16, and the system lets this process use it."""
    return isa() == "avx512" and all(map(_has, ("amx-tile", "amx-bf16", "avx512bf16"))) and _may_use_tiles()


@lru_cache(maxsize=1)
def _may_use_tiles() -> bool:
    """Asks Linux, which gives the registers of AMX only to processes that asked: arch_prctl(2), ARCH_REQ_XCOMP_PERM."""
    if sys.platform != "linux":
        return False
    return ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST_PERMISSION, _TILES) == 0


@lru_cache(maxsize=1)
def _name() -> str:
    from llvmlite import binding

    return binding.get_host_cpu_name()


def asked_features() -> str | None:
    """The environment variable NUMBA_CPU_FEATURES; without spaces, with which LLVM would end the process."""
    asked = os.environ.get("NUMBA_CPU_FEATURES")
    return None if asked is None else "".join(asked.split())


@lru_cache(maxsize=8)
def _has(feature: str) -> bool:
    """Whether kernels are compiled for a CPU that has it."""
    asked = asked_features()
    if asked is not None:
        return f"+{feature}" in asked.split(",")
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get(feature))


@lru_cache(maxsize=1)
def memory() -> int:
    """Bytes of main memory; 4 GB where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # not a POSIX system
        return 1 << 32


def tile() -> Tile:
    """The matrix kernel for this CPU; compiled at the first call, or loaded from disk."""
    return _tile(isa(), False)


def tile_of_doubles() -> Tile:
    """The same for numbers in double precision."""
    return _tile(isa(), True)


@lru_cache(maxsize=4)
def _tile(which: str, doubles: bool) -> Tile:
    from pyconvnet.backends.cpu.compiled import table_of
    from pyconvnet.backends.cpu.llvm.ir import F32, F64
    from pyconvnet.backends.cpu.llvm.matrix_kernel import REGISTERS, write_tiles

    rows, lanes = REGISTERS[which]
    name, number, lanes = ("tiles.double", F64, lanes // 2) if doubles else ("tiles", F32, lanes)
    kernel = table_of(f"{name}.{which}", lambda module: write_tiles(module, which, number=number), lanes, True)
    return Tile(kernel, rows, 2 * lanes)
