"""from_onnx: an ONNX model as a network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, inliner, load, numpy_helper

from pyconvnet.dagnn import DagNN
from pyconvnet.formats.onnx import meta as metadata
from pyconvnet.formats.onnx.library import Refused
from pyconvnet.formats.onnx.reader import Node, Reader
from pyconvnet.formats.onnx.values import BATCH, Tensor, four
from pyconvnet.formats.registry import found_instead, naming
from pyconvnet.text import listed, visible

FN = "from_onnx"
CHANNELS_LAST = (0, 2, 3, 1)  # N x H x W x C of N x C x H x W


def network_of_model(model: ModelProto, inputSize: Any, outputs: Any) -> Any:
    """A SimpleNN where the graph is a chain, else a DagNN."""
    import pyconvnet.formats.onnx.import_arithmetic
    import pyconvnet.formats.onnx.import_shapes
    import pyconvnet.formats.onnx.import_windows  # noqa: F401  they enter their functions in OPERATORS

    model = inliner.inline_local_functions(model) if model.functions else model
    graph = model.graph
    if graph.sparse_initializer:
        raise ValueError(f"{FN}: sparse initializers are not read")
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    constants = {t.name: _number_array(t) for t in graph.initializer}
    inputs = [v for v in graph.input if v.name not in constants]
    shapes = _input_shapes(inputs, inputSize)
    batch = next((s[0] for s in shapes.values() if s and s[0]), BATCH)
    turned = set() if model.producer_name == "pyconvnet" else _channels_last(graph, shapes)
    double = any(v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in inputs)
    reader = Reader(graph, opset, np.float64 if double else np.float32)
    reader.values.update(constants)
    for name, shape in shapes.items():
        n, *rest = shape
        base = four((n or batch, *rest))
        if name in turned:  # H x W x C, as TensorFlow has it
            base = (base[0], base[3], base[1], base[2])
            reader.values[name] = Tensor(name, base, base).transposed(CHANNELS_LAST)
        else:
            reader.values[name] = reader.in_rank(Tensor(name, base, base), len(shape))
        reader.input_sizes[name] = (base[2], base[3], base[1])
        reader._vars.add(name)
    nodes, wanted = _needed(graph, outputs)
    reader.run(nodes)
    found = {name: reader.values.get(name) for name in wanted}
    ends = {} if reader.refused else _outputs(reader, found)
    if reader.refused:
        count = "1 node" if len(reader.refused) == 1 else f"{len(reader.refused)} nodes"
        said = "\n  ".join(reader.refused)
        raise ValueError(f"{FN}: {count} cannot be read as layers:\n  {said}\noutputs=[...] stops before some of them")
    return _network(model, reader, list(shapes), ends)


def _number_array(tensor: TensorProto) -> np.ndarray:
    """An initializer as numbers; shorter floating-point formats become single precision."""
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, LookupError, ArithmeticError, NotImplementedError, MemoryError) as error:
        raise ValueError(f"{FN}: the initializer {tensor.name!r} is broken: {error!r}") from None
    kept = array.dtype.kind in "biuOUS" or array.dtype in (np.float32, np.float64)
    return array if kept else array.astype(np.float32)


def _input_shapes(inputs: Sequence[Any], given: Any) -> dict[str, tuple[int | None, ...]]:
    """N x C x H x W, or N x C, of each input; None where a size is free."""
    names = [v.name for v in inputs]
    if given is not None and not isinstance(given, dict):
        if len(names) != 1:
            raise ValueError(f"{FN}: inputSize must be a dict with the sizes of {listed(names)}, got {given!r}")
        given = {names[0]: given}
    shapes = {}
    refused = []
    for v in inputs:
        kind = v.type.tensor_type
        if not v.type.HasField("tensor_type") or kind.elem_type not in (1, 10, 11, 16):
            refused.append(f"{visible(v.name)}: it must be a tensor of floating-point numbers")
            continue
        dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim]
        if len(dims) not in (2, 3, 4):
            refused.append(
                f"{visible(v.name)}: it must be N x C x H x W, N x C x W or N x C, it has {len(dims)} dimensions"
            )
            continue
        if given and v.name in given:
            size = [int(s) for s in np.ravel(given[v.name])]
            if len(size) != 3 or min(size) < 1:
                raise ValueError(f"{FN}: inputSize must be (H, W, C), got {given[v.name]!r}")
            dims = [dims[0], size[2], size[0], size[1]] if len(dims) == 4 else [dims[0], size[2], size[1]][: len(dims)]
        if len(dims) < 4 and None in dims[1:]:
            refused.append(f"{visible(v.name)}: its sizes must be known: give inputSize=(H, W, C)")
            continue
        shapes[v.name] = tuple(dims)
    if given and (unknown := [name for name in given if name not in names]):
        raise ValueError(f"{FN}: inputSize has {unknown[0]!r}, the inputs are {listed(names)}")
    if refused:
        raise ValueError(f"{FN}: inputs that no network here has:\n  " + "\n  ".join(refused))
    return shapes


def _channels_last(graph: GraphProto, shapes: dict[str, tuple[int | None, ...]]) -> set[str]:
    """Inputs N x H x W x C, which the graph does nothing with but make them N x C x H x W."""
    found = {name for name, shape in shapes.items() if len(shape) == 4}
    for node in graph.node:
        perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        if node.op_type != "Transpose" or perm != [0, 3, 1, 2]:
            found -= set(node.input)
    return found & {name for node in graph.node for name in node.input}


def _needed(graph: GraphProto, outputs: Any) -> tuple[list[NodeProto], list[str]]:
    """The nodes that the outputs depend on, and the names of those."""
    names = [v.name for v in graph.output]
    if outputs is not None:
        known_names = {name for node in graph.node for name in node.output}
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        if unknown := [name for name in names if name not in known_names]:
            raise ValueError(f"{FN}: outputs has {unknown[0]!r}, which no node gives")
    needed, kept = set(names), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1], names


def _outputs(reader: Reader, found: dict[str, Any]) -> dict[str, str]:
    """{variable: name of the output}, with layers for what must still be rearranged."""
    ends: dict[str, str] = {}
    for name, t in found.items():
        try:
            if not isinstance(t, Tensor):
                raise Refused("it does not depend on an input of the network")
            reader.node = Node("", name, [], [name], [], {})
            plain = all(kind == "reshape" for kind, _ in t.moves) and t.shape[:1] == t.base[:1]
            plain = plain or t.moves == (("transpose", CHANNELS_LAST),)
            x = Tensor(t.var, t.base, t.base) if plain else reader.image(t)
            if x.var not in {made.output for made in reader.layers}:
                raise Refused("it is an input of the network, or is that but for its shape")
            ends.setdefault(x.var, name)
        except (ValueError, TypeError) as error:
            reader.refused.append(f"{visible(name)} (output): {error}")
    return ends


def _network(model: ModelProto, reader: Reader, inputs: list[str], ends: dict[str, str]) -> Any:
    needed, kept = set(ends), []
    for made in reversed(reader.layers):
        if made.output in needed:
            needed.update(made.inputs)
            kept.append(made)
    taken = {m.output for m in kept} | set(inputs)
    renamed = {var: name for var, name in ends.items() if var not in inputs and name not in taken}
    net = DagNN()
    for made in kept[::-1]:
        names = [renamed.get(v, v) for v in made.inputs]
        net.addLayer(made.name, made.block, names, renamed.get(made.output, made.output), made.params, skipRebuild=True)
    net.rebuild()
    for param in net.params:
        param.value = reader.params[param.name]
    net.meta = metadata.from_texts({p.key: p.value for p in model.metadata_props})
    if len(inputs) == 1 and "inputSize" not in net.meta and None not in (size := reader.input_sizes[inputs[0]]):
        net.meta.inputSize = np.array([size], float)
    net.mode = "test"
    if len(inputs) == 1 and len(ends) == 1 and all(type(m.block).simplenn for m in kept):
        try:
            return net.toSimpleNN(inputs[0])
        except ValueError:  # it is no chain
            pass
    return net


def network_of_file(path: str | os.PathLike[str], inputSize: Any, outputs: Any) -> Any:
    """See pyconvnet.from_onnx."""
    with naming(path):
        return network_of_model(loaded(path), inputSize, outputs)


def loaded(path: str | os.PathLike[str]) -> ModelProto:
    """The model of a file, its external data too, which the onnx package takes from the model's own folder only."""
    with open(path, "rb") as file:
        head = file.read(1024)
    if what := found_instead(head):
        raise ValueError(f"this cannot be read as an ONNX file: {what}")
    try:
        model = load(os.fspath(path))
        checker.check_model(os.fspath(path))
    except FileNotFoundError:
        raise
    except Exception as error:  # protobuf, the checker and the reader of external data have errors of their own
        text = str(error).strip().splitlines()
        raise ValueError(f"this cannot be read as an ONNX file: {text[0] if text else error!r}") from error
    return model
