"""Losses of the user's own on their first batch: whether they are the mean over images that they are taken for."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from pyconvnet import backends, rng
from pyconvnet.arrays import host_numbers, shape_of


def watch(fn: str, block: Any) -> None:
    """Let the next forward of `block` prove that it is a mean, if there is reason to doubt it."""
    if not _doubtful(block):
        return

    def forward(inputs: list[Any], params: list[Any]) -> list[Any]:
        del block.forward
        outputs = block.forward(inputs, params)
        refuse_sum(fn, block, inputs, params, outputs[0])
        return outputs

    block.forward = forward


def refuse_sum(fn: str, block: Any, inputs: list[Any], params: list[Any], y: Any) -> None:
    """ValueError where a loss that inherits `averages` = True sums: twice the images give twice its value.

    Other outcomes (nothing, an error, any other number) prove nothing and raise nothing.
    """
    if not _doubtful(block):
        return
    size = shape_of(inputs[0])
    count = size[3] if len(size) == 4 else 1
    once, twice = float(host_numbers(y).sum(dtype=float)), _of_twice(block, inputs, params, count)
    if once and np.isfinite(once) and abs(twice / once - 2) < 1e-4:
        name = type(block).__name__
        raise ValueError(
            f"{fn}: {name} sums over the images of a batch (of twice the images it is twice as large) but inherits "
            f"averages = True from Loss, so that steps would be too long by the size of the batch, {count}: write "
            f"`averages = False` into class {name}, or `averages = True` to have it so"
        )


def _doubtful(block: Any) -> bool:
    """Whether `averages` is true and comes from a class above the one that defines forward."""
    for kind in type(block).__mro__:
        if "averages" in vars(kind):
            return False
        if "forward" in vars(kind):
            return bool(block.averages)
    return False


def _of_twice(block: Any, inputs: list[Any], params: list[Any], count: int) -> float:
    """The loss of all images taken twice, NaN if it cannot be had; block and random numbers stay as they were."""
    generator, states = rng.generator().bit_generator, np.random.get_state()
    own = generator.state
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), rng.images((), ()):
            warnings.simplefilter("ignore")
            other = copy.deepcopy(block, {id(block.net): block.net})
            return float(host_numbers(other.forward([_twice(x, count) for x in inputs], params)[0]).sum(dtype=float))
    except Exception:  # whatever a class of the user's own may raise
        return np.nan
    finally:
        generator.state = own
        np.random.set_state(states)


def _twice(value: Any, count: int) -> Any:
    """An input with its images repeated once; inputs that are not per image stay as they are."""
    axes = [i for i, n in enumerate(shape_of(value)) if n == count]
    if not axes:
        return value
    backend = backends.find(value)
    return backend.concat([value, value], axes[-1]) if backend is not None else np.concatenate([value, value], axes[-1])
