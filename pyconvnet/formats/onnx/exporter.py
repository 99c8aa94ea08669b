"""to_onnx: a network as an ONNX model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, shape_inference, version_converter

from pyconvnet._version import __version__
from pyconvnet.arrays import host_numbers, size_text
from pyconvnet.dagnn.saved import MissingBlock
from pyconvnet.formats.names import free_name
from pyconvnet.formats.onnx import meta as metadata
from pyconvnet.formats.onnx.builder import UNKNOWN, Builder, Param, Size
from pyconvnet.formats.onnx.export_table import writer_of
from pyconvnet.formats.onnx.library import Refused, SizeNeeded, output_sizes
from pyconvnet.layers import Conv, Layer, ROIPooling, is_layer_type, layer_class
from pyconvnet.networks import is_graph
from pyconvnet.networks.base import sizes_in
from pyconvnet.networks.chain import without_loss
from pyconvnet.networks.graph import without_losses
from pyconvnet.table import short_text
from pyconvnet.text import listed, visible

FN = "to_onnx"
OPSET, IR = 17, 8
LARGEST = 2**31 - 2**20  # bytes; what a file of protocol buffers can hold
# the first release of ONNX's intermediate representation that has an opset
IR_OF_OPSET = {18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11}
OLDEST = 13
CHECKER = (checker.ValidationError, shape_inference.InferenceError, RuntimeError)


@dataclass
class Step:
    """A layer to be written; `layer` is an error where it has none."""

    name: str
    kind: str
    layer: Layer | Refused
    inputs: list[str]
    outputs: list[str]
    params: list[Param]
    of_scores: bool = False  # makes predictions of what a loss was trained on


@dataclass
class Plan:
    """The layers of a network in their order, what goes in and what comes out, by names of variables."""

    steps: list[Step]
    inputs: list[str]
    outputs: list[str]


def model_of(net: Any, inputSize: Any, preprocess: bool, opset: int) -> ModelProto:
    """See pyconvnet.to_onnx."""
    if not isinstance(opset, int) or not OLDEST <= opset <= max(IR_OF_OPSET):
        raise ValueError(f"{FN}: opset must be a whole number from {OLDEST} to {max(IR_OF_OPSET)}, got {opset!r}")
    plan = graph_plan(net) if is_graph(net) else chain_plan(net)
    _leave_out_unused(plan)
    sizes, given = _input_sizes(net, plan, inputSize)
    average = _average(net) if preprocess else None
    if average is not None and len(plan.inputs) != 1:
        raise ValueError(f"{FN}: preprocess is for networks of one input, this one has {listed(plan.inputs)}")
    if average is not None and average.shape[2:] != (1, 1) and not given:
        given = True  # an average image fits images of its size only
        sizes = {plan.inputs[0]: (*average.shape[2:], sizes[plan.inputs[0]][2], 1)}
    free = {name: size if given else (math.nan, math.nan, *size[2:]) for name, size in sizes.items()}
    try:
        model = _model(net, plan, free, average)
    except SizeNeeded:
        model = _model(net, plan, sizes, average, last=True)
    try:
        checker.check_model(model, full_check=True)
    except CHECKER as error:
        raise ValueError(f"{FN}: the layers do not fit together for inputs of these sizes: {error}") from None
    return model if opset == OPSET else _converted(model, opset)


# --- the two kinds of network ---------------------------------------------------------------------------------------


def chain_plan(net: Any) -> Plan:
    """Tensors of a SimpleNN are named after the layers that give them."""
    from pyconvnet.compat.tidy import vl_simplenn_tidy

    steps: list[Step] = []
    before, taken = "input", {"input"}
    for i, record in enumerate(without_loss(vl_simplenn_tidy(net))["layers"], 1):
        name = record.get("name") or f"layer{i}"
        layer: Layer | Refused
        try:
            known = is_layer_type(record["type"])
            layer = layer_class(record["type"]).from_record(record) if known else Refused("its type is not known here")
        except ValueError as error:
            layer = Refused(str(error))
        suffixes = getattr(layer, "param_suffixes", ())
        weights = list(record.get("weights") or ())
        params = [
            Param(
                name + (suffixes[k] if k < len(suffixes) else str(k + 1)), np.zeros(0) if w is None else host_numbers(w)
            )
            for k, w in enumerate(weights)
        ]
        after = free_name(name, taken)
        steps.append(Step(name, record["type"], layer, [before], [after], params))
        before = after
    return Plan(steps, ["input"], [before])


def graph_plan(net: Any) -> Plan:
    """Tensors of a DagNN are named as its variables; predictions are made of scores that a loss was trained on."""
    net, inputs, _, after = without_losses(net)
    outputs = net.getOutputs()
    steps = []
    for at in net.executionOrder:
        entry = net.layers[at]
        layer: Layer | Refused = entry.block
        kind = type(entry.block).__name__
        if isinstance(entry.block, MissingBlock):
            kind, layer = entry.block.matlab_class, Refused("its class is not known here")
        params = [Param(p.name, host_numbers(p.value)) for p in net.params[entry.params]]
        missing = [p.name for p in net.params[entry.params] if p.value is None]
        if missing:
            layer = Refused(f"its parameters {listed(missing)} have no values: initParams gives them some")
        steps.append(Step(entry.name, kind, layer, list(entry.inputs), list(entry.outputs), params))
    taken = {v.name for v in net.vars}
    for i, name in enumerate(outputs):
        if name in after:
            outputs[i], kind = free_name("prob", taken), after[name]
            scores = kind == "softmax"
            steps.append(Step(outputs[i], kind, layer_class(kind)(), [name], [outputs[i]], [], scores))
    return Plan(steps, inputs, outputs)


def _leave_out_unused(plan: Plan) -> None:
    """Keep the layers that the outputs depend on."""
    needed, kept = set(plan.outputs), []
    for step in reversed(plan.steps):
        if needed & set(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    plan.steps = kept[::-1]
    plan.inputs = [name for name in plan.inputs if name in needed]


# --- sizes ----------------------------------------------------------------------------------------------------------


def _input_sizes(net: Any, plan: Plan, given: Any) -> tuple[dict[str, Size], bool]:
    """((H, W, C, N) of each input, whether they were given, rather than found in the network)."""
    if given is not None:
        if not isinstance(given, dict):
            if len(plan.inputs) != 1:
                names = listed(plan.inputs)
                raise ValueError(f"{FN}: inputSize must be a dict with the sizes of {names}, got {given!r}")
            given = {plan.inputs[0]: given}
        unknown = [name for name in given if name not in plan.inputs]
        if unknown:
            raise ValueError(f"{FN}: inputSize has {unknown[0]!r}, the inputs are {listed(plan.inputs)}")
        own = {name: _four(size) for name, size in given.items()}
        return {name: own.get(name, _channels_of(plan, name)) for name in plan.inputs}, True
    sizes = {name: _channels_of(plan, name) for name in plan.inputs}
    meta = net.get("meta") if isinstance(net, dict) else net.meta
    found = sizes_in(meta)
    for name in plan.inputs:
        size = found.get(name, found.get("") if len(plan.inputs) == 1 else None)
        if size is not None:
            depth = sizes[name][2]  # of the filters, which are right where the file says channels that do not fit
            fits = math.isnan(depth) or size[2] % depth == 0
            sizes[name] = (*size[:2], size[2] if fits else depth, 1)
    return sizes, False


def _four(size: Any) -> Size:
    numbers = np.ravel(size)
    if numbers.dtype.kind not in "iuf" or numbers.size not in (3, 4) or not np.all(numbers >= 1) or np.any(numbers % 1):
        raise ValueError(f"{FN}: inputSize must be (H, W, C) in whole numbers from 1 up, got {size!r}")
    return (*(float(v) for v in numbers), 1.0)[:4]


def _channels_of(plan: Plan, name: str) -> Size:
    """Of what a convolution reads, the channels of its filters; of regions of interest, five numbers each."""
    for step in plan.steps:
        if isinstance(step.layer, ROIPooling) and step.inputs[1:] == [name]:
            return (1, 1, 5, math.nan)
        if step.inputs[:1] == [name] and isinstance(step.layer, Conv) and step.params:
            shape = (*step.params[0].value.shape, 1, 1, 1)[:4]
            if 0 not in shape:
                return (math.nan, math.nan, shape[2], 1)
    return (math.nan, math.nan, math.nan, 1)


def _average(net: Any) -> np.ndarray | None:
    """What preprocess subtracts, as a constant 1 x C x H x W, or 1 x C x 1 x 1 for a colour."""
    from pyconvnet.models.preprocess import preprocess

    found = sizes_in(net.get("meta", {}) if isinstance(net, dict) else net.meta)
    height, width, channels, _ = found.get("", (1.0, 1.0, math.nan, 1))
    count = 3 if math.isnan(channels) else int(channels)
    image = -preprocess(net, np.zeros((int(height), int(width), count), np.float32))
    if not image.any():
        return None
    image = image.transpose(3, 2, 0, 1)
    colour = image[:, :, :1, :1]
    return colour if (image == colour).all() else image


# --- writing --------------------------------------------------------------------------------------------------------


def _model(net: Any, plan: Plan, sizes: dict[str, Size], average: np.ndarray | None, last: bool = False) -> ModelProto:
    g = Builder()
    tensors = {name: g.name(name) for name in plan.inputs}
    g.sizes.update({tensors[name]: size for name, size in sizes.items()})
    for name in dict.fromkeys(name for step in plan.steps for name in step.outputs):
        tensors[name] = g.name(name)  # a variable goes before a parameter of its name
    inputs = [_value_info(tensors[name], sizes[name], len(plan.inputs) > 1) for name in plan.inputs]
    declared = dict(tensors)
    if average is not None:
        g.layer = "averageImage"
        (name,) = plan.inputs
        tensors[name] = g.add("Sub", tensors[name], g.constant(average, "averageImage"))
        g.sizes[tensors[name]] = sizes[name]
    refused: list[str] = []
    for step in plan.steps:
        try:
            _write(g, step, tensors)
        except SizeNeeded as error:
            if not last:
                raise
            refused.append(visible(f"{step.name} ({step.kind}): {error}"))
        except (ValueError, TypeError) as error:
            refused.append(visible(f"{step.name} ({step.kind}): {error}"))
    if refused:
        count = "1 layer" if len(refused) == 1 else f"{len(refused)} layers"
        raise ValueError(f"{FN}: {count} cannot be written as ONNX:\n  " + "\n  ".join(refused))
    outputs = []
    for name in plan.outputs:
        if tensors[name] != declared[name]:  # a layer that passes all
            g.nodes.append(helper.make_node("Identity", [tensors[name]], [declared[name]], name=declared[name]))
        outputs.append(_value_info(declared[name], g.sizes.get(tensors[name], UNKNOWN), True))
    if sum(len(c.raw_data) for c in g.constants.values()) > LARGEST:
        raise ValueError(f"{FN}: the parameters take more than 2 GiB, which no ONNX file holds")
    taken: set[str] = set()
    for node in g.nodes:
        node.name = free_name(node.name, taken)
    graph = helper.make_graph(list(g.nodes), "pyconvnet", inputs, outputs, list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    model.producer_name, model.producer_version = "pyconvnet", __version__
    helper.set_model_props(model, metadata.texts(net.get("meta") if isinstance(net, dict) else net.meta))
    return model


def _write(g: Builder, step: Step, tensors: dict[str, str]) -> None:
    if isinstance(step.layer, Refused):
        raise step.layer
    given = [tensors[name] for name in step.inputs]
    sizes = [g.sizes.get(name, UNKNOWN) for name in given]
    for name, size in zip(step.outputs, _output_sizes(step, sizes)):
        if any(v < 1 for v in size):
            raise Refused(f"its output would be empty, {size_text(size, short_text)}")
        g.sizes[tensors[name]] = size
    if step.of_scores and sizes[0][2] == 1:  # as predict does: one channel has no classes
        tensors[step.outputs[0]] = given[0]
        return
    g.layer = step.name
    first = len(g.nodes)
    found = writer_of(step.layer)(g, step.layer, given, step.params)
    outputs = [found] if isinstance(found, str) else list(found)
    for name, result in zip(step.outputs, outputs):
        _rename(g, first, result, tensors, name)


def _rename(g: Builder, first: int, result: str, tensors: dict[str, str], name: str) -> None:
    """Give the output of the last node the variable's name; what passes an input on has no node of its own."""
    nodes = [node for node in g.nodes[first:] if result in node.output]
    if not nodes:
        tensors[name] = result
        return
    for node in g.nodes[first:]:
        for field in (node.input, node.output):
            for i, other in enumerate(field):
                if other == result:
                    field[i] = tensors[name]
    nodes[0].name = g.layer


