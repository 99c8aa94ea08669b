"""from_torch: what torch.export records of a module, operation by operation, as a network."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.export.graph_signature import InputKind, OutputKind

from pyconvnet.formats.pytorch import arithmetic, aten  # noqa: F401
from pyconvnet.formats.pytorch.patterns import Pattern, patterns
from pyconvnet.formats.pytorch.recorder import OPERATIONS, Constant, Recorder, Unsupported, Variable, variable
from pyconvnet.geometry import whole_numbers
from pyconvnet.records import Struct


def build(module: torch.nn.Module, inputSize: Any) -> Any:
    """See pyconvnet.from_torch."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"from_torch: module must be a torch.nn.Module, got {type(module).__name__}")
    program = _exported(module, inputSize)
    values = dict(_given(program))
    given = [v for v in values.values() if isinstance(v, Variable)]
    recorder = Recorder(module, [v.name for v in given])
    found, inside = patterns(program.graph)
    nodes = [node for node in program.graph.nodes if node not in inside]
    problems = [problem for node in nodes if (problem := _record(recorder, node, found.get(node), values))]
    try:
        outputs = [] if problems else list(_outputs(recorder, program, values))
    except Unsupported as error:
        problems.append(f"an output: {error}")
    if problems:
        raise ValueError(f"from_torch: these operations have no counterpart: {'; '.join(problems)}")
    net = recorder.net
    kind = np.float64 if any(p.dtype == torch.float64 for p in module.parameters()) else np.float32
    for param in net.params:
        param.value = param.value.astype(kind, order="F")
    for name in outputs:
        net.vars[name].precious = True
    sizes = {v.name: (v.height, v.width, v.channels) for v in given if v.name in net.vars}
    net.meta.inputs = [Struct(name=name, size=size) for name, size in sizes.items()]
    if len(sizes) > 1 or len(outputs) > 1:
        return net
    try:
        chain = net.toSimpleNN()
    except ValueError:  # no chain, or layers that only a DagNN has
        return net
    del chain.meta.inputs
    chain.meta.inputSize = sizes.popitem()[1]
    return chain


