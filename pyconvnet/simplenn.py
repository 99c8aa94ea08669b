"""vl_simplenn: a network that is a chain of layers, run forward and backward."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pyconvnet import fusion
from pyconvnet.arrays import as_tensor, derivative_like, is_empty, size_text
from pyconvnet.layers import Layer, Loss, layer_class
from pyconvnet.layers.base import backward_reads
from pyconvnet.options import matlab_options
from pyconvnet.records import Meta, Struct

FN = "vl_simplenn"


class SimpleNN(Struct):
    """A chain of layers: `layers`, a list of records, and `meta`, whatever else belongs to the network.

    Records are plain fields that may be edited: `net.layers[-1].type = "softmax"`.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.setdefault("layers", [])
        self.setdefault("meta", Meta())

    def __repr__(self) -> str:
        from pyconvnet.display import short_repr

        return short_repr(self)

    def _repr_html_(self) -> str:
        from pyconvnet.display import html_table

        return html_table(self)


class Result(Struct):
    """What vl_simplenn leaves between two layers: x, dzdx, dzdw, aux, stats, and times in seconds.

    dzdw, time (also forwardTime) and backwardTime are those of the layer that follows, aux of the one before.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(x=None, dzdx=None, dzdw=[], aux=None, stats=None, time=0.0, forwardTime=0.0, backwardTime=0.0)


class _Mode:
    """What a layer asks of the network it is attached to."""

    def __init__(self, mode: str) -> None:
        self.mode = mode


@matlab_options()
def vl_simplenn(
    net: Any,
    x: np.ndarray,
    dzdy: np.ndarray | None = None,
    res: list[Result] | None = None,
    *,
    mode: str | None = None,
    conserveMemory: Any = False,
    accumulate: Any = False,
    backPropDepth: Any = np.inf,
    skipForward: Any = False,
    inputDer: Any = True,
    sync: Any = False,
    cudnn: Any = True,
) -> list[Result]:
    """Run a SimpleNN, forward and, with dzdy, backward.

    vl_simplenn(net, x) -> res              x: H x W x C x N     res: one entry more than layers
    vl_simplenn(net, x, dzdy) -> res        dzdy of the last output's size, in any precision; one number for a loss
    vl_simplenn(net, x, dzdy, res) -> res   reusing what an earlier call left

    res[0].x is the input, res[i + 1].x the output of layer i, res[i].dzdx the derivative of what dzdy weighs with
    respect to res[i].x, res[i].dzdw a list, that with respect to the weights of layer i, and res[i + 1].aux what layer
    i remembers (a dropout mask). Times are in seconds.

    mode            "normal" (default), or "test": dropout passes everything, bnorm uses its stored moments
    conserveMemory  False; True forgets results that are not needed, but for layers with `precious`
    accumulate      False; True adds to the derivatives of the weights in res (for sub-batches)
    backPropDepth   inf; how many layers, from the last, derivatives pass through
    skipForward     False; True takes the outputs in res and runs backward only
    inputDer        True; False leaves res[i].dzdx None for the first layer i that backward reaches, if that is a
                    convolution: training has no use for it
    sync, cudnn     accepted, without effect

    Raises ValueError and TypeError as the layers do, with the number of the layer (from 1, as tables count), its name,
    type and the size of its input. Warns where mode is not given and matters.
    Source: MatConvNet manual, section 3.1 "Wrappers: SimpleNN".
    """
    records = _records(net)
    depth = len(records)
    backward = not is_empty(dzdy)
    if mode is not None and (not isinstance(mode, str) or mode.lower() not in ("normal", "test")):
        raise ValueError(f"{FN}: mode takes 'normal' or 'test', got {mode!r}")
    if skipForward and not backward:
        raise ValueError(f"{FN}: skipForward runs backward only, which takes dzdy")
    if skipForward and not res:
        raise ValueError(f"{FN}: skipForward takes the outputs in res, which is missing")
    if res and len(res) != depth + 1:
        raise ValueError(f"{FN}: res has {len(res)} entries, the network {depth} layers; it takes {depth + 1}")
    reach = np.asarray(backPropDepth, float)
    if reach.size != 1 or not reach.item() >= 1:
        raise ValueError(f"{FN}: backPropDepth takes a number from 1 up, got {backPropDepth!r}")
    first = max(depth - int(min(reach.item(), depth)), 0) if backward else depth

    layers = [_layer(i, record) for i, record in enumerate(records)]
    if mode is None and not backward:
        _warn_of_mode(layers, records)
    context = _Mode("test" if mode is not None and mode.lower() == "test" else "normal")
    for layer in layers:
        layer.net = context
    if not res:
        res = [Result() for _ in range(depth + 1)]

    if not skipForward:
        res[0].x = as_tensor(FN, "x", x)
        _forward(layers, records, res, first, bool(conserveMemory))
    if backward:
        res[depth].dzdx = _seed(dzdy, res[depth].x, bool(layers) and isinstance(layers[-1], Loss))
        if layers:
            layers[first].input_der = bool(inputDer)
        _backward(layers, records, res, first, bool(conserveMemory), bool(accumulate))
    return res


def _forward(layers: list[Layer], records: Sequence[Any], res: list[Any], first: int, conserve: bool) -> None:
    """Run all layers; `first` is the first one that backward passes through."""
    done = -1  # the last layer that ran as a part of one before
    for i, (layer, record) in enumerate(zip(layers, records)):
        start = perf_counter()
        try:
            y, last = None, i
            if conserve and i > done:
                last = _last_of_fused(layers, records, i, first)
            if last > i:
                weights = [r.get("weights") or () for r in records[i : last + 1]]
                y = fusion.run(layers[i : last + 1], weights, res[i].x)
            if y is not None:
                res[last + 1].x, done = y, last
                for hidden in res[i + 1 : last + 1]:
                    hidden.x = None
            elif i > done:
                res[i + 1] = layer.runForward(record, res[i], res[i + 1])
        except Exception as error:
            raise _located(error, i, record, res[i].x) from error
        if conserve and (i == 0 or not _precious(records[i - 1])) and _done_with_input(layers, i, first):
            res[i].x = None
        res[i].time = res[i].forwardTime = perf_counter() - start


def _last_of_fused(layers: list[Layer], records: Sequence[Any], i: int, first: int) -> int:
    """The last layer that may run in one with layer i: what lies between is read by the next only, then forgotten."""
    if not fusion.starts(layers[i]):
        return i
    while (
        i + 1 < len(layers)
        and fusion.joins(layers[i + 1], layers[i])
        and not _precious(records[i])
        and _done_with_input(layers, i + 1, first)
    ):
        i += 1
    return i


def _done_with_input(layers: list[Layer], i: int, first: int) -> bool:
    """Whether nothing after layer i reads its input."""
    if i < first:
        # the input of the first layer that backward passes through is the output of one that it does not
        return True
    reads_input = bool(backward_reads(layers[i], 1)[0])
    read_before = i > first and backward_reads(layers[i - 1], 1)[1]
    return i > 0 and not reads_input and not read_before


def _backward(
    layers: list[Layer], records: Sequence[Any], res: list[Any], first: int, conserve: bool, accumulate: bool
) -> None:
    for i in range(len(layers) - 1, first - 1, -1):
        start = perf_counter()
        before = list(res[i].dzdw or ()) if accumulate else []
        try:
            res[i] = layers[i].runBackward(records[i], res[i], res[i + 1])
        except Exception as error:
            raise _located(error, i, records[i], res[i].x) from error
        if before:
            res[i].dzdw = [a if b is None else b if a is None else a + b for a, b in zip(res[i].dzdw, before)]
        if conserve and not _precious(records[i]) and i + 1 < len(layers):
            res[i + 1].dzdx = res[i + 1].x = None
        res[i].backwardTime = perf_counter() - start


def _records(net: Any) -> list[Any]:
    if not isinstance(net, dict) or not isinstance(net.get("layers"), (list, tuple)):
        raise TypeError(f"{FN}: net takes a SimpleNN (a record with a list of layers), got {type(net).__name__}")
    records = list(net["layers"])
    for i, record in enumerate(records):
        if not isinstance(record, dict) or "type" not in record:
            raise TypeError(f"{FN}: layer {i + 1} takes a record with a type, got {type(record).__name__}")
    return records


def _layer(i: int, record: Any) -> Layer:
    try:
        return layer_class(record["type"]).from_record(record)
    except (ValueError, TypeError, KeyError) as error:
        if isinstance(error, KeyError):
            error = ValueError(f"field {error.args[0]!r} is missing (vl_simplenn_tidy fills in what has a default)")
        raise type(error)(f"{FN}: {error} ... in layer {i + 1} {record.get('name', '')!r} ({record['type']})") from None


def _warn_of_mode(layers: list[Layer], records: Sequence[Any]) -> None:
    names = [str(r.get("name") or i) for i, (a, r) in enumerate(zip(layers, records), 1) if a.test_differs]
    if names:
        warnings.warn(
            f"{FN}: mode is not given, so {', '.join(names)} ({'these differ' if len(names) > 1 else 'it differs'} in "
            'test mode) run as in training; mode="test" gives predictions, mode="normal" says that this is meant',
            stacklevel=4,
        )


def _precious(record: Any) -> bool:
    return bool(np.any(record.get("precious", False))) or bool(np.any(record.get("rememberOutput", False)))


def _seed(dzdy: Any, y: Any, of_loss: bool) -> np.ndarray:
    """dzdy as an array like the output; a number weighs all outputs of a loss."""
    if y is None:
        raise ValueError(f"{FN}: res holds no output of the last layer")
    if of_loss and np.size(dzdy) == 1:
        dzdy = np.full(y.shape, np.ravel(dzdy)[0])
    return derivative_like(FN, "dzdy", dzdy, y)


def _located(error: Exception, i: int, record: Any, x: Any) -> Exception:
    """The same error with the layer in which it happened."""
    size = f", input {size_text(np.shape(x))}" if isinstance(x, np.ndarray) else ""
    where = f"... in layer {i + 1} {record.get('name', '')!r} ({record['type']}){size}"
    if type(error) in (ValueError, TypeError):
        return type(error)(f"{error} {where}")
    if hasattr(error, "add_note"):
        error.add_note(where)
    return error


def vl_simplenn_move(net: Any, destination: str) -> Any:
    """Move a SimpleNN to a device: vl_simplenn_move(net, "cpu") -> net. There is no other device yet.

    Raises ValueError for "gpu".
    """
    if destination == "cpu":
        return net
    if destination == "gpu":
        raise ValueError("vl_simplenn_move: there is no GPU backend yet; destination takes 'cpu'")
    raise ValueError(f"vl_simplenn_move: destination takes 'cpu', got {destination!r}")


def vl_simplenn_diagnose(net: Any, res: list[Any] | None = None) -> str:
    """How large weights, outputs and derivatives are, layer by layer, as text.

    vl_simplenn_diagnose(net, res) -> text      res: what vl_simplenn returned, or None for the weights alone

    Where nothing learns, derivatives shrink towards the first layer; where training diverges, they grow.
    pyconvnet.view.diagnosis draws the same.

    >>> print(vl_simplenn_diagnose(net, vl_simplenn(net, x, 1)))
    """
    from pyconvnet.diagnose import of_results, text

    return text(of_results(net, res))