def _output_sizes(step: Step, sizes: list[Any]) -> list[Size]:
    try:
        found = output_sizes(step.layer, sizes)
        return [tuple(float(v) for v in size) for size in found]
    except (ValueError, TypeError, ArithmeticError, IndexError, AttributeError):
        return [UNKNOWN] * len(step.outputs)


def _value_info(name: str, size: Size, several: bool) -> Any:
    """A tensor N x C x H x W; what is not known is free, and so is the batch."""
    free = [f"{name}_{d}" if several else d for d in "NCHW"]
    known = [math.nan, size[2], size[0], size[1]]
    dims = [text if math.isnan(v) else int(v) for text, v in zip(free, known)]
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)


def _converted(model: ModelProto, opset: int) -> ModelProto:
    try:
        if opset < OPSET:  # most operators are the same there; the checker finds those that are not
            model.opset_import[0].version = opset
        else:
            properties = list(model.metadata_props)
            model = version_converter.convert_version(model, opset)
            model.ir_version = max(IR, IR_OF_OPSET[opset])
            del model.metadata_props[:]
            model.metadata_props.extend(properties)
        checker.check_model(model, full_check=True)
    except CHECKER as error:
        raise ValueError(f"{FN}: the network has no form in opset {opset}: {error}; 17 is the usual one") from None
    return model
