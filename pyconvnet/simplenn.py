"""vl_simplenn: a network that is a chain of layers, run forward and backward."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pyconvnet import backends, devices
from pyconvnet.arrays import as_tensor, count, derivative_like, host_numbers, is_empty
from pyconvnet.engine import run
from pyconvnet.engine.chain import FN, ChainPlan
from pyconvnet.layers import Loss
from pyconvnet.options import matlab_options
from pyconvnet.records import Meta, Struct, check_weights, reader_hint
from pyconvnet.text import listed
from pyconvnet.values import flag, number


class SimpleNN(Struct):
    """A chain of layers: `layers`, a list of records, and `meta`, further data about the network.

    Records are plain fields that may be edited: `net.layers[-1].type = "softmax"`.
    """

    # [its plan], kept while its records stay the same, or [] while the plan is in use; [its copy without a loss], or []
    __slots__ = ("_plan", "_predicting")

    def __new__(cls, *args: Any, **fields: Any) -> SimpleNN:
        self = super().__new__(cls)
        object.__setattr__(self, "_plan", [])
        object.__setattr__(self, "_predicting", [])
        return self

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.setdefault("layers", [])
        self.setdefault("meta", Meta())

    def __getstate__(self) -> None:
        return None  # a copy makes a plan of its own

    def __repr__(self) -> str:
        from pyconvnet.display import short_repr

        return short_repr(self)

    def _repr_html_(self) -> str:
        from pyconvnet.display import html_table

        return html_table(self)


class Result(Struct):
    """The results between two layers: x, dzdx, dzdw, aux, stats, and times in seconds.

    dzdw, time (also forwardTime) and backwardTime belong to the layer that follows, aux to the layer before. Of layers
    that run as one, as those of a recorded run do, the last has the time of all.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(x=None, dzdx=None, dzdw=[], aux=None, stats=None, time=0.0, forwardTime=0.0, backwardTime=0.0)