def _exported(module: torch.nn.Module, inputSize: Any) -> Any:
    """The module in evaluation mode as a program of aten's functions."""
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(0))

    def example(size: Any) -> torch.Tensor:
        h, w, c, n = (*whole_numbers("from_torch: inputSize", size, (3, 4), 1), 2)[:4]
        return torch.zeros(n, c, h, w, dtype=first.dtype, device=first.device)

    args: tuple[torch.Tensor, ...] = ()
    named = {}
    if isinstance(inputSize, dict):
        named = {name: example(size) for name, size in inputSize.items()}
    elif isinstance(inputSize, (list, tuple)) and inputSize and np.ndim(inputSize[0]) > 0:
        args = tuple(example(size) for size in inputSize)
    else:
        args = (example(inputSize),)
    with _evaluating(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        try:
            return torch.export.export(module, args, named).run_decompositions({})
        except Exception as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise ValueError(f"from_torch: torch.export cannot record the module: {said}") from error


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    before = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in before.items():
            part.training = training


def _given(program: Any) -> Iterator[tuple[str, Any]]:
    """The inputs, parameters and buffers of a program by the names of their nodes."""
    nodes = {node.name: node for node in program.graph.nodes}
    for spec in program.graph_signature.input_specs:
        name = spec.arg.name
        if spec.kind is InputKind.USER_INPUT:
            if name in nodes and isinstance(nodes[name].meta.get("val"), torch.Tensor):
                yield name, variable(name, nodes[name].meta["val"])
        elif spec.target in program.state_dict:
            yield name, Constant(spec.target, _host(program.state_dict[spec.target]))
        else:
            yield name, Constant("", _host(program.constants[spec.target]))


def _host(value: torch.Tensor) -> torch.Tensor:
    value = value.detach().cpu()
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def _record(recorder: Recorder, node: Any, found: Pattern | None, values: dict[str, Any]) -> str:
    """Take one operation into the graph, or the layer `found` that it ends; what is wrong where there is none."""
    if node.op != "call_function" or not node.users:
        return ""
    recorder.node, target = node, str(node.target)
    try:
        if found:
            inputs = [_known(values, each) for each in found.inputs]
            if not all(isinstance(x, Variable) for x in inputs):
                raise Unsupported("")
            values[node.name] = recorder.add(found.block, [recorder.padded(x) for x in inputs])
        elif node.target is operator.getitem:  # of maxima, without their indices
            values[node.name] = _known(values, node.args[0] if node.args[1] == 0 else node)
        else:
            values[node.name] = _called(recorder, node, values)
        return ""
    except _Missing:
        known = node.target is operator.getitem or target.rpartition(".")[0] in OPERATIONS
        problem = "" if known else f"{node.name} ({target}{_place(recorder)})"
    except Unsupported as error:
        problem = f"{node.name} ({target}{_place(recorder)})" + (f": {error}" if str(error) else "")
    value = node.meta.get("val")
    if isinstance(value, torch.Tensor) and value.ndim in (2, 4):
        values[node.name] = variable(node.name, value)  # to look at what follows
    return problem


class _Missing(Exception):
    """The operation needs what an operation without counterpart gives, which is told already."""


def _known(values: dict[str, Any], node: Any) -> Any:
    if node.name not in values:
        raise _Missing
    return values[node.name]


def _place(recorder: Recorder) -> str:
    return f" in {recorder.path}" if recorder.path else ""


def _outputs(recorder: Recorder, program: Any, values: dict[str, Any]) -> Iterator[str]:
    for spec in program.graph_signature.output_specs:
        if spec.kind is OutputKind.USER_OUTPUT:
            value = values.get(spec.arg.name)
            if not isinstance(value, Variable):
                raise Unsupported("it does not depend on the inputs")
            name = recorder.padded(value).name
            if name not in recorder.net.vars:
                raise Unsupported("it is an input")
            yield name


def _called(recorder: Recorder, node: Any, values: dict[str, Any]) -> Any:
    """The result of an operation: of one on constants what it computes."""
    arguments = _arguments(node, values)
    if not any(isinstance(v, Variable) for v in _leaves(arguments.values())):
        return Constant("", _computed(node, arguments))
    operation = OPERATIONS.get(str(node.target).rpartition(".")[0])
    if operation is None or not _takes(operation, recorder, arguments):
        raise Unsupported("")
    return operation(recorder, **arguments)


def _takes(operation: Any, recorder: Recorder, arguments: dict[str, Any]) -> bool:
    """Whether an operation takes these arguments: functions of aten have variants."""
    try:
        inspect.signature(operation).bind(recorder, **arguments)
    except TypeError:
        return False
    return True


def _arguments(node: Any, values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by name, with what its schema gives those that are left out."""

    def known(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [known(v) for v in value]
        if isinstance(value, torch.fx.Node):
            return _known(values, value)
        return value

    if not hasattr(node.target, "_schema"):
        raise Unsupported("")
    out = {}
    for at, argument in enumerate(node.target._schema.arguments):
        given = node.args[at] if at < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        out[{"self": "x", "input": "x"}.get(argument.name, argument.name)] = known(given)
    return out


def _leaves(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value


def _computed(node: Any, arguments: dict[str, Any]) -> torch.Tensor:
    """What an operation on constants alone gives."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(v) for v in value]
        return value.value if isinstance(value, Constant) else value

    schema = node.target._schema.arguments
    given = [plain(v) for v in arguments.values()]
    positional = [v for v, a in zip(given, schema) if not a.kwarg_only]
    named = {a.name: v for v, a in zip(given, schema) if a.kwarg_only and a.name != "device"}
    return node.target(*positional, **named)
