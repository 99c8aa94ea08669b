"""Nodes of normalizations, distances and the spatial transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet.arrays import is_empty
from pyconvnet.formats.onnx.builder import Builder, Param
from pyconvnet.formats.onnx.export_table import writes
from pyconvnet.formats.onnx.library import Refused, check_count
from pyconvnet.layers import (
    LRN,
    AffineGridGenerator,
    BatchNorm,
    BilinearSampler,
    NormOffset,
    PDist,
    SpatialNorm,
    UniformScalingGridGenerator,
)

# --- normalization --------------------------------------------------------------------------------------------------


def _numbers(param: Any) -> list[float]:
    return [float(v) for v in np.ravel(param)]


@writes(BatchNorm)
def bnorm(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    if len(params) < 2:
        raise Refused("it has no multipliers and biases")
    k = params[0].value.size
    given = [*inputs, g.param(params[0], [k]), g.param(params[1], [k])]
    epsilon = float(np.ravel(layer.effective_options()["epsilon"])[0])
    if len(params) < 3 or not np.any(params[2].value):  # those of the batch, as in MatConvNet
        moments = [g.constant(np.zeros(k)), g.constant(np.ones(k))]
        return g.add("BatchNormalization", *given, *moments, outputs=3, epsilon=epsilon, training_mode=1)
    mean, sigma = np.asarray(params[2].value, float).ravel(order="F").reshape(2, k)
    # sigma has epsilon in it already; where that was another, none is taken out
    epsilon = epsilon if np.all(sigma**2 > epsilon) else 0.0
    values = [g.constant(v, f"{params[2].name}/{n}") for n, v in (("mean", mean), ("var", sigma**2 - epsilon))]
    return g.add("BatchNormalization", *given, *values, epsilon=epsilon)


@writes(LRN)
def lrn(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    n, kappa, alpha, beta = _numbers(layer.param)
    n = int(n)
    if n % 2:  # onnxruntime takes no even ones
        return g.add("LRN", x, size=n, alpha=alpha * n, beta=beta, bias=kappa)
    (channels,) = g.size(x, 2)
    first = len(g.nodes)
    far = np.arange(channels) - np.arange(channels)[:, None]
    band = np.where((far >= -((n - 1) // 2)) & (far <= n // 2), alpha, 0.0)
    mass = g.add("Conv", g.add("Mul", x, x), g.constant(band[:, :, None, None]), g.constant(np.full(channels, kappa)))
    y = g.add("Div", x, g.add("Pow", mass, g.constant(beta)))
    g.mark(first, "LRN", inputs, {"param": [n, kappa, alpha, beta]})
    return y


@writes(NormOffset)
def noffset(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    alpha, beta = _numbers(layer.param)
    first = len(g.nodes)
    energy = g.add("Max", g.add("ReduceSumSquare", x, axes=[1]), g.constant(1e-8))
    y = g.add("Sub", x, g.add("Mul", g.add("Pow", energy, g.constant(beta)), g.constant(alpha)))
    g.mark(first, "NormOffset", inputs, {"param": [alpha, beta]})
    return y


@writes(SpatialNorm)
def spnorm(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    (x,) = inputs
    ph, pw, alpha, beta = _numbers(layer.param)
    first = len(g.nodes)
    size = [int(ph), int(pw)]
    pads = [(s - 1) // 2 for s in size] + [s // 2 for s in size]
    mean = g.add("AveragePool", g.add("Mul", x, x), kernel_shape=size, pads=pads, count_include_pad=0)
    mass = g.add("Add", g.add("Mul", mean, g.constant(alpha)), g.constant(1.0))
    y = g.add("Div", x, g.add("Pow", mass, g.constant(beta)))
    g.mark(first, "SpatialNorm", inputs, {"param": [*size, alpha, beta]})
    return y


@writes(PDist)
def pdist(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    if len(inputs) != 2 or not is_empty(layer._options(inputs)["instanceWeights"]):
        raise Refused("its instanceWeights are not written")
    x, target = inputs
    options, p = layer.effective_options(), float(layer.p)
    first = len(g.nodes)
    far = g.add("Where", g.add("IsNaN", target), g.constant(0.0), g.add("Sub", x, target))
    powers = g.add("Mul", far, far) if p == 2 else g.add("Abs", far)
    powers = powers if p in (1, 2) else g.add("Pow", powers, g.constant(p))
    y = g.add("ReduceSum", powers, g.constant([1]))
    if not options["noRoot"] and p != 1:
        y = g.add("Sqrt", y) if p == 2 else g.add("Pow", y, g.constant(1 / p))
    if options["aggregate"]:
        y = g.add("ReduceSum", y, g.constant([0, 1, 2, 3]))
    properties = {"p": p, "noRoot": bool(options["noRoot"]), "aggregate": bool(options["aggregate"])}
    g.mark(first, "PDist", inputs, properties)
    return y


# --- spatial transformer --------------------------------------------------------------------------------------------


@writes(AffineGridGenerator)
def affine_grid(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    # rows: what each of c1 .. c6 is multiplied by; y = c1 v + c2 u + c5, x = c3 v + c4 u + c6
    v, u, one, none = _points(layer)
    return _grid(g, layer, inputs, [(v, none), (u, none), (none, v), (none, u), (one, none), (none, one)])


@writes(UniformScalingGridGenerator)
def scaling_grid(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    v, u, one, none = _points(layer)
    return _grid(g, layer, inputs, [(v, u), (one, none), (none, one)])


def _points(layer: Any) -> list[np.ndarray]:
    check_count(12 * max(int(layer.Ho), 1) * max(int(layer.Wo), 1))
    v, u = (np.array(p) for p in layer._points())
    rows, columns = np.meshgrid(v, u, indexing="ij")
    return [rows, columns, np.ones_like(rows), np.zeros_like(rows)]


def _grid(g: Builder, layer: Any, inputs: list[str], rows: list[tuple[np.ndarray, np.ndarray]]) -> str:
    """2 x Ho x Wo x N is N x Wo x 2 x Ho here: a linear map of the coefficients."""
    if g.known(inputs[0], 2) not in (None, len(rows)):
        raise Refused(f"its input must be 1x1x{len(rows)}xN")
    first = len(g.nodes)
    matrix = np.stack([np.stack(row).transpose(2, 0, 1).ravel() for row in rows])
    ho, wo = int(layer.Ho), int(layer.Wo)
    flat = g.add("Reshape", inputs[0], g.constant([0, len(rows)]))
    y = g.add("Reshape", g.add("MatMul", flat, g.constant(matrix)), g.constant([-1, wo, 2, ho]))
    g.mark(first, type(layer).__name__, inputs, {"Ho": ho, "Wo": wo})
    return y


@writes(BilinearSampler)
def sampler(g: Builder, layer: Any, inputs: list[str], params: list[Param]) -> str:
    x, grid = inputs
    first = len(g.nodes)
    if g.known(grid, 3) != g.known(x, 3):
        raise Refused("there must be one grid for each image")
    points = g.add("Transpose", grid, perm=[0, 3, 1, 2])  # N x Ho x Wo x (v, u)
    swapped = g.add("Gather", points, g.constant([1, 0]), axis=3)
    y = g.add("GridSample", x, swapped, mode="bilinear", padding_mode="zeros", align_corners=1)
    # MatConvNet's CPU code gives 0 at every point above or left of the image, where GridSample still blends
    within = g.add("GreaterOrEqual", g.add("ReduceMin", grid, axes=[2]), g.constant(-1.0))  # N x Wo x 1 x Ho
    y = g.add("Mul", y, g.add("Cast", g.add("Transpose", within, perm=[0, 2, 3, 1]), to=1))
    g.mark(first, "BilinearSampler", inputs, {})
    return y
