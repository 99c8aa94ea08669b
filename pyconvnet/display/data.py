"""A network's table as plain values, for programs: what `pyconvnet show NET --json` writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from pyconvnet.arrays import count, shape_of
from pyconvnet.compat.tidy import vl_simplenn_tidy
from pyconvnet.dagnn.saved import matlab_class
from pyconvnet.dagnn.sizes import receptive_fields, var_sizes
from pyconvnet.display.summary import receptive_field, summarize, window
from pyconvnet.layers import Loss
from pyconvnet.networks import is_graph
from pyconvnet.networks.base import sizes_in


def data_inputs(net: Any) -> list[str]:
    """Inputs of a DagNN, without the labels that its losses read."""
    labels = {name for layer in net.layers if isinstance(layer.block, Loss) for name in layer.inputs[1:]}
    return [name for name in net.getInputs() if name not in labels]


def graph_input_sizes(net: Any) -> dict[str, Any]:
    """Sizes of the inputs of a DagNN that its meta says, by name; that of an image is the one of a single input."""
    own, known, data = net.meta.get("inputSize"), sizes_in(net.meta), data_inputs(net)
    if isinstance(own, list) and any(isinstance(v, str) for v in own):  # names and sizes in turn, of a whole batch
        return dict(zip(own[::2], map(np.ravel, own[1::2])))
    if len(data) == 1 and "" in known:
        known[data[0]] = known[""]
    return {name: known[name] for name in data if name in known}


def as_dict(net: Any, inputSizes: Any = None) -> dict[str, Any]:
    """as_dict(net) -> {"network", "inputs", "layers", "totals", "meta"}: lists, numbers, texts and None, fit for JSON.

    inputSizes  of a SimpleNN (H, W, C, N), of a DagNN {name: (H, W, C, N)}; else those in net.meta

    network     "SimpleNN" or "DagNN"
    inputs      [{"name", "size"}]; the input of a SimpleNN is x0, as in DagNN.fromSimpleNN
    layers      in the order of the network, each with
                  name, type            the type as the network has it: "conv", of a DagNN "Conv"
                  inputs, outputs       names of variables; of a SimpleNN x0, x1, ...
                  support, stride, pad  of its window: [vertical, horizontal], pad [top, bottom, left, right]
                  outputSize            [H, W, C, N] of its first output
                  receptiveFields       of its first output, in each input that it depends on: {"input", "size",
                                        "offset", "stride"}, [vertical, horizontal] in pixels; offset is the centre of
                                        the first one, counted from 1
                  parameters, parameterSizes, parameterBytes, outputBytes
    totals      layers, parameters (those that layers share count once), parameterBytes, dataBytes of all known sizes
    meta        inputSize, imageSize (of normalization) and the number of classes

    Bytes are those of single precision. None stands for what is not known: sizes where the input's is not, receptive
    fields of layers that read positions which depend on data.
    """
    return _exact(_of_graph(net, inputSizes) if is_graph(net) else _of_chain(net, inputSizes))


def json_text(values: dict[str, Any]) -> str:
    """What as_dict gives as JSON, with a line for each input and layer."""
    parts = []
    for name, value in values.items():
        rows = [json.dumps(v, allow_nan=False) for v in value] if isinstance(value, list) else []
        text = "[\n    " + ",\n    ".join(rows) + "\n  ]" if rows else json.dumps(value, allow_nan=False)
        parts.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _of_chain(net: Any, size: Any) -> dict[str, Any]:
    net = vl_simplenn_tidy(net)
    summary = summarize(net, size)
    layers = [
        {
            "name": a.name,
            "type": record["type"],
            "inputs": [f"x{i}"],
            "outputs": [f"x{i + 1}"],
            "support": a.support,
            "stride": a.stride,
            "pad": a.pad,
            "outputSize": a.size,
            "receptiveFields": [
                {"input": "x0", "size": a.field_size, "offset": a.field_offset, "stride": a.field_stride}
            ],
            **_memory([w for w in record.get("weights") or () if w is not None], a.size),
        }
        for i, (record, a) in enumerate(zip(net["layers"], summary.layers))
    ]
    return _network(net, [("x0", summary.inputSize)], layers, summary.parameters, summary.sizes)


def _of_graph(net: Any, sizes: Any) -> dict[str, Any]:
    found = var_sizes(net, graph_input_sizes(net) if sizes is None else sizes)
    fields = {name: receptive_fields(net, name) for name in net.getInputs()}
    layers = []
    for entry in net.layers:
        at = entry.outputIndexes[0] if len(entry.outputIndexes) else None
        size = (math.nan,) * 4 if at is None else found[at]
        support = receptive_field(entry.block, {})[0]
        own = window(entry.block, {})
        layers.append(
            {
                "name": entry.name,
                "type": matlab_class(entry.block).removeprefix("dagnn."),
                "inputs": list(entry.inputs),
                "outputs": list(entry.outputs),
                "support": support,
                "stride": own.stride,
                "pad": own.pad,
                "outputSize": size,
                "receptiveFields": [
                    {"input": name, **{k: of[at][k] for k in ("size", "offset", "stride")}}
                    for name, of in fields.items()
                    if at is not None and len(of[at].size)
                ],
                **_memory([v for p in net.params[entry.params] if (v := p.value) is not None], size),
            }
        )
    inputs = [(name, found[net.vars.place(name)]) for name in net.getInputs()]
    return _network(net, inputs, layers, sum(count(p.value) for p in net.params if p.value is not None), found)


def _memory(weights: list[Any], size: Iterable[float]) -> dict[str, Any]:
    total = sum(map(count, weights))
    return {
        "parameters": total,
        "parameterSizes": [shape_of(w) for w in weights],
        "parameterBytes": 4 * total,
        "outputBytes": 4 * math.prod(size),
    }


def _network(
    net: Any, inputs: list[tuple[str, Any]], layers: list[dict[str, Any]], parameters: int, sizes: Any
) -> dict[str, Any]:
    from pyconvnet.prediction import classes

    meta = net.get("meta") if isinstance(net, dict) else net.meta
    meta = meta if isinstance(meta, dict) else {}
    normalization = meta.get("normalization")
    image = normalization.get("imageSize") if isinstance(normalization, dict) else None
    known = [size for size in (4 * math.prod(size) for size in sizes) if not math.isnan(size)]
    return {
        "network": "DagNN" if is_graph(net) else "SimpleNN",
        "inputs": [{"name": name, "size": size} for name, size in inputs],
        "layers": layers,
        "totals": {
            "layers": len(layers),
            "parameters": parameters,
            "parameterBytes": 4 * parameters,
            "dataBytes": sum(known) if known else None,
        },
        "meta": {
            "inputSize": _size_of(meta.get("inputSize")),
            "imageSize": _size_of(image),
            "classes": len(classes(net)) or None,
        },
    }


def _size_of(value: Any) -> Any:
    """A size that meta has, or sizes by name; None for anything else."""
    if isinstance(value, (list, tuple)) and any(isinstance(v, str) for v in value):
        return {str(name): _size_of(size) for name, size in zip(value[::2], value[1::2])}
    numbers = np.ravel([] if value is None else value)
    return numbers.tolist() if numbers.size and numbers.dtype.kind in "iuf" else None


def _exact(value: Any) -> Any:
    """Plain lists, whole numbers where they are whole, and None for a number that is not finite, or a list of such."""
    if isinstance(value, dict):
        return {name: _exact(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        found = [_exact(v) for v in value]
        return None if found and all(v is None for v in found) else found
    if isinstance(value, (float, np.floating)):
        return None if not math.isfinite(value) else int(value) if value == int(value) else float(value)
    return int(value) if isinstance(value, np.integer) else value
