"""numpy arrays on a CPU with AVX2 or AVX-512: float32, and float64 of convolutions, go to compiled kernels.

Everything else goes to numpy's.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

import numpy as np

from pyconvnet.backends.cpu.hardware import isa
from pyconvnet.backends.reference import Reference

_SINGLE, _DOUBLE = np.dtype(np.float32), np.dtype(np.float64)  # comparing with those is faster than with the types
# The last folded factors for an array of moments, and their sources: folding takes longer than comparing sources. They
# go with the array, of which the third is a reference.
_folded: dict[int, tuple[list[bytes | None], tuple[np.ndarray, np.ndarray], weakref.ref]] = {}
_MOST_FOLDED = 4096


def _dispatched(name: str, module: str, doubles: str = "") -> Callable:
    """The kernel of that name in pyconvnet.backends.cpu.`module` for float32, imported when first used.

    doubles  the module for float64
    """
    plain = getattr(Reference, name)
    needs_self = not isinstance(vars(Reference).get(name), staticmethod)
    home = home_of_doubles = None

    @wraps(plain)
    def kernel(self, x, *args, **options):
        nonlocal home, home_of_doubles
        if x.dtype != _SINGLE or not x.size or isa() == "plain":
            if doubles and x.dtype == _DOUBLE and x.size and isa() != "plain":
                if home_of_doubles is None:
                    home_of_doubles = getattr(import_module(f"pyconvnet.backends.cpu.{doubles}"), name)
                return home_of_doubles(x, *args, **options)
            return plain(self, x, *args, **options) if needs_self else plain(x, *args, **options)
        if home is None:
            home = getattr(import_module(f"pyconvnet.backends.cpu.{module}"), name)
        return home(x, *args, **options)

    return kernel


class CPU(Reference):
    """numpy's backend with compiled kernels."""

    conv = _dispatched("conv", "convolution", "double")
    conv_backward = _dispatched("conv_backward", "convolution_gradients", "double")
    convt = _dispatched("convt", "convolution_gradients")
    convt_backward = _dispatched("convt_backward", "convolution_gradients")
    pool = _dispatched("pool", "pooling")
    pool_backward = _dispatched("pool_backward", "pooling")
    add = _dispatched("add", "activations")
    relu = _dispatched("relu", "activations")
    relu_backward = _dispatched("relu_backward", "activations")
    sigmoid = _dispatched("sigmoid", "activations")
    sigmoid_backward = _dispatched("sigmoid_backward", "activations")
    softmax = _dispatched("softmax", "activations")
    softmax_backward = _dispatched("softmax_backward", "activations")
    softmaxlog = _dispatched("softmaxlog", "activations")
    softmaxlog_backward = _dispatched("softmaxlog_backward", "activations")
    bnorm = _dispatched("bnorm", "batch_normalization")
    bnorm_backward = _dispatched("bnorm_backward", "batch_normalization")
    lrn = _dispatched("lrn", "channel_normalization")
    lrn_backward = _dispatched("lrn_backward", "channel_normalization")
    spnorm = _dispatched("spnorm", "channel_normalization")
    spnorm_backward = _dispatched("spnorm_backward", "channel_normalization")

    def clear_caches(self) -> None:
        _folded.clear()
        if "pyconvnet.backends.cpu.layout" in sys.modules:  # else no kernel has run
            from pyconvnet.backends.cpu import filter_cache, layout

            filter_cache.clear()
            layout.release_scratch()
        for module in ("direct", "strided_gradient"):
            # another thread may be importing it
            if (plan := getattr(sys.modules.get(f"pyconvnet.backends.cpu.{module}"), "_plan", None)) is not None:
                plan.cache_clear()

    def concat(self, arrays: list[np.ndarray], axis: int) -> np.ndarray:
        y = super().concat(arrays, axis)
        if "pyconvnet.backends.cpu.recording" in sys.modules:
            from pyconvnet.backends.cpu.recording import note

            note(np.concatenate, arrays, axis, out=y)
        return y

    def level(self) -> str:
        found = isa()
        return "" if found == "plain" else found

    def recordable(self, x: Any) -> bool:
        return type(x) is np.ndarray and x.ndim == 4 and x.dtype == _SINGLE and x.size > 0 and x.flags.aligned

    def in_order(self, x: Any) -> bool:
        return bool(x.transpose(3, 0, 1, 2).flags.c_contiguous)

    def recording(self, trains: bool = False) -> Any:
        from pyconvnet.backends.cpu.recording import Recording

        return Recording(trains)

    def lasts(self, params: list[Any]) -> bool:
        from pyconvnet.backends.cpu.filter_cache import lasts

        return all(isinstance(p, np.ndarray) and lasts(p) for p in params)

    def watchable(self, params: list[Any]) -> bool:
        from pyconvnet.backends.cpu.filter_cache import Watch

        return all(isinstance(p, np.ndarray) and Watch.knows(p) for p in params)

    def unmoved(self, params: list[Any]) -> Any:
        from pyconvnet.backends.cpu.unmoved import Unmoved

        return Unmoved(params)

    def fuses(self, x: np.ndarray) -> bool:
        return isinstance(x, np.ndarray) and x.dtype == _SINGLE and x.size > 0 and isa() != "plain"

    def fused_conv(
        self,
        x: np.ndarray,
        f: np.ndarray,
        b: np.ndarray | None,
        window: Any,
        scale: np.ndarray | None,
        add: np.ndarray | None,
        relu: bool,
        overwrites: bool = False,
    ) -> np.ndarray:
        from pyconvnet.backends.cpu.convolution import conv
        from pyconvnet.backends.cpu.direct import Epilogue

        return conv(x, f, b, window, Epilogue(scale, add, relu, overwrites))

    def folded_bnorm(self, b: Any, g: Any, offset: Any, moments: Any) -> tuple[np.ndarray, np.ndarray] | None:
        if any(not isinstance(p, np.ndarray) or p.dtype != _SINGLE or self.unusable(p) for p in (g, offset, moments)):
            return None
        count = g.size
        if (offset.size, moments.size) != (count, 2 * count) or (b is not None and b.size != count):
            return None
        # in one order: the same bytes in another are other moments
        numbers = [a.tobytes(order="F") for a in (g, offset, moments)] + [None if b is None else b.tobytes()]
        known = _folded.get(id(moments))
        if known is not None and known[0] == numbers:
            return known[1]
        if not moments.any():
            return None
        mean, sigma = self.reshaped(moments, (count, 2)).T.astype(np.float64)
        scale = self.flat(g) / sigma
        biases = self.flat(offset) - mean * scale + (0 if b is None else b * scale)
        folded = scale.astype(np.float32), biases.astype(np.float32)
        if len(_folded) >= _MOST_FOLDED:
            _folded.clear()
        place = id(moments)
        _folded[place] = numbers, folded, weakref.ref(moments, lambda _: _folded.pop(place, None))
        return folded

    def sgd_start(self, w: np.ndarray, m: Any, der: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # laid out in memory as the derivative is, so that one loop goes through all three
        value, momentum = np.empty_like(_ordered(der), w.dtype), np.empty_like(_ordered(der), w.dtype)
        value[...], momentum[...] = w, m
        return value, momentum

    def sgd_fits(self, w: np.ndarray, der: np.ndarray) -> bool:
        return w.strides == _ordered(der).strides

    def sgd_step(self, w, m, der, scale, decay, momentum, rate, nesterov):
        from pyconvnet.backends.cpu.sgd import descend

        flat = (a.ravel(order="K") for a in (w, m, _ordered(der)))
        descend(*flat, scale, decay, momentum, rate, nesterov)
        return w, m


def _ordered(der: np.ndarray) -> np.ndarray:
    return der if der.flags.c_contiguous or der.flags.f_contiguous else np.ascontiguousarray(der)
