"""How kernels are compiled: each once, kept on disk where there is a safe folder, and run by a team of threads.

`jit` makes functions that kernels call, `parallel` the kernels themselves. A parallel kernel is written for one thread
of a team, fn(t, threads, *args), and called as fn(threads, *args). numba's own parallel loops compile the same code
three times over; here its team of threads is asked for directly.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler
from numba.core.caching import NullCache
from numba.core.ccallback import CFunc, _CFuncCompiler
from numba.np.arrayobj import make_array, populate_array

from pyconvnet.backends.cpu.kernel_folders import KernelCache, say_refused
from pyconvnet.backends.cpu.llvm.ir import F32, I1, I64, at
from pyconvnet.threads import run_team

announced = False  # whether the user knows that kernels are being compiled
_failed = ctypes.c_int64(0)  # set by a kernel that could not get its own memory
_failures = ctypes.addressof(_failed)
recording: Any = None  # see recording.py; it is on while its thread is in a parallel_region
in_use: list[Any] = []  # functions that are called by their addresses, and tables of those
_OPTIONS = {"error_model": "numpy"}  # no kernel divides by zero: it is not asked each time


def jit(**options) -> Callable:
    """numba.njit; the interpreter lock is free meanwhile."""

    def decorate(fn):
        return _kept(numba.njit(nogil=True, **_OPTIONS, **options)(fn), fn)

    return decorate


def inner(fn: Callable) -> Callable:
    """A function that only kernels call: it lies on disk with them, and nothing is made for calls from Python."""
    return numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(fn)


def filled(fn: Callable, slots: int) -> int:
    """The address of a table of so many numbers that fn(address), compiled, has filled: addresses of C functions."""
    made = CFunc(fn, ((types.int64,), types.void), {}, _OPTIONS)  # numba.cfunc would compile it at once
    _kept(made, fn).compile()
    table = (ctypes.c_int64 * slots)()
    made.ctypes(ctypes.addressof(table))
    in_use.append((made, table))
    return ctypes.addressof(table)


def parallel(**options) -> Callable:
    """A parallel kernel, from a function for one thread; `options` are numba's."""
    return lambda fn: Kernel(fn, {**_OPTIONS, **options})


class Kernel:
    """fn(t, threads, *args) for t = 0 .. threads - 1, which a team of threads runs at once.

    Arguments are whole numbers, numbers of type np.float32, truth values, tuples of whole numbers and contiguous
    arrays. The first call with a combination of such types compiles.
    """

    def __init__(self, fn: Callable, options: dict[str, Any]) -> None:
        self.fn, self.options, self.__name__ = fn, options, fn.__name__
        self.forms: dict[tuple[type, ...], _Form] = {}

    def __call__(self, threads: int, *args: Any) -> None:
        types_now = tuple(map(type, args))
        form = self.forms.get(types_now)
        if form is None:
            form = self.forms[types_now] = self.compiled(args)
        packed = form.pack(_failures, threads, *(args if form.flat else _flattened(args, form.arrays)))
        run_team(form.entry.address, packed, threads)
        if recording is not None and (here := recording_here()):
            here.kernel(form.entry.address, packed, threads, args)
        if _failed.value:
            check_memory(self.__name__)

    def compiled(self, args: tuple[Any, ...]) -> _Form:
        """The form for arguments of such types, compiled or from disk."""
        kinds = [types.int64, types.int64, *map(_kind, args)]
        entry = _Entry(self.fn, (tuple(kinds), types.void), {}, self.options)
        _kept(entry, self.fn).compile()
        layout = struct.Struct("=q" + "".join(map(_format, kinds[1:])))
        arrays = [np.dtype(str(kind.dtype)) for kind in kinds if isinstance(kind, types.Array)]
        flat = not any(isinstance(a, (tuple, np.ndarray)) for a in args)
        return _Form(entry, layout.pack, flat, arrays)


def recording_here() -> Any:
    """The recording that this thread makes."""
    return recording if recording is not None and recording.thread == threading.get_ident() else None


def check_memory(name: str) -> None:
    """MemoryError if a kernel could not get memory of its own."""
    if _failed.value:
        _failed.value = 0
        raise MemoryError(f"there is too little memory for the kernel {name}")


class _Form(NamedTuple):
    """A kernel for arguments of certain types."""

    entry: CFunc
    pack: Callable[..., bytes]  # the address of _failed, the number of threads and the arguments in one piece of memory
    flat: bool  # whether no argument is a tuple or an array
    arrays: list[np.dtype]  # the element types of its arrays


def _flattened(args: tuple[Any, ...], arrays: list[np.dtype]) -> list[Any]:
    """Tuples as their elements, arrays as their address and sizes."""
    out: list[Any] = []
    kinds = iter(arrays)
    for a in args:
        if isinstance(a, np.ndarray):
            if a.dtype != next(kinds) or not a.flags.c_contiguous:
                raise TypeError(f"a kernel was given an array of {a.dtype}, or one that is not contiguous")
            out += (a.__array_interface__["data"][0], *a.shape)
        elif isinstance(a, tuple):
            out += a
        else:
            out.append(a)
    return out


