"""MATLAB's trailing 'Name', value pairs as Python keywords, with errors that name the function and the nearest name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

import numpy as np

from pyconvnet.arrays import is_empty

F = TypeVar("F", bound=Callable)

# Switches of the CUDA and MEX code that saved networks carry in `layer.opts`: name -> how many values follow it.
IGNORED = {"cudnn": 0, "nocudnn": 0, "verbose": 0, "cudnnworkspacelimit": 1}


# Options of old releases, in lower case -> their replacement.
FORMER = {"disabledropout": "mode='test' replaces it"}


def matlab_options(
    flags: Iterable[str] = (), ignored: dict[str, int] = IGNORED, *, names_errors: bool = False
) -> Callable[[F], F]:
    """Let a function accept its keywords in MATLAB's form too: `f(x, 'Stride', 2)`, in any letter case.

    flags         keywords that stand alone in MATLAB, without a value, and mean True
    ignored       names accepted without effect, with the number of values that follow each
    names_errors  the errors of its checks begin with its name: "x must be ..." becomes "f: x must be ..."

    An unknown name raises ValueError with the nearest known one.
    """

    def decorate(fn: F) -> F:
        parameters = inspect.signature(fn).parameters.values()
        keywords = {p.name.lower(): p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
        arguments = {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
        alone = {f.lower() for f in flags}
        exact = arguments.union(keywords.values())

        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            for i, a in enumerate(args):
                if isinstance(a, str) and i:
                    pairs = read_pairs(fn.__name__, args[i:], keywords, alone, ignored)
                    args, kwargs = args[:i], {**pairs, **_recase(fn.__name__, kwargs, keywords, arguments, ignored)}
                    break
            else:
                if not exact.issuperset(kwargs):
                    kwargs = _recase(fn.__name__, kwargs, keywords, arguments, ignored)
            try:
                return fn(*args, **kwargs)
            except (TypeError, ValueError) as error:
                if names_errors:
                    _put_name(error, fn.__name__)
                raise

        call.read_opts = functools.lru_cache(maxsize=1024)(  # type: ignore[attr-defined]
            lambda *opts: read_pairs(fn.__name__, opts, keywords, alone, ignored, strict=False)
        )
        return call  # type: ignore[return-value]

    return decorate


class naming:
    """`with naming("Conv"): ...`: errors of checks in the block begin with the name, "Conv: stride must be ..."."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            _put_name(error, self.name)


def _put_name(error: BaseException, name: str) -> None:
    """Let an error begin with `name`, if it is of a check and has no name yet; those of kernels and users' code stay.

    Checks stand in all of pyconvnet but backends; errors that are raised in this file name a function already.
    """
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    raised_in = "" if at is None else at.tb_frame.f_globals.get("__name__", "")
    of_check = raised_in.startswith("pyconvnet.") and not raised_in.startswith(("pyconvnet.backends", __name__))
    if of_check and type(error) in (TypeError, ValueError) and not hasattr(error, "named"):
        error.args = (f"{name}: {error}",)
        error.named = True  # type: ignore[attr-defined]


def read_pairs(
    fn: str,
    items: Iterable[Any],
    keywords: dict[str, str],
    flags: Iterable[str] = (),
    ignored: dict[str, int] = IGNORED,
    strict: bool = True,
) -> dict[str, Any]:
    """['Stride', 2, 'cuDNN'] -> {'stride': 2}. `keywords` maps lower-case names to the real ones.

    strict  False keeps a name that is not known, with its value, for the function that is called with it to refuse
    """
    out: dict[str, Any] = {}
    items = list(items)
    i = 0
    while i < len(items):
        name = items[i]
        if not isinstance(name, str):
            raise TypeError(f"{fn}: expected an option name, got {type(name).__name__}: {name!r}")
        low = name.lower()
        if low in ignored and low not in keywords:
            i += 1 + ignored[low]
            continue
        if low not in keywords:
            if strict:
                raise unknown_option(fn, name, keywords.values())
            out[name] = items[i + 1] if i + 1 < len(items) else None
            i += 2
            continue
        if low in flags:
            out[keywords[low]] = True
            i += 1
            continue
        if i + 1 == len(items):
            raise ValueError(f"{fn}: option {name!r} has no value")
        out[keywords[low]] = items[i + 1]
        i += 2
    return out


def effective(operator: Callable, layer: Any, *names: str) -> dict[str, Any]:
    """The options a layer runs `operator` with: its properties of these names, overridden by its `opts`.

    MATLAB's blocks hand opts{:} over last, and the last of equal names counts. A built-in layer keeps them until one
    of its properties is set; a user's class, whose properties may be computed, is asked each time.
    """
    if layer._kept_options is not None:
        return layer._kept_options.copy()
    out = {name: getattr(layer, name) for name in names}
    opts = option_list(layer.opts)
    if opts:
        try:
            out.update(operator.read_opts(*opts))  # type: ignore[attr-defined]
        except TypeError:  # arrays, which cannot be looked up; or an item that is not a name, which is refused again
            out.update(operator.read_opts.__wrapped__(*opts))  # type: ignore[attr-defined]
    if layer._built_in and opts is layer.opts:  # a tuple; a list may be edited in place
        layer._kept_options = out
        return out.copy()
    return out


def option_list(opts: Any) -> tuple[Any, ...]:
    """The `opts` of a block or of a record as a tuple: they come as a cell, as one name, or as nothing ([] or {}).

    A cell that holds one cell is that one: pyconvnet 0.1.0 wrote such.
    """
    if isinstance(opts, str):
        return (opts,) if opts else ()
    if is_empty(opts) or (isinstance(opts, dict) and not opts):
        return ()
    opts = tuple(opts.ravel().tolist()) if isinstance(opts, np.ndarray) else tuple(opts)
    nested = len(opts) == 1 and (isinstance(opts[0], (list, tuple)) or is_empty(opts[0]))
    return option_list(opts[0]) if nested else opts


def without_effect(opts: Any) -> bool:
    """Whether there are only options in `opts` that every operator ignores."""
    items = iter(option_list(opts))
    for name in items:
        if not isinstance(name, str) or name.lower() not in IGNORED:
            return False
        for _ in range(IGNORED[name.lower()]):
            next(items, None)
    return True


def _recase(
    fn: str, kwargs: dict[str, Any], keywords: dict[str, str], arguments: set[str], ignored: dict[str, int]
) -> dict[str, Any]:
    out = {}
    for name, value in kwargs.items():
        low = name.lower()
        if low in keywords:
            out[keywords[low]] = value
        elif name in arguments:
            out[name] = value
        elif low not in ignored:
            raise unknown_option(fn, name, keywords.values())
    return out


def unknown_option(fn: str, name: str, known: Iterable[str]) -> ValueError:
    """The error for an option that does not exist, with the nearest that does."""
    if name.lower() in FORMER:
        return ValueError(f"{fn}: the option {name!r} of older releases is gone; {FORMER[name.lower()]}")
    known = sorted(known)
    hint = did_you_mean(name, known, f"the options are {', '.join(known) or 'none'}")
    return ValueError(f"{fn}: unknown option {name!r}; {hint}")


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """ "did you mean 'stride'?" with the known name nearest to `name`; `otherwise` where there is not a near one."""
    near = nearest(name, known)
    return otherwise if near is None else f"did you mean {near!r}?"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most similar to `name`, in any letter case; None if there is not one."""
    by_lower = {k.lower(): k for k in known}
    near = get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None
