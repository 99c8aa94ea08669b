"""Compiles every kernel now, so that later processes load them from the cache on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from pyconvnet.backends.cpu import CPU
from pyconvnet.backends.cpu.hardware import has_amx, has_bfloat16, isa
from pyconvnet.geometry import Window
from pyconvnet.precision import local_precision
from pyconvnet.randstream import RandStream
from pyconvnet.threads import get_num_threads

MODULES = (
    "activations batch_normalization channel_normalization data_gradient depthwise dilated direct double "
    "filter_cache filter_gradient fully_connected half_filters layout narrow_gradient pooling sgd winograd_gradient "
    "winograd_kernels winograd_transposed ziggurat"
).split()


def warmup(progress: bool = False) -> int:
    """Compile all kernels for this CPU, or load those that an earlier process compiled; returns how many are ready.

    progress  False; True shows on standard error how far it is: a bar of tqdm, or lines where tqdm is not installed

    Takes about 10 s the first time. Returns 0 where numpy and BLAS do all the work.
    """
    if isa() == "plain":
        return 0
    compiled = import_module("pyconvnet.backends.cpu.compiled")
    compiled.silent = progress
    calls = list(_calls())
    try:
        for call in _shown(calls) if progress else calls:
            call()
    finally:
        compiled.silent = False
    return len(kernels()) + 1  # and the matrix kernel


def kernels() -> list[Any]:
    """The parallel kernels; functions called by them are compiled with them."""
    from pyconvnet.backends.cpu.compiled import Kernel

    found: list[Any] = []
    for name in (*MODULES, *(["bfloat16"] if has_bfloat16() else []), *(["amx"] if has_amx() else [])):
        for value in vars(import_module(f"pyconvnet.backends.cpu.{name}")).values():
            if isinstance(value, Kernel) and value not in found:
                found.append(value)
    return found


def _shown(calls: list[Callable[[], Any]]) -> Iterator[Callable[[], Any]]:
    try:
        from tqdm import tqdm
    except ImportError:
        for done, call in enumerate(calls, 1):
            yield call
            print(f"warmup: {done}/{len(calls)}", file=sys.stderr, flush=True)
        return
    yield from tqdm(calls, desc="warmup", file=sys.stderr)


def _array(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def _in_precision(precision: str, cpu: CPU, f: np.ndarray) -> None:
    """A layer whose filters nobody can write to, on one image."""
    with local_precision(precision):
        lasting = np.frombuffer(f.tobytes(), np.float32).reshape(f.shape)
        cpu.conv(_array(8, 8, f.shape[2], 1), lasting, None, Window(f.shape[:2]))


def _calls() -> Iterator[Callable[[], Any]]:
    """One small call for each kernel, each kind of layer that has one of its own."""
    from pyconvnet.backends.cpu import convolution, placement
    from pyconvnet.backends.cpu.compiled import functions
    from pyconvnet.backends.cpu.direct import Epilogue
    from pyconvnet.backends.cpu.fully_connected import MOST_IMAGES
    from pyconvnet.backends.cpu.layout import copied
    from pyconvnet.backends.cpu.llvm.player import write_player
    from pyconvnet.backends.cpu.sgd import descend

    cpu = CPU()
    x, y = _array(8, 8, 16, 2), _array(8, 8, 32, 2)
    three, one, strided = Window((3, 3), pad=(1, 1, 1, 1)), Window((1, 1)), Window((3, 3), (2, 2), (1, 1, 1, 1))
    five = Window((5, 5))
    f, tall = _array(3, 3, 16, 32), _array(8, 8, 16, 128)
    g, b = _array(16), _array(16)
    window = Window((2, 2), (2, 2))
    yield lambda: cpu.conv(x, _array(1, 1, 16, 32), None, one)  # direct
    yield lambda: cpu.conv(x, f, None, three)  # Winograd, few tiles
    yield lambda: cpu.conv(_array(64, 64, 16, 1), f, None, three)  # many
    for n in range(1, MOST_IMAGES + 1):  # fully connected
        yield lambda n=n: cpu.conv(_array(8, 8, 16, n), tall, None, Window((8, 8)))
        yield lambda n=n: cpu.conv(_array(8, 8, 16, n), np.asfortranarray(tall), None, Window((8, 8)))
    yield lambda: _in_precision("half", cpu, tall)
    if has_bfloat16() or has_amx():
        yield lambda: _in_precision("bfloat16", cpu, _array(1, 1, 128, 256))
    yield lambda: cpu.conv_backward(*(a.astype(np.float64) for a in (x, f, y)), three)
    yield lambda: cpu.conv_backward(x, f, y, three)
    few, more = _array(18, 18, 16, get_num_threads()), _array(18, 18, 16, 2)  # 25 tiles an image
    yield lambda: cpu.conv_backward(few, f, _array(18, 18, 32, few.shape[3]), three)  # each thread sums up some tiles
    yield lambda: cpu.conv_backward(more, _array(3, 3, 16, 1040), _array(18, 18, 1040, 2), three)  # all tiles
    yield lambda: cpu.conv_backward(_array(16, 16, 16, 2), f, y, strided)  # narrow
    yield lambda: cpu.conv_backward(_array(10, 10, 32, 8), _array(3, 3, 32, 32), _array(8, 8, 32, 8), Window((3, 3)))
    yield lambda: cpu.conv_backward(_array(6, 6, 64, 2), _array(5, 5, 64, 32), _array(2, 2, 32, 2), five)  # scattered
    yield lambda: cpu.conv_backward(_array(6, 6, 4, 12), _array(5, 5, 4, 16), _array(2, 2, 16, 12), five)
    yield lambda: cpu.conv_backward(_array(8, 8, 16, 1), tall, _array(1, 1, 128, 1), Window((8, 8)))
    turned = np.asfortranarray(tall)
    yield lambda: cpu.conv_backward(_array(8, 8, 16, 20), turned, _array(1, 1, 128, 20), Window((8, 8)))
    yield lambda: cpu.conv(x, f[:, :, :1, :16], None, three)  # each channel by a filter of its own
    yield lambda: cpu.conv_backward(x, f[:, :, :1, :16], _array(4, 4, 16, 2), strided)
    yield lambda: cpu.conv(_array(24, 24, 16, 1), f, None, Window((3, 3), (1, 1), (2, 2, 2, 2), (2, 2)))
    yield lambda: convolution.conv(x, f, None, three, Epilogue(add=y))
    yield lambda: functions("player", write_player)
    yield placement.prepare
    yield lambda: copied(_array(1 << 14))
    yield lambda: RandStream().randn(1)
    yield lambda: descend(g, g, g, 1, 1, 1, 1, False)
    yield lambda: cpu.pool(x, window, "max")
    yield lambda: cpu.pool(_array(65, 64, 1, 1), Window((65, 64)), "avg")
    yield lambda: cpu.pool_backward(x, window, "max", _array(4, 4, 16, 2))
    yield lambda: cpu.relu(x, 0.0)
    yield lambda: cpu.relu_backward(x, x, 0.0)
    yield lambda: cpu.softmax(x)
    yield lambda: cpu.softmax_backward(x, x)
    at = np.zeros((8, 8, 1, 2), int)
    yield lambda: cpu.softmaxlog(x, at)
    yield lambda: cpu.softmaxlog_backward(x, at)
    yield lambda: cpu.bnorm(x, g, b, 1e-4)
    yield lambda: cpu.bnorm_backward(x, g, b, x, 1e-4)
    yield lambda: cpu.lrn(x, 5, 1.0, 1.0, 0.5)
    yield lambda: cpu.spnorm(x, Window((3, 3), pad=(1, 1, 1, 1)), 0.1, 0.5)