def _kind(a: Any) -> types.Type:
    """numba's type of an argument."""
    if isinstance(a, np.ndarray):
        return types.Array(numba.from_dtype(a.dtype), a.ndim, "C")
    if isinstance(a, tuple):
        return types.NamedUniTuple(types.int64, len(a), type(a)) if hasattr(a, "_fields") else numba.typeof(a)
    if isinstance(a, (bool, np.float32)):
        return types.boolean if isinstance(a, bool) else types.float32
    return types.int64


def _format(kind: types.Type) -> str:
    """How `struct` packs an argument: eight bytes for each number."""
    if isinstance(kind, types.Array):
        return "q" * (1 + kind.ndim)
    return "q" * len(kind) if isinstance(kind, types.BaseTuple) else "f4x" if kind is types.float32 else "q"


class _EntryCompiler(_CFuncCompiler):
    def _customize_flags(self, flags):
        flags = super()._customize_flags(flags)
        flags.no_cfunc_wrapper = True
        return flags


class _Entry(CFunc):
    """A C function with the interface of numba's thread pools, which calls the compiled kernel.

    It gets three tables, whose first elements are the first number of a thread, how many there are, and the step from
    one to the next; and what `Kernel` packs.
    """

    def __init__(self, fn, signature, locals, options):
        super().__init__(fn, signature, locals, options)
        self._compiler = _EntryCompiler(fn, self._targetdescr, options, locals, compiler.Compiler)

    def _compile_uncached(self):
        made = super()._compile_uncached()
        context, described = made.target_context, made.fndesc
        module = context.create_module("entry")
        kernel = ir.Function(
            module,
            context.call_conv.get_function_type(described.restype, described.argtypes),
            described.llvm_func_name,
        )
        entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 4), described.llvm_cfunc_wrapper_name)
        build = ir.IRBuilder(entry.append_basic_block("entry"))
        first, count, step = (build.load(at(build, table, I64)) for table in entry.args[:3])
        failed, *given = _unpacked(context, build, (types.int64, *described.argtypes[1:]), entry.args[3])
        with cgutils.for_range(build, count) as loop:
            number = build.add(first, build.mul(loop.index, step))
            call = context.call_conv.call_function
            status, _ = call(build, kernel, described.restype, described.argtypes, [number, *given])
            with build.if_then(status.is_error, likely=False):
                build.store(I64(1), at(build, failed, I64))
        build.ret_void()
        made.library.add_ir_module(module)
        return made


def _unpacked(context, build, kinds, memory) -> list:
    """numba's values of the arguments at an address."""
    place = 0

    def following(kind=I64):
        nonlocal place
        place += 8
        return build.load(at(build, build.add(memory, I64(place - 8)), kind))

    out = []
    for kind in kinds:
        if isinstance(kind, types.Array):
            array = make_array(kind)(context, build)
            data = at(build, following(), context.get_data_type(kind.dtype))
            shape = [following() for _ in range(kind.ndim)]
            item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
            strides = [I64(item)]
            for length in reversed(shape[1:]):
                strides.insert(0, build.mul(strides[0], length))
            populate_array(array, data, shape, strides, I64(item), None)
            out.append(array._getvalue())
        elif isinstance(kind, types.BaseTuple):
            out.append(context.make_tuple(build, kind, [following() for _ in range(len(kind))]))
        elif kind is types.float32:
            out.append(following(F32))
        else:
            out.append(build.trunc(following(), I1) if kind is types.boolean else following())
    return out


def _kept(made: Any, fn: Callable) -> Any:
    """Keep it on disk, as `cache=True` does, but in a folder that is the user's own alone."""
    try:
        made._cache = KernelCache(fn)
    except RuntimeError:  # neither the package's folder nor the user's can hold kernels
        say_refused()
    return _announced(_stamped(made))


def _stamped(dispatcher: Any) -> Any:
    """Extend numba's cache stamp so that a change in any kernel file invalidates the cache."""
    kept = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = kept._source_stamp, stamp(Path(__file__).parent)
    return dispatcher


@lru_cache(maxsize=1)
def stamp(folder: Path) -> tuple[float, int]:
    """When a source file below a folder was changed last, and how large all are."""
    found = [path.stat() for path in folder.rglob("*.py")]
    return max((f.st_mtime for f in found), default=0.0), sum(f.st_size for f in found)


def _announced(dispatcher: Any) -> Any:
    """Call `announce` before a kernel that is not on disk is compiled."""
    kept = dispatcher._cache
    load = kept.load_overload

    def load_overload(*args: Any) -> Any:
        found = load(*args)
        if found is None:
            announce(isinstance(kept, NullCache))
        return found

    kept.load_overload = load_overload
    return dispatcher


def announce(always: bool) -> None:
    """Say, in the first call only, why this process waits. always: whether later ones wait as well."""
    global announced
    if announced or os.environ.get("PYCONVNET_QUIET", "0") not in ("", "0") or sys.stderr is None:
        return
    announced = True
    when = "by every process, as none can keep them (NUMBA_CACHE_DIR names a folder)" if always else "once"
    text = f"compiling kernels for this CPU, {when}, takes 5 to 30 s (PYCONVNET_QUIET=1 hides this line)"
    print(f"pyconvnet: {text}", file=sys.stderr, flush=True)
