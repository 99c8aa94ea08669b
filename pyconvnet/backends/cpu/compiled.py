"""How kernels are compiled: each once, kept on disk where there is a safe folder, and run by a team of threads.

A parallel kernel is written for one thread of a team, fn(t, threads, *args), in the language of llvm/language.py, and
called as fn(threads, *args). `functions` compiles those that are written in LLVM's representation.
"""

from __future__ import annotations

import ctypes
import gc
import inspect
import os
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding, ir

from pyconvnet.backends.cpu import kernel_folders
from pyconvnet.backends.cpu.hardware import asked_features
from pyconvnet.backends.cpu.llvm.ir import F32, F64, I1, I64, at, counted
from pyconvnet.backends.cpu.llvm.language import Array, Inner, write_call
from pyconvnet.backends.cpu.placement import make_room
from pyconvnet.threads import guard, run_team

MOST = 88  # kernels and functions that there are on one CPU, two of them for bfloat16
compiled_now = 0  # by this process
silent = False  # whether another progress is shown
recording: Any = None  # see recording.py; it is on while its thread is in a parallel_region
in_use: list[Any] = []  # tables of functions that are called by their addresses
_loaded: dict[str, list[int]] = {}  # what `functions` returned
_compiling = guard()


def parallel(fn: Callable[..., None]) -> Kernel:
    """A parallel kernel, from a function for one thread."""
    return Kernel(fn)


def inner(fn: Callable[..., Any]) -> Any:
    """A function that only kernels call."""
    return Inner(fn)


class Kernel:
    """fn(t, threads, *args) for t = 0 .. threads - 1, which a team of threads runs at once.

    Arguments are whole numbers, numbers of type np.float32 or np.float64, truth values, tuples of whole numbers and
    contiguous arrays. The first call with a combination of such types compiles.
    """

    def __init__(self, fn: Callable[..., None]) -> None:
        self.fn, self.__name__, self.__doc__ = fn, fn.__name__, fn.__doc__
        self.forms: dict[tuple[Any, ...], _Form] = {}  # by the types of arguments, then those of the arrays' elements

    def __call__(self, threads: int, *args: Any) -> None:
        types_now = tuple(map(type, args))
        form = self.forms.get(types_now)
        if form is None or (form.several and not form.fits(args)):
            form = self.form(types_now, args)
        packed = form.pack(threads, *(form.flattened(args) if form.several else args))
        if threads > 1:
            make_room(threads)
        run_team(form.entry, packed, threads)
        if recording is not None and (here := recording_here()):
            here.kernel(form.entry, packed, threads, args)

    def form(self, types_now: tuple[type, ...], args: tuple[Any, ...]) -> _Form:
        """The form for arguments of such types, compiled or from disk."""
        arrays = [a for a in args if isinstance(a, np.ndarray)]
        if not all(a.flags.c_contiguous for a in arrays):
            raise TypeError(f"the kernel {self.__name__} was given an array that is not contiguous")
        key = (*types_now, *(a.dtype for a in arrays))
        form = self.forms.get(key)
        if form is not None:
            self.forms[types_now] = form  # the last one for such types is tried first
            return form
        kinds = list(map(_kind, args))
        name = f"{self.fn.__module__.rpartition('.')[2]}.{self.__name__}.{''.join(kind.text for kind in kinds)}"
        if not self.fn.__module__.startswith(__package__):  # others may have a function of that name
            name += f".{zlib.crc32(inspect.getsource(self.fn).encode()):08x}"
        (entry,) = functions(name, lambda module: {0: _entry(module, name, self.fn, kinds)})
        layout = struct.Struct("=q" + "".join(kind.layout for kind in kinds))
        several = [i for i, a in enumerate(args) if isinstance(a, (tuple, np.ndarray))]
        whole = [(i, None if isinstance(args[i], tuple) else args[i].dtype) for i in several]
        form = self.forms[key] = self.forms[types_now] = _Form(entry, layout.pack, tuple(whole))
        return form


def recording_here() -> Any:
    """The recording that this thread makes."""
    return recording if recording is not None and recording.thread == threading.get_ident() else None


class unrecorded:
    """`with unrecorded()`: what runs inside is no part of the recording that is on; only inside a `parallel_region`."""

    def __enter__(self) -> None:
        global recording
        self.kept, recording = recording, None

    def __exit__(self, *_: object) -> None:
        global recording
        recording = self.kept