@matlab_options()
def vl_simplenn(
    net: Any,
    x: np.ndarray,
    dzdy: np.ndarray | float | None = None,
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
    vl_simplenn(net, x, dzdy, res) -> res   res: the results of an earlier call, which are overwritten

    res[0].x is the input, res[i + 1].x the output of layer i, res[i].dzdx the derivative with respect to res[i].x
    of the output weighted by dzdy, res[i].dzdw the list of its derivatives with respect to the weights of layer i, and
    res[i + 1].aux the state that layer i keeps for backward (a dropout mask). Times are in seconds, and 0 where a
    recorded run was played (`pyconvnet.deploy`).

    mode            "normal" (default), or "test": dropout passes everything, bnorm uses its stored moments
    conserveMemory  False; True forgets results once they are not needed, except those of layers with `precious`
    accumulate      False; True adds to the derivatives of the weights in res (for sub-batches)
    backPropDepth   inf; how many layers, from the last, derivatives pass through
    skipForward     False; True runs backward only, from the outputs in res
    inputDer        True; False leaves res[i].dzdx None for the first layer i that backward reaches, if that is a
                    convolution: training has no use for it
    sync, cudnn     accepted, without effect

    Raises ValueError and TypeError as the layers do, with the number of the layer (from 1, as tables count), its name,
    type and the size of its input. Warns where mode is not given and matters.
    Source: MatConvNet manual, section 3.1.1 "SimpleNN".
    """
    records = _records(net)
    depth = len(records)
    backward = not is_empty(dzdy)
    if mode is not None and (not isinstance(mode, str) or mode.lower() not in ("normal", "test")):
        raise ValueError(f"{FN}: mode must be 'normal' or 'test', got {mode!r}")
    conserveMemory, accumulate, skipForward, inputDer = (
        flag(f"{FN}: {name}", value)
        for name, value in (
            ("conserveMemory", conserveMemory),
            ("accumulate", accumulate),
            ("skipForward", skipForward),
            ("inputDer", inputDer),
        )
    )
    res = None if is_empty(res) else res  # MATLAB's [] comes as an array
    if res is not None and not isinstance(res, (list, tuple)):
        raise TypeError(f"{FN}: res must be the list that vl_simplenn returned, got {type(res).__name__}")
    if skipForward and not backward:
        raise ValueError(f"{FN}: skipForward runs backward only; dzdy must be given")
    if skipForward and not res:
        raise ValueError(f"{FN}: skipForward uses the outputs in res; res must be given")
    if res and len(res) != depth + 1:
        raise ValueError(f"{FN}: res must have {depth + 1} entries for {depth} layers, got {len(res)}")
    reach = number(f"{FN}: backPropDepth", backPropDepth, "a number from 1 up", lambda v: v >= 1)
    first = max(depth - int(min(reach, depth)), 0) if backward else depth

    plan = _take_plan(net, records)
    layers = plan.layers
    if mode is None and not backward:
        _warn_of_mode(plan)
    if not res:
        res = [Result() for _ in range(depth + 1)]
    if not skipForward:
        res[0].x = as_tensor(f"{FN}: x", x)
    plan.bind(res, "normal" if mode is None else mode.lower(), first, accumulate)
    plan.network._passes_back = backward and not skipForward
    recorded = None
    try:
        if backward and conserveMemory and first == 0 and not (skipForward or accumulate):
            recorded = plan.recorded_step(inputDer)
        if not skipForward:
            _forward(plan, first, conserveMemory, mode == "test" and not backward, recorded)
        if backward:
            last = plan.slots[-1]
            last.der = _seed(dzdy, last.value, bool(layers) and isinstance(layers[-1], Loss))
            if layers:
                layers[first].input_der = inputDer
            _backward(plan, first, conserveMemory, accumulate, recorded)
    except Exception:
        if recorded is not None:
            recorded.leave_values()
        raise
    finally:
        for layer in layers[first : first + 1]:
            layer.input_der = True
        res[:] = plan.release()
    if isinstance(net, SimpleNN):
        net._plan[:] = [plan]
    return res


def _take_plan(net: Any, records: list[Any]) -> ChainPlan:
    """The network's plan, if it still fits; no other thread has it meanwhile."""
    if isinstance(net, SimpleNN):
        try:
            plan = net._plan.pop()
        except IndexError:
            return ChainPlan(records)
        if plan.fits(records):
            return plan
    return ChainPlan(records)


def _forward(plan: ChainPlan, first: int, conserve: bool, predicts: bool, recorded: Any) -> None:
    """Run all layers; backward passes through those from `first` on; recorded: a recording of the first ones."""
    steps = plan.steps
    if recorded is not None:
        recorded.forward()
        steps = recorded.rest
    elif conserve:
        mode = plan.layers[0].mode if plan.layers else ""
        steps = plan.in_one(first, frozenset(s for s in plan.slots if s.precious), mode, predicts)
    run.forward(steps, set())
    for step, after in zip(plan.steps, plan.slots[1:]):
        if step.forward_itself is None:
            after.result["aux"] = step.block.aux


def _backward(plan: ChainPlan, first: int, conserve: bool, accumulate: bool, recorded: Any) -> None:
    for entry in plan.entries[first:]:
        entry.before.der = None
        earlier = entry.before.result["dzdw"] or () if accumulate else ()
        for weight, der in zip(entry.weights, earlier):
            weight.der = der
    run.backward(plan.steps[first if recorded is None else recorded.depth :], conserve)
    if recorded is not None:
        recorded.backward()
    for step in plan.steps[first:]:
        if step.backward_itself is None:
            step.entry.before.result["dzdw"] = [weight.der for weight in step.entry.weights]


def _records(net: Any, fn: str = FN) -> list[Any]:
    if not isinstance(net, dict) or not isinstance(net.get("layers"), (list, tuple)):
        raise TypeError(
            f"{fn}: net must be a SimpleNN (a record with a list of layers), got {type(net).__name__}{reader_hint(net)}"
        )
    records = list(net["layers"])
    check_weights(fn, records)
    for i, record in enumerate(records):
        if not isinstance(record, dict) or "type" not in record:
            raise TypeError(f"{fn}: layer {i + 1} must be a record with a type, got {type(record).__name__}")
    return records


def _warn_of_mode(plan: ChainPlan) -> None:
    names = [str(e.record.get("name") or e.at + 1) for e in plan.entries if e.layer.test_differs]
    if names:
        warnings.warn(
            f"{FN}: mode is not given, so {listed(names)} ({'these differ' if len(names) > 1 else 'it differs'} in "
            'test mode) run as in training; mode="test" gives predictions, mode="normal" says that this is meant',
            stacklevel=4,
        )


def _seed(dzdy: Any, y: Any, of_loss: bool) -> np.ndarray:
    """dzdy as an array like the output; a number weighs all outputs of a loss."""
    if y is None:
        raise ValueError(f"{FN}: res holds no output of the last layer")
    if of_loss and count(dzdy) == 1:
        dzdy = backends.of(y).full(y.shape, host_numbers(dzdy).item(), y)
    return derivative_like(f"{FN}: dzdy", dzdy, y)


def vl_simplenn_move(net: Any, destination: str) -> Any:
    """Move the weights of a SimpleNN to a device: net = vl_simplenn_move(net, "gpu").

    destination  "cpu", "gpu", "cuda:1", "mps", "torch:cpu" ...: see pyconvnet.devices

    The network given is not changed; it is itself returned where it is there already. Images that it is to run on must
    be on the same device (gpuArray), as are the results, until gather brings them back.
    Raises ValueError for a device that is not there, ImportError without PyTorch.
    """
    fn = "vl_simplenn_move"
    device, records = devices.full_name(fn, destination), _records(net, fn)

    def moved(record: Any) -> Any:
        fields = record if device == "cpu" else {k: v for k, v in record.items() if k in _MOVED}
        found = devices.move(fn, fields, device)
        return record if found is fields or not found else type(record)({**record, **found})

    layers = [moved(record) for record in records]
    return net if all(a is b for a, b in zip(layers, records)) else type(net)({**net, "layers": layers})


_MOVED = ("weights", "momentum", "filters", "biases", "filtersMomentum", "biasesMomentum")


def vl_simplenn_diagnose(net: Any, res: list[Any] | None = None) -> str:
    """How large weights, outputs and derivatives are, layer by layer, as text.

    vl_simplenn_diagnose(net, res) -> text      res: what vl_simplenn returned, or None for the weights alone

    Where nothing learns, derivatives shrink towards the first layer; where training diverges, they grow.
    pyconvnet.view.diagnosis draws the same.

    Raises TypeError for what is not a network.
    Source: MatConvNet, vl_simplenn_diagnose, which draws.

    >>> net = SimpleNN(layers=[{"type": "conv", "weights": [np.ones((2, 2, 1, 1)), np.zeros(1)]}, {"type": "relu"}])
    >>> print(vl_simplenn_diagnose(net, vl_simplenn(net, np.ones((2, 2)), 1)))
    layer   what       size  mean  deviation  smallest  largest  zeros
    layer1  weights 1     4     1          0         1        1     0%
    layer1  weights 2     1     0          0         0        0   100%
    layer1  dzdw 1        4     1          0         1        1     0%
    layer1  dzdw 2        1     1          0         1        1     0%
    layer1  output        1     4          0         4        4     0%
    layer1  dzdx          4     1          0         1        1     0%
    layer2  output        1     4          0         4        4     0%
    layer2  dzdx          1     1          0         1        1     0%
    """
    from pyconvnet.diagnose import of_results, text

    return text(of_results(net, res))
