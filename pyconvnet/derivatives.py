"""check_derivatives: whether a layer's backward gives the derivatives of its forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyconvnet import rng
from pyconvnet.arrays import is_empty, size_text
from pyconvnet.layers import Layer, checks
from pyconvnet.layers.base import backward_reads
from pyconvnet.records import Struct
from pyconvnet.values import number, whole_number

FN = "check_derivatives"
STEP = 1e-6


def check_derivatives(
    layer: Layer,
    inputs: Sequence[Any],
    params: Sequence[Any] | None = None,
    *,
    directions: int = 3,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> list[Struct]:
    """Compare the derivatives that a layer's backward returns with quotients of differences of its forward.

    check_derivatives(layer, inputs) -> report             inputs: of forward, such as [x] or [x, labels]
    check_derivatives(layer, inputs, params) -> report     params: values of the parameters; else those of initParams

    The report is a list of Struct(name, derivative, difference, error), one for each input and parameter: the slope of
    a random combination of the outputs along a random direction by backward and by forward, of several directions
    the worst, and how far they are apart, relative to their size. Input k is called "inputs[k]", its derivative is None
    where backward returns none (labels), which says that the output does not depend on it and is not checked.

    Everything is computed in double precision; integers stay as they are. Random numbers that forward draws from
    numpy's or the library's generators are the same each time. A layer whose `backward_uses` says that backward can do
    without its inputs is checked as a network calls it: with them, and with its outputs, or None, in their place.

    directions  how many random directions
    tolerance   largest error; take inputs that do not lie at kinks (a rectifier's 0)
    seed        of the random numbers

    Raises ValueError that names each derivative that is off, or whose size is not that of its input or parameter.

    >>> import numpy as np, pyconvnet as pcn
    >>> x = np.random.default_rng(0).standard_normal((4, 4, 2, 3))
    >>> [row.name for row in pcn.check_derivatives(pcn.dagnn.Tanh(), [x])]
    ['inputs[0]']
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"{FN}: layer must be an object of a layer class, got {_kind(layer)}")
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"{FN}: inputs must be a list, such as [x], got {_kind(inputs)}")
    tolerance = number(f"{FN}: tolerance", tolerance)
    directions, seed = whole_number(f"{FN}: directions", directions, 1), whole_number(f"{FN}: seed", seed, 0)
    if params is None:
        params = layer.initParams()
    if not isinstance(params, (list, tuple)):
        raise TypeError(f"{FN}: params must be a list of arrays, got {_kind(params)}")
    xs, ws = [_double(x) for x in inputs], [_double(w) for w in params]
    name = type(layer).__name__
    state = rng.generator(), np.random.get_state()
    try:
        report = _Check(layer, xs, ws, directions, seed).report()
    except (ValueError, TypeError) as error:
        raise type(error)(f"{FN}: {name}: {error}") from error
    finally:
        rng.adopt(state[0])
        np.random.set_state(state[1])
    wrong = [row for row in report if not row.error <= tolerance]
    if wrong:
        raise ValueError(
            f"{FN}: {name}: "
            + "; ".join(
                f"the derivative of {row.name} gives {row.derivative:.6g} along a direction in which forward changes "
                f"by {row.difference:.6g}"
                for row in wrong
            )
        )
    return report


class _Check:
    def __init__(self, layer: Layer, inputs: list, params: list, directions: int, seed: int) -> None:
        self.layer, self.inputs, self.params, self.seed = layer, inputs, params, seed
        self.directions = range(directions)
        self.random = np.random.default_rng([seed, 1])  # not a seed of inputs, which would be their own weights
        outputs = self.forward(inputs, params)
        if not isinstance(outputs, (list, tuple)):
            checks.outputs(outputs, 1)
        self.weights = [self.random.standard_normal(np.shape(y)) for y in outputs]
        self.least = 1e-4 * sum(float(np.sum(np.abs(w * y))) for w, y in zip(self.weights, outputs))

    def forward(self, inputs: list, params: list) -> list:
        rng.seed(self.seed)
        return self.layer.forward(inputs, params)

    def combined(self, inputs: list, params: list) -> float:
        """The combination of all outputs, a number."""
        return sum(float(np.sum(w * y)) for w, y in zip(self.weights, self.forward(inputs, params)))

    def report(self) -> list[Struct]:
        layer, rows = self.layer, []
        for suffix, spare in self.ways():
            outputs = checks.outputs(self.forward(self.inputs, self.params), len(self.weights))
            given = self.handed(outputs) if spare else self.inputs
            returned = layer.backward(list(given), list(self.params), [w.copy() for w in self.weights])
            d_inputs, d_params = checks.derivatives(returned, self.inputs, self.params)
            for which, ders in (("inputs", d_inputs), ("params", d_params)):
                for i, d in enumerate(ders):
                    if which == "params" and i in layer.averaged:
                        continue  # backward returns the moments of the batch there
                    rows.append(self.row(which, i, d, suffix))
        return rows

    def ways(self) -> list[tuple[str, bool]]:
        """Whether backward gets no more than it reads, and how to call that."""
        uses = self.layer.backward_uses
        reads, _ = backward_reads(self.layer, len(self.inputs))
        return [("", False)] + [(f" (backward_uses is {uses!r})", True)] * (len(reads) < len(self.inputs))

    def handed(self, outputs: list) -> list:
        """The inputs as a network passes them that keeps no more than needed."""
        reads, reads_outputs = backward_reads(self.layer, len(self.inputs))
        if reads_outputs:
            return list(outputs)
        return [x if i in reads else None for i, x in enumerate(self.inputs)]

    def row(self, which: str, i: int, d: Any, suffix: str) -> Struct:
        """The worst of all directions."""
        name = f"{which}[{i}]{suffix}"
        value = (self.inputs if which == "inputs" else self.params)[i]
        if is_empty(d):
            return Struct(name=name, derivative=None, difference=None, error=0.0)
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise ValueError(
                f"backward must return None for {name}, which is not an array of real numbers but {_kind(value)}"
            )
        d, found = np.asarray(d, float).reshape(value.shape), []
        for _ in self.directions:
            v = self.random.standard_normal(value.shape)
            ends = []
            for step in (STEP, -STEP):
                at = {"inputs": list(self.inputs), "params": list(self.params)}
                at[which][i] = value + step * v
                ends.append(self.combined(**at))
            exact, numeric = float(np.sum(d * v)), (ends[0] - ends[1]) / (2 * STEP)
            # a slope near 0, by chance or not, has rounding errors as large as those of its terms
            scale = max(abs(exact), abs(numeric), float(np.linalg.norm(d * v)), self.least, 1e-12)
            found.append(Struct(name=name, derivative=exact, difference=numeric, error=abs(exact - numeric) / scale))
        return max(found, key=lambda row: row.error)


def _double(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def _kind(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"an array of {x.dtype}, {size_text(x.shape)}"
    return f"{type(x).__name__}: {x!r}"