class _Form(NamedTuple):
    """A kernel for arguments of certain types."""

    entry: int  # its address
    pack: Callable[..., bytes]  # the number of threads and the arguments in one piece of memory
    several: tuple[tuple[int, np.dtype | None], ...]  # the arguments that are tuples, None, and arrays, their dtype

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether arrays among arguments of such types have its elements, and have them side by side."""
        return all([d is None or (args[i].dtype == d and args[i].flags.c_contiguous) for i, d in self.several])

    def flattened(self, args: tuple[Any, ...]) -> list[Any]:
        """Tuples as their elements, arrays as their address and sizes."""
        out, done = list[Any](), 0
        for i, dtype in self.several:
            a = args[i]
            out += args[done:i]
            out += a if dtype is None else (a.__array_interface__["data"][0], *a.shape)
            done = i + 1
        out += args[done:]
        return out


class _Kind(NamedTuple):
    """How an argument gets to a kernel."""

    text: str  # for the name of its form
    layout: str  # of `struct`: eight bytes for each number
    read: Callable[[Any], Any]  # from a function that reads the next number of a type


def _kind(a: Any) -> _Kind:
    if isinstance(a, np.ndarray):
        dtype, ndim = a.dtype, a.ndim
        make = lambda read: Array(read(I64), tuple(read(I64) for _ in range(ndim)), dtype)  # noqa: E731
        return _Kind(f"{dtype.kind}{dtype.itemsize}{'x' * ndim}", "q" * (1 + ndim), make)
    if isinstance(a, tuple):
        count, named = len(a), type(a) if hasattr(a, "_fields") else None
        return _Kind(
            f"t{count}", "q" * count, lambda read: (named._make if named else tuple)(read(I64) for _ in range(count))
        )
    if isinstance(a, bool):
        return _Kind("b", "q", lambda read: read(I1))
    if isinstance(a, np.float32):
        return _Kind("f", "f4x", lambda read: read(F32))
    if isinstance(a, np.float64):
        return _Kind("d", "d", lambda read: read(F64))
    return _Kind("q", "q", lambda read: read(I64))


def _entry(module: ir.Module, name: str, fn: Callable[..., None], kinds: list[_Kind]) -> ir.Function:
    """A C function with the interface of numba's thread pools, around the body of a kernel.

    It gets three tables, whose first elements are the first number of a thread, how many there are, and the step from
    one to the next; and what `Kernel` packs.
    """
    part = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 2), f"{name}.part")
    part.linkage = "internal"
    part.attributes.add("noinline")
    build = ir.IRBuilder(part.append_basic_block("entry"))
    place = 0

    def read(kind: Any) -> Any:
        nonlocal place
        found = build.load(at(build, build.add(part.args[1], I64(place)), I64 if kind == I1 else kind))
        place += 8
        return build.trunc(found, I1) if kind == I1 else found

    write_call(build, fn, [part.args[0], read(I64), *(kind.read(read) for kind in kinds)])
    build.ret_void()

    entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * 4), name)
    build = ir.IRBuilder(entry.append_basic_block("entry"))
    first, count, step = (build.load(at(build, table, I64)) for table in entry.args[:3])
    with counted(build, count) as index:
        build.call(part, [build.add(first, build.mul(index, step)), entry.args[3]])
    build.ret_void()
    return entry


def table_of(
    name: str, write: Callable[[ir.Module], dict[int, ir.Function]], first: int = 0, as_written: bool = False
) -> int:
    """The address of a table of what `functions` returns; first: the number in its place 0, if there is no function."""
    found = functions(name, write, as_written=as_written)
    found[0] = found[0] or first
    table = (ctypes.c_int64 * len(found))(*found)
    in_use.append(table)
    return ctypes.addressof(table)


def functions(name: str, write: Callable[[ir.Module], dict[int, ir.Function]], as_written: bool = False) -> list[int]:
    """The addresses of functions that `write` adds to a module, each at its place, 0 in others; compiled or from disk.

    name        what tells them from all others
    as_written  LLVM chooses instructions and registers only: where its other passes find nothing
    """
    with _compiling:
        if name in _loaded:
            return list(_loaded[name])
        machine, source = _machine(), kernel_folders.source_stamp()
        kept = kernel_folders.read(name, machine.name, source)
        if kept is None:
            with announced(name), _uncollected():
                module = ir.Module(name)
                module.triple, module.data_layout = machine.target.triple, str(machine.target.target_data)
                places = {place: fn.name for place, fn in write(module).items()}
                kept = [places.get(i, "") for i in range(max(places) + 1)], machine.code(module, as_written)
            kernel_folders.write(name, machine.name, source, *kept)
        names, code = kept
        machine.engine.add_object_file(binding.ObjectFileRef.from_data(code))
        machine.engine.finalize_object()
        _loaded[name] = [machine.engine.get_function_address(n) if n else 0 for n in names]
        return list(_loaded[name])


class _Machine:
    """LLVM for the CPU at hand. Its engine holds the machine code of this process, as long as that lives."""

    def __init__(self) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        # as numba has it: a newer CPU can compile as an older one
        cpu = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
        features = asked_features()
        if features is None:
            try:
                features = binding.get_host_cpu_features().flatten()
            except RuntimeError:  # LLVM does not know this processor
                features = ""
        target = binding.Target.from_default_triple()
        reloc = "static" if target.name.startswith("x86") else "default"
        options = {"cpu": cpu, "features": features, "opt": 3, "reloc": reloc, "codemodel": "jitdefault", "jit": True}
        self.target = target.create_target_machine(**options)
        self.engine = binding.create_mcjit_compiler(binding.parse_assembly(""), target.create_target_machine(**options))
        self.name = f"LLVM {'.'.join(map(str, binding.llvm_version_info))} {self.target.triple} {cpu} {features}"

    def code(self, module: ir.Module, as_written: bool) -> bytes:
        """The machine code, as an object file."""
        parsed = binding.parse_assembly(str(module))
        if as_written:
            return self.target.emit_object(parsed)
        # first what makes loops fit for the passes after it, as numba has it: LRN and pooling gain up to 5 %
        for level in (0, 3):
            self._passes(parsed, level)
        return self.target.emit_object(parsed)

    def _passes(self, parsed: Any, level: int) -> None:
        if hasattr(binding, "create_pass_builder"):
            tuning = binding.create_pipeline_tuning_options(speed_level=level)
            builder = binding.create_pass_builder(self.target, tuning)
            passes = builder.getModulePassManager()
            if level == 0:
                passes.add_loop_rotate_pass()
                passes.add_instruction_combine_pass()
                passes.add_jump_threading_pass()
            passes.run(parsed, builder)
            return
        builder, passes = binding.create_pass_manager_builder(), binding.create_module_pass_manager()  # LLVM 14
        builder.opt_level, builder.loop_vectorize = level, level > 0
        self.target.add_analysis_passes(passes)
        builder.populate(passes)
        if level == 0:
            passes.add_loop_rotate_pass()
            passes.add_instruction_combining_pass()
            passes.add_jump_threading_pass()
        passes.run(parsed)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Python's collector of garbage waits: it would look many times through what llvmlite makes, all of it in use."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@lru_cache(maxsize=1)
def _machine() -> _Machine:
    return _Machine()


@contextmanager
def announced(name: str) -> Iterator[None]:
    """Say why this process waits while a kernel is compiled: by a line, or on a terminal by a bar that goes again."""
    global compiled_now
    compiled_now += 1
    if silent or os.environ.get("PYCONVNET_QUIET", "0") not in ("", "0") or sys.stderr is None:
        yield
        return
    once = kernel_folders.folder() is not None
    when = "once" if once else "by every process, as none can keep them (NUMBA_CACHE_DIR names a folder)"
    if not sys.stderr.isatty():
        if compiled_now == 1:
            text = f"compiling kernels for this CPU, {when}, takes 2 to 10 s (PYCONVNET_QUIET=1 hides this line)"
            print(f"pyconvnet: {text}", file=sys.stderr, flush=True)
        yield
        return
    done = min(20, 20 * compiled_now // MOST)
    bar = f"pyconvnet: compiling kernels |{'#' * done:<20}| {compiled_now} of {MOST} at most: {name.partition('.')[0]}"
    print(f"\r{bar}\x1b[K", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
