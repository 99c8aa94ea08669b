"""Running a graph: its plan, its inputs and the derivatives of its outputs; pyconvnet.engine runs the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyconvnet import backends
from pyconvnet.arrays import derivative_like, is_empty, size_text
from pyconvnet.dagnn.parts import LayerEntry, UnknownName, Var, pairs, unknown
from pyconvnet.engine.plan import Plan
from pyconvnet.engine.run import add_derivatives, backward, completed, forget, forward
from pyconvnet.engine.step import Step, handed
from pyconvnet.layers import checks
from pyconvnet.layers.base import Layer, backward_reads
from pyconvnet.text import listed

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN


class GraphPlan(Plan):
    """The plan of a graph, valid while its blocks stay the same. The slots are variables."""

    def __init__(self, net: DagNN) -> None:
        self.blocks = [entry.block for entry in net.layers]
        self.uses = [block.backward_uses for block in self.blocks]
        super().__init__([_step(net, at) for at in net.executionOrder])
        self.firsts = []  # blocks all of whose inputs are inputs of the network
        for step in self.steps:
            step.block.input_der = True
            if not any(v.fanin for v in step.inputs):
                self.firsts.append((step.block, step.inputs))

    def fits(self, net: DagNN) -> bool:
        """Whether the plan was made for the blocks of the network."""
        blocks = [entry.block for entry in net.layers]
        return blocks == self.blocks and (
            not net.computingDerivative or [block.backward_uses for block in blocks] == self.uses
        )


def _step(net: DagNN, at: int) -> Step:
    entry, block = net.layers[at], net.layers[at].block
    if block.net is not net or block.layerIndex != at:
        block.net, block.layerIndex = net, at
    ins, outs = net.vars[entry.inputIndexes], net.vars[entry.outputIndexes]
    positions, outputs = backward_reads(block, len(ins))
    kind = type(block)
    return Step(
        entry,
        block,
        ins,
        outs,
        net.params[entry.paramIndexes],
        handed(positions, outputs, ins, outs),
        outputs and bool(positions),
        None if kind.forwardAdvanced is Layer.forwardAdvanced else block.forwardAdvanced,
        None if kind.backwardAdvanced is Layer.backwardAdvanced else block.backwardAdvanced,
        checked=not block._built_in,
    )


def run(
    net: DagNN,
    inputs: Any,
    derOutputs: Any = None,
    factors: dict[Var, float] | None = None,
    keep: bool = False,
    empty: bool = False,
) -> None:
    """DagNN.eval, and with `keep` DagNN.forward, which keeps the steps for `run_back`.

    factors  see pyconvnet.engine.run.backward
    empty    an array without elements, such as a batch of no images, is a value, rather than MATLAB's [], which is none
    """
    given = [(_variable(net, "inputs", name), value) for name, value in pairs("DagNN.eval", "inputs", inputs)]
    wanted = _wanted(net, derOutputs)
    net._kept, net.computingDerivative = None, keep or bool(wanted)
    if net._plan is None or not net._plan.fits(net):
        net._plan = GraphPlan(net)
    plan = net._plan
    unset = [param.name for param in net.params if param.value is None]
    if unset:  # to an operator None means "no filters"
        raise ValueError(f"DagNN.eval: parameters without a value: {listed(unset)}; initParams gives first ones")
    first = 0 if net.computingDerivative else len(plan.steps)
    whole = plan.steps
    steps = plan.forgetting(first) if net.conserveMemory else whole

    seconds = sum([(s.entry.forwardTime or 0.0) + (s.entry.backwardTime or 0.0) for s in whole]) if wanted else 0.0
    _place(net, given, empty)
    held, recorded = {var for var, _ in wanted}, None
    fixed = {var for var, _ in given if var.fanin}
    if fixed:
        whole = [step for step in whole if fixed.isdisjoint(step.outputs)]
        steps = [step for step in steps if fixed.isdisjoint(step.outputs)]
    elif net.conserveMemory and all(v.fanin or v.value is not None for v in net.vars):
        exposed = frozenset(held.union(v for v in net.vars if v.precious))
        steps = plan.in_one(first, exposed, net.mode, net.mode == "test" and not net.computingDerivative)
        if wanted and not (keep or factors):
            recorded = _recorded_step(net, plan, steps, held, seconds)
    net._passes_back = bool(wanted) and not keep
    try:
        if recorded is not None:
            recorded.forward()
            steps, whole = recorded.rest, whole[recorded.depth :]
        if not forward(steps, held) and steps:
            raise ValueError(f"DagNN.eval: no layer could run{_missing(net)}")
        if keep:
            net._kept = whole
        if wanted:
            _differentiate(net, wanted, whole, factors)
        if recorded is not None:
            recorded.backward()
    except Exception:
        if recorded is not None:
            recorded.leave_values()
        raise
    finally:
        if net._passes_back:
            net._passes_back = False
            for step in plan.steps:
                step.block._for_backward = None


def _recorded_step(net: DagNN, plan: GraphPlan, steps: list[Step], held: set[Var], seconds: float) -> Any:
    """The recorded step of training for the inputs that are set, None where there is none."""
    head = plan.head()
    if not held.isdisjoint(head.passing[:-1]):  # the last one's derivative comes from its user
        return None
    asked = net.inputDers or any(v.precious for v in head.passing[:1])
    return head.step(steps, net.mode, asked, seconds)


def run_back(net: DagNN, derOutputs: Any) -> None:
    """DagNN.backward."""
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
    _differentiate(net, wanted, steps, fn="DagNN.backward")


def _wanted(net: DagNN, derOutputs: Any, fn: str = "DagNN.eval") -> list[tuple[Var, Any]]:
    """The variables that are given a derivative, each with it."""
    found = pairs(fn, "derOutputs", derOutputs)
    return [(_variable(net, "derOutputs", name, fn), d) for name, d in found if not is_empty(d)]


def _differentiate(
    net: DagNN, wanted: list, steps: list[Step], factors: dict[Var, float] | None = None, fn: str = "DagNN.eval"
) -> None:
    for var in net.vars:
        var.der = None
    if not net.accumulateParamDers:
        for param in net.params:
            param.der = None
    for var, d in wanted:
        d = _seed(net, var, d, fn)
        var.der = d if var.der is None else var.der + d
    for block, ins in net._plan.firsts:
        block.input_der = net.inputDers or any(v.precious for v in ins)
    backward(steps, net.conserveMemory, factors)


def forward_layer(net: DagNN, entry: LayerEntry) -> None:
    """One layer as `forward` runs it, for blocks that override forwardAdvanced."""
    inputs = [net.vars[i].value for i in entry.inputIndexes]
    if any(x is None for x in inputs):
        return
    outputs = entry.block.forward(inputs, [net.params[p].value for p in entry.paramIndexes])
    for i, y in zip(entry.outputIndexes, checks.outputs(outputs, len(entry.outputIndexes))):
        net.vars[i].value = y


def backward_layer(net: DagNN, entry: LayerEntry) -> None:
    """One layer as `backward` runs it, for blocks that override backwardAdvanced."""
    ins, outs = net.vars[entry.inputIndexes], net.vars[entry.outputIndexes]
    ders = completed(outs)
    if not ders:
        return
    given = handed(*backward_reads(entry.block, len(ins)), ins, outs)
    params = net.params[entry.paramIndexes]
    add_derivatives(entry.block, [None if v is None else v.value for v in given], ins, params, ders)
    if net.conserveMemory:
        forget(outs)


def _place(net: DagNN, given: list[tuple[Var, Any]], empty: bool) -> None:
    """Set the inputs; forget the values of earlier evaluations, so that no old value is mistaken for a new one."""
    if given:
        for var, value in net._given:
            if var.value is value:
                var.value = None
        net._given = given
    else:
        net._given = [(var, value) for var, value in net._given if var.value is value]
    for var in net.vars:
        if var.fanin:
            var.value = None
    for var, value in given:
        none = is_empty(value) and not (empty and backends.find(value) is not None)
        var.value = None if none else value


def _missing(net: DagNN) -> str:
    """The inputs without a value, as the end of a message; of arrays without elements, their sizes."""
    none = [(var, v) for var, v in net._given if backends.find(v) is not None and is_empty(v)]
    sizes = {var: size_text(v.shape) for var, v in none}
    names = [
        f"{var.name} (given as {sizes[var]}, which counts as none)" if var in sizes else var.name
        for var in net.vars
        if not var.fanin and var.value is None
    ]
    return f"; inputs of the network without a value: {listed(names)}" if names else ""


def _seed(net: DagNN, var: Var, d: Any, fn: str) -> Any:
    """The derivative of an output as an array like the output."""
    value = var.value
    if value is None:
        raise ValueError(f"{fn}: derOutputs names {var.name!r}, which was not computed{_missing(net)}")
    return derivative_like(f"{fn}: the derivative of {var.name!r}", d, value, "its value")


def _variable(net: DagNN, what: str, name: str, fn: str = "DagNN.eval") -> Var:
    if name not in net.vars.index:
        raise UnknownName(f"{fn}: {what}: {unknown('variable', name, net.vars.index)}")
    return net.vars[name]
