"""Modules of to_torch that torch.export records as many operations: found by what it records of each alone."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch

from pyconvnet import layers
from pyconvnet.formats.pytorch import modules
from pyconvnet.formats.pytorch.patterns import Pattern


def grid(last: Any) -> Pattern | None:
    """The grid of points, N x W x 2 x H, of which this is the last operation."""
    value = last.meta.get("val")
    if str(last.target) != "aten.stack.default" or value.ndim != 4 or value.shape[2] != 2:
        return None
    count, width, _, height = (int(n) for n in value.shape)
    for kind, block, size in (
        ("UniformScalingGrid", layers.UniformScalingGridGenerator, 3),
        ("AffineGrid", layers.AffineGridGenerator, 6),
    ):
        if found := _found(last, kind, (height, width), ((count, size, 1, 1),), block(Ho=height, Wo=width)):
            return found
    return None


def sampler(last: Any) -> Pattern | None:
    """The image sampled at the points of a grid, of which this is the last operation."""
    at: Any = last.args[0] if str(last.target) == "aten.mul.Tensor" else None
    if not str(getattr(at, "target", "")).startswith("aten.grid_sampler"):
        return None
    repeated = at.args[0]  # for several grids
    if str(repeated.target) != "aten.repeat_interleave.self_int" or last.meta["val"].ndim != 4:
        return None
    count, _, height, width = (int(n) for n in last.meta["val"].shape)
    shapes = (tuple(int(n) for n in repeated.args[0].meta["val"].shape), (count, width, 2, height))
    if count % shapes[0][0]:
        return None
    return _found(last, "BilinearSampler", (), shapes, layers.BilinearSampler())


def _found(last: Any, kind: str, args: tuple[int, ...], shapes: tuple[Any, ...], block: Any) -> Pattern | None:
    value = last.meta["val"]
    end, inputs = _recorded(kind, args, shapes, value.dtype, value.device)
    known: dict[Any, Any] = {}
    if not _is_same(end, last, known):
        return None
    inner = [ours for theirs, ours in known.items() if theirs not in (*inputs, end)]
    return Pattern(inner, [known[each] for each in inputs], block)


@lru_cache(maxsize=32)
def _recorded(
    kind: str, args: tuple[int, ...], shapes: tuple[Any, ...], dtype: torch.dtype, device: torch.device
) -> tuple[Any, list[Any]]:
    """The last operation of a module, and its inputs."""
    examples = tuple(torch.zeros(shape, dtype=dtype, device=device) for shape in shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        graph = torch.export.export(getattr(modules, kind)(*args), examples).run_decompositions({}).graph
    (output,) = (node for node in graph.nodes if node.op == "output")
    return output.args[0][0], [node for node in graph.nodes if node.op == "placeholder"]


def _is_same(theirs: Any, ours: Any, known: dict[Any, Any]) -> bool:
    """Whether an argument is the same, with all operations before it; known: ours for each of theirs so far."""
    if isinstance(theirs, (list, tuple)):
        same = isinstance(ours, (list, tuple)) and len(theirs) == len(ours)
        return same and all(_is_same(a, b, known) for a, b in zip(theirs, ours))
    if not isinstance(theirs, torch.fx.Node):
        return bool(theirs == ours)
    if theirs in known:
        return known[theirs] is ours
    if not isinstance(ours, torch.fx.Node):
        return False
    if theirs.op == "placeholder":
        same = ours.meta["val"].shape == theirs.meta["val"].shape
    else:
        same = theirs.target == ours.target and theirs.kwargs.keys() == ours.kwargs.keys()
        same = same and _is_same(theirs.args, ours.args, known)
        same = same and all(_is_same(v, ours.kwargs[key], known) for key, v in theirs.kwargs.items())
    known[theirs] = ours
    return same
