"""Running a graph: a plan made once, a forward loop, a backward loop.

Both loops are kept lean: what a layer reads and writes is looked up when the plan is made, not while it runs.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet import kernels
from pyconvnet.arrays import derivative_like, is_empty
from pyconvnet.dagnn.fused import Fused, fused_steps, located
from pyconvnet.dagnn.parts import LayerEntry, UnknownName, Var, pairs, unknown
from pyconvnet.dagnn.step import Step
from pyconvnet.layers import checks
from pyconvnet.layers.base import Layer, backward_reads

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN


class Plan:
    """The layers in the order they run, as steps: all values kept, forgotten in testing, forgotten in training."""

    def __init__(self, net: DagNN) -> None:
        self.blocks = [entry.block for entry in net.layers]
        self.uses = [block.backward_uses for block in self.blocks]
        last: dict[int, int] = {}
        read: set[int] = set()
        reads = [backward_reads(block, len(entry.inputs)) for block, entry in zip(self.blocks, net.layers)]
        for at in net.executionOrder:
            entry, (positions, outputs) = net.layers[at], reads[at]
            last.update(dict.fromkeys(entry.inputIndexes, at))
            read.update(entry.inputIndexes[i] for i in positions)
            if outputs or len(entry.outputIndexes) > 1:  # several: zeros like those without der
                read.update(entry.outputIndexes)
        self.keeping: list[Step] = []
        self.testing: list[Step] = []
        self.training: list[Step] = []
        for at in net.executionOrder:
            entry, block = net.layers[at], self.blocks[at]
            if block.net is not net or block.layerIndex != at:
                block.net, block.layerIndex = net, at
            over = [v for v in dict.fromkeys(entry.inputIndexes) if last[v] == at]
            kind = type(block)
            ins, outs = ([net.vars[v] for v in places] for places in (entry.inputIndexes, entry.outputIndexes))
            positions, outputs = reads[at]
            step = Step(
                entry,
                block,
                ins,
                outs,
                [net.params[p] for p in entry.paramIndexes],
                [],
                kind.forwardAdvanced is not Layer.forwardAdvanced,
                kind.backwardAdvanced is not Layer.backwardAdvanced,
                handed(positions, outputs, ins, outs),
                outputs and bool(positions),
            )
            for steps, ends in (
                (self.keeping, []),
                (self.testing, over),
                (self.training, [v for v in over if v not in read]),
            ):
                steps.append(step._replace(ends=[net.vars[v] for v in ends]))

        self.firsts = []  # blocks that read inputs of the network only
        for step in self.keeping:
            step.block.input_der = True
            if not any(v.fanin for v in step.inputs):
                self.firsts.append((step.block, step.inputs))
        self.fused: tuple[Any, list] = (None, [])

    def in_one(self, mode: str, exposed: frozenset[Var]) -> list[Step]:
        """The steps of a network that forgets what nobody reads: layers run as one unless they write `exposed`."""
        if self.fused[0] != (mode, exposed):
            self.fused = (mode, exposed), fused_steps(self.keeping, exposed)
        return self.fused[1]

    def fits(self, net: DagNN) -> bool:
        """Whether the blocks are still those the plan was made for."""
        blocks = [entry.block for entry in net.layers]
        return blocks == self.blocks and (
            not net.computingDerivative or [block.backward_uses for block in blocks] == self.uses
        )


def run(
    net: DagNN, inputs: Any, derOutputs: Any = None, factors: dict[Var, float] | None = None, keep: bool = False
) -> None:
    """The work of DagNN.eval, and of DagNN.forward with `keep`: keep what `run_back` reads; factors: see backward."""
    given = [(_variable(net, "inputs", name), value) for name, value in pairs("DagNN.eval", "inputs", inputs)]
    wanted = _wanted(net, derOutputs)
    net._kept, net.computingDerivative = None, keep or bool(wanted)
    if net._plan is None or not net._plan.fits(net):
        net._plan = Plan(net)
    plan = net._plan
    unset = [param.name for param in net.params if param.value is None]
    if unset:  # an operator would take None as "no filters", which has a meaning
        raise ValueError(f"DagNN.eval: parameters without a value: {', '.join(unset)}; initParams gives first ones")
    deriving = net.computingDerivative
    steps = plan.training if deriving and net.conserveMemory else plan.testing if net.conserveMemory else plan.keeping

    _place(net, given)
    fixed = {var for var, _ in given if var.fanin}
    if steps is plan.testing and not fixed and all(v.fanin or v.value is not None for v in net.vars):
        steps = plan.in_one(net.mode, frozenset(v for v in net.vars if v.precious))
        for step in reversed(steps):
            if isinstance(step.block, Fused):
                step.block.settle()
    if fixed:
        steps = [step for step in steps if fixed.isdisjoint(step.outputs)]
    if not forward(steps, {var for var, _ in wanted}) and steps:
        missing = [var.name for var in net.vars if not var.fanin and var.value is None]
        raise ValueError(f"DagNN.eval: no layer could run; inputs of the network without a value: {', '.join(missing)}")
    if keep:
        net._kept = steps
    if wanted:
        _differentiate(net, wanted, steps, factors)


def run_back(net: DagNN, derOutputs: Any) -> None:
    """The work of DagNN.backward."""
    wanted, steps = _wanted(net, derOutputs, "DagNN.backward"), net._kept
    if not wanted:
        raise ValueError("DagNN.backward: derOutputs names no output, such as {'objective': 1}")
    if steps is None or net._plan is None or not net._plan.fits(net):
        raise ValueError(
            "DagNN.backward: there is no forward pass to go back through; call forward(inputs) before each call (one "
            "serves several calls where conserveMemory is False, and none where the graph has changed since)"
        )
    for var, _ in wanted:
        if var.value is None:
            raise ValueError(
                f"DagNN.backward: derOutputs names {var.name!r}, which forward did not compute, or has not kept; "
                f"vars[{var.name!r}].precious = True keeps it"
            )
    if net.conserveMemory:
        net._kept = None
    _differentiate(net, wanted, steps)


def _wanted(net: DagNN, derOutputs: Any, fn: str = "DagNN.eval") -> list[tuple[Var, Any]]:
    """The variables that are given a derivative, and that."""
    found = pairs(fn, "derOutputs", derOutputs)
    return [(_variable(net, "derOutputs", name, fn), d) for name, d in found if not is_empty(d)]


def _differentiate(net: DagNN, wanted: list, steps: list[Step], factors: dict[Var, float] | None = None) -> None:
    for var in net.vars:
        var.der = None
    if not net.accumulateParamDers:
        for param in net.params:
            param.der = None
    for var, d in wanted:
        d = _seed(net, var, d)
        var.der = d if var.der is None else var.der + d
    for block, ins in net._plan.firsts:
        block.input_der = net.inputDers or any(v.precious for v in ins)
    backward(steps, net.conserveMemory, factors)


def forward(steps: list[Step], held: set[Var]) -> int:
    """Run the steps whose inputs are all there; returns how many ran. Variables in `held` are never forgotten."""
    entry: Any = None
    ran = 0
    clock = perf_counter
    start = clock()
    try:
        for entry, block, ins, outs, params, ends, drives_itself, *_ in steps:
            if drives_itself:
                block.forwardAdvanced(entry)
            else:
                inputs = [v.value for v in ins]
                for x in inputs:
                    if x is None:
                        break
                else:
                    outputs = block.forward(inputs, [p.value for p in params])
                    for v, y in zip(outs, checks.outputs(outputs, len(outs))):
                        v.value = y
                    for v in ends:
                        if not v.precious and v not in held:
                            v.value = None
                    now = clock()
                    entry.forwardTime = now - start
                    start = now
                    ran += 1
                    continue
                held.update(ins)
                continue
            now = clock()
            entry.forwardTime = now - start
            start = now
            ran += 1
            for v in ends:
                if not v.precious and v not in held:
                    v.value = None
    except Exception as error:
        raise located(error, entry, ins) from error
    return ran


def backward(steps: list[Step], conserve: bool, factors: dict[Var, float] | None = None) -> None:
    """Pass the derivatives back through the steps that have any; they add up where a variable has several readers.

    factors  multiply the derivatives of some variables before the layer that wrote them passes these back
    """
    entry: Any = None
    clock = perf_counter
    start = clock()
    try:
        for entry, block, ins, outs, params, _, _, drives_itself, given, reads_both in reversed(steps):
            if drives_itself:
                block.backwardAdvanced(entry)
            else:
                ders = [v.der for v in outs]
                for d in ders:
                    if d is None:
                        ders = _complete(outs, ders)
                        break
                if not ders:
                    continue
                if factors:
                    ders = [d * factors[v] if v in factors else d for v, d in zip(outs, ders)]
                inputs = [None if v is None else v.value for v in given]
                if conserve and not reads_both:
                    _forget(outs)
                _add(block, inputs, ins, params, ders)
                if conserve and reads_both:
                    _forget(outs)
            now = clock()
            entry.backwardTime = now - start
            start = now
    except Exception as error:
        raise located(error, entry, ins) from error


def forward_layer(net: DagNN, entry: LayerEntry) -> None:
    """One layer as `forward` runs it, for blocks that drive themselves."""
    inputs = [net.vars[i].value for i in entry.inputIndexes]
    if any(x is None for x in inputs):
        return
    outputs = entry.block.forward(inputs, [net.params[p].value for p in entry.paramIndexes])
    for i, y in zip(entry.outputIndexes, checks.outputs(outputs, len(entry.outputIndexes))):
        net.vars[i].value = y


def backward_layer(net: DagNN, entry: LayerEntry) -> None:
    """One layer as `backward` runs it, for blocks that drive themselves."""
    ins, outs = net.vars[entry.inputIndexes], net.vars[entry.outputIndexes]
    ders = _complete(outs, [v.der for v in outs])
    if not ders:
        return
    given = handed(*backward_reads(entry.block, len(ins)), ins, outs)
    _add(entry.block, [None if v is None else v.value for v in given], ins, net.params[entry.paramIndexes], ders)
    if net.conserveMemory:
        _forget(outs)


def handed(positions: tuple[int, ...], outputs: bool, ins: list[Var], outs: list[Var]) -> list[Var | None]:
    """The variables whose values backward gets as `inputs`, None in place of those that it does not read."""
    if outputs and not positions:
        return list(outs)
    return [v if i in positions else None for i, v in enumerate(ins)]


def _forget(outs: list[Var]) -> None:
    for v in outs:
        if not v.precious:
            v.der = None
            if v.fanout:
                v.value = None


def _add(block: Layer, inputs: list, ins: list, params: list, ders: list) -> None:
    weights = [p.value for p in params]
    returned = block.backward(inputs, weights, ders)
    d_inputs, d_params = checks.derivatives(returned, [v.value for v in ins], weights)
    for part, d in zip(ins, d_inputs):
        if d is not None and (d.size if isinstance(d, np.ndarray) else np.size(d)):  # MATLAB's [] is none either
            part.der = d if part.der is None else _total(part.der, d)
    for part, d in zip(params, d_params):
        if d is not None and (d.size if isinstance(d, np.ndarray) else np.size(d)):  # MATLAB's [] is none either
            part.der = d if part.der is None else part.der + d


def _total(a: Any, b: Any) -> Any:
    """a + b; of two tensors, where kernels keep their results."""
    tensors = type(a) is type(b) is np.ndarray and a.ndim == 4 and a.shape == b.shape and a.dtype == b.dtype
    return kernels.of(a).total(a, b) if tensors else a + b


def _complete(outs: list[Var], ders: list) -> list:
    """Derivatives of all outputs where some have one (zeros for the others); [] where none has."""
    if all(d is None for d in ders):
        return []
    return [np.zeros_like(v.value) if d is None else d for v, d in zip(outs, ders)]


def _place(net: DagNN, given: list[tuple[Var, Any]]) -> None:
    """Set the inputs; forget what earlier evaluations computed or were given, so that nothing old is taken for new."""
    if given:
        for var, value in net._given:
            if var.value is value:
                var.value = None
        net._given = given
    for var in net.vars:
        if var.fanin:
            var.value = None
    for var, value in given:
        var.value = None if is_empty(value) else value


def _seed(net: DagNN, var: Var, d: Any) -> Any:
    """The derivative of an output as an array like the output."""
    value = var.value
    if value is None:
        missing = [v.name for v in net.vars if not v.fanin and v.value is None]
        hint = f"; inputs of the network without a value: {', '.join(missing)}" if missing else ""
        raise ValueError(f"DagNN.eval: derOutputs names {var.name!r}, which was not computed{hint}")
    return derivative_like("DagNN.eval", f"the derivative of {var.name!r}", d, value, "its value")


def _variable(net: DagNN, what: str, name: str, fn: str = "DagNN.eval") -> Var:
    if name not in net.vars.index:
        raise UnknownName(f"{fn}: {what}: {unknown('variable', name, net.vars.index)}")
    return net.vars[name]
