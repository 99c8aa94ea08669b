"""compare_onnx: a network here and an ONNX file in onnxruntime, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import ModelProto, helper

from pyconvnet.arrays import host_numbers, in_precision, size_text
from pyconvnet.formats.onnx.exporter import chain_plan, graph_plan
from pyconvnet.formats.onnx.library import require
from pyconvnet.layers import layer_class
from pyconvnet.networks import is_graph
from pyconvnet.networks.chain import without_loss
from pyconvnet.networks.graph import without_losses
from pyconvnet.precision import local_precision
from pyconvnet.records import Struct
from pyconvnet.table import ascii_table
from pyconvnet.text import listed

FN = "compare_onnx"


def compared(net: Any, model: ModelProto, x: Any) -> list[Struct]:
    """Struct(name, type, size, difference) of every variable that both sides have, in the order they are computed."""
    with local_precision("high"):
        found = _of_graph(net, x) if is_graph(net) else _of_chain(net, x)
    given, rows = found
    theirs = _run(model, given)
    last = [v.name for v in model.graph.output]
    known = [row for row in rows if row[0] in theirs]
    if not known and len(last) == 1:  # tensors of other names: what comes out can still be compared
        known = [(last[0], *rows[-1][1:])]
    if not known:
        raise ValueError(f"{FN}: no tensor of the file has the name of a variable: {listed(r[0] for r in rows[:8])}")
    return [_row(name, kind, value, theirs[name]) for name, kind, value in known]


def text(rows: list[Struct]) -> str:
    """The rows as a table, and the worst of them."""
    cells = [["variable", "layer", "size", "difference"]]
    cells += [[r.name, r.type, size_text(r.size), f"{r.difference:.2g}"] for r in rows]
    worst = max(rows, key=lambda r: math.inf if math.isnan(r.difference) else r.difference)
    return f"{ascii_table(cells)}worst: {worst.name} ({worst.type}), {worst.difference:.2g} of its largest value\n"


Rows = list[tuple[str, str, Any]]


def _of_chain(net: Any, x: Any) -> tuple[dict[str, Any], Rows]:
    from pyconvnet.compat.tidy import vl_simplenn_tidy
    from pyconvnet.simplenn import vl_simplenn

    whole = without_loss(vl_simplenn_tidy(net))
    if isinstance(x, dict):
        (x,) = x.values()
    x = in_precision(x, [w for layer in whole["layers"] for w in layer.get("weights") or ()])
    steps = chain_plan(net).steps
    results = vl_simplenn(whole, x, mode="test")[1:]
    return {"": x}, [(s.outputs[0], s.kind, r.x) for s, r in zip(steps, results)]


def _of_graph(net: Any, x: Any) -> tuple[dict[str, Any], Rows]:
    graph, inputs, _, after = without_losses(net)
    plan = graph_plan(net)
    if not isinstance(x, dict):
        if len(inputs) != 1:
            raise ValueError(f"{FN}: x must be a dict with the values of {listed(inputs)}")
        x = {inputs[0]: x}
    weights = [param.value for param in graph.params]
    given = {name: in_precision(value, weights) for name, value in x.items() if name in graph.vars}
    graph.conserveMemory = False
    graph.eval(given)
    rows: Rows = []
    for step in plan.steps:
        for name in step.outputs:
            if name in graph.vars:
                rows.append((name, step.kind, graph.vars[name].value))
            else:  # what makes predictions of scores
                y, kind = graph.vars[step.inputs[0]].value, after[step.inputs[0]]
                if not (step.of_scores and y.shape[2] == 1):
                    (y,) = layer_class(kind)().forward([y], [])
                rows.append((name, kind, y))
    return given, [row for row in rows if row[2] is not None]


def _run(model: ModelProto, given: dict[str, Any]) -> dict[str, np.ndarray]:
    """The values of all tensors of a model in onnxruntime."""
    runtime = require(FN, "onnxruntime")
    graph = model.graph
    constants = {t.name for t in graph.initializer}
    inputs = [v for v in graph.input if v.name not in constants]
    if list(given) == [""]:
        given = {inputs[0].name: given[""]}
    missing = [v.name for v in inputs if v.name not in given]
    if missing:
        raise ValueError(f"{FN}: x must have the input {missing[0]!r} of the file, it has {listed(given)}")
    feeds = {v.name: _as_input(v, given[v.name]) for v in inputs}
    wide = ModelProto()
    wide.CopyFrom(model)
    named = {v.name for v in graph.output}
    names = [name for node in graph.node for name in node.output if name]
    wide.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in named)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = runtime.InferenceSession(wide.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [v.name for v in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, feeds)))


def _as_input(info: Any, value: Any) -> np.ndarray:
    """H x W x C x N as the input of a model; regions 5 x R are R vectors of five."""
    value = np.asarray(host_numbers(value), np.float32)
    dims = [d.dim_value for d in info.type.tensor_type.shape.dim]
    if value.ndim == 2 and value.shape[0] == dims[1] == 5:
        value = value.reshape(1, 1, 5, -1)
    x = value.reshape((*value.shape, 1, 1, 1)[:4])
    if len(dims) == 4 and dims[1] not in (0, x.shape[2]) and dims[3] == x.shape[2]:
        return x.transpose(3, 0, 1, 2)  # the file takes N x H x W x C
    y = x.transpose(3, 2, 0, 1)
    return y if len(dims) == 4 else y.reshape((*y.shape[:2], y.shape[3])[: len(dims)])


def _row(name: str, kind: str, ours: Any, theirs: np.ndarray) -> Struct:
    ours = np.asarray(host_numbers(ours), float)
    mine = ours.reshape((*ours.shape, 1, 1, 1)[:4]).transpose(3, 2, 0, 1)
    if theirs.size != mine.size:
        raise ValueError(f"{FN}: {name} is {size_text(mine.shape)} here and {size_text(theirs.shape)} in the file")
    largest = float(np.abs(mine).max(initial=0))
    difference = float(np.abs(mine - theirs.reshape(mine.shape)).max(initial=0))
    return Struct(name=name, type=kind, size=ours.shape, difference=difference / largest if largest else difference)
