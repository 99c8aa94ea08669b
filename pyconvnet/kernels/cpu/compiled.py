"""numba's decorators as the kernels use them: cached on disk where a folder can be written, else compiled each time."""

from __future__ import annotations

from collections.abc import Callable

import numba


def jit(**options) -> Callable:
    """numba.njit; the interpreter lock is free meanwhile, and `threads.team` keeps calls apart."""

    def decorate(fn):
        try:
            return numba.njit(cache=True, nogil=True, **options)(fn)
        except RuntimeError:  # neither the package's folder nor the user's can hold a cache
            return numba.njit(nogil=True, **options)(fn)

    return decorate


def cfunc(signature) -> Callable:
    """numba.cfunc: a C function, whose address other kernels call."""

    def decorate(fn):
        try:
            return numba.cfunc(signature, cache=True)(fn)
        except RuntimeError:
            return numba.cfunc(signature)(fn)

    return decorate
