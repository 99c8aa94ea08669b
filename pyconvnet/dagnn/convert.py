"""SimpleNN to DagNN, and back where the graph is a chain."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pyconvnet.arrays import is_empty, own_copy
from pyconvnet.layers.base import Layer
from pyconvnet.layers.registry import layer_class
from pyconvnet.options import matlab_options
from pyconvnet.records import Struct
from pyconvnet.text import listed

if TYPE_CHECKING:
    from pyconvnet.dagnn.graph import DagNN


@matlab_options()
def from_simplenn(cls: type[DagNN], net: Any, *, canonicalNames: bool = False) -> DagNN:
    """The graph of a SimpleNN, with copies of its parameters.

    Variables are x0 (input), x1, x2, ...; further inputs of a layer, such as a loss's, are label, label1, ...
    Parameters are a layer's name with 'f' and 'b' (filters, biases) or 'm', 'b', 'x' (multipliers, biases, moments).

    canonicalNames  call the input 'input', the output of softmax 'prob', that of a loss 'objective', and the input of
                    both 'prediction'
    """
    from pyconvnet.compat.tidy import vl_simplenn_tidy

    net = vl_simplenn_tidy(net)
    dag = cls()
    dag.meta = copy.deepcopy(net.get("meta", Struct()))
    for i, record in enumerate(net["layers"], 1):
        name = record["name"]
        try:
            block = layer_class(record["type"]).from_record(record)
        except ValueError as error:
            raise ValueError(f"DagNN.fromSimpleNN: layer {name!r}: {error}") from None
        labels = [_free(dag, "label") for _ in block.simplenn_inputs]
        weights = list(record.get("weights", ()))
        while weights and is_empty(weights[-1]):
            weights.pop()
        used = list(range(len(weights)))  # biases without filters stay the second parameter
        if used and used[-1] >= len(block.param_suffixes):
            raise ValueError(
                f"DagNN.fromSimpleNN: layer {name!r} ({record['type']}) has {len(weights)} weights, "
                f"{type(block).__name__} names {len(block.param_suffixes)} of them in param_suffixes"
            )
        params = [name + block.param_suffixes[k] for k in used]
        dag.addLayer(name, block, [f"x{i - 1}", *labels], f"x{i}", params, skipRebuild=True)
        dag.vars[f"x{i}"].precious = bool(np.any(record.get("precious", False)))
        for field in ("learningRate", "weightDecay"):
            rates = np.ravel(record.get(field, ())).tolist()
            for k, param in zip(used, params):
                if k < len(rates):
                    setattr(dag.params[param], field, rates[k])
        for k, param in zip(used, params):
            empty = is_empty(weights[k])
            dag.params[param].value = np.zeros((0, 0), np.float32) if empty else own_copy(weights[k])
            if k in block.averaged and "weightDecay" in record:
                dag.params[param].weightDecay = 0  # as MatConvNet does: moments do not decay
    dag.rebuild()
    if canonicalNames:
        _canonical(dag)
    inputs = dag.meta.get("inputs")
    if dag.layers and inputs:
        first = inputs if isinstance(inputs, dict) else inputs[0]
        first["name"] = dag.layers[0].inputs[0]
    return dag


def _canonical(dag: DagNN) -> None:
    from pyconvnet.layers import Loss, SoftMax

    for i, layer in enumerate(list(dag.layers)):
        if i == 0:
            dag.renameVar(layer.inputs[0], "input")
        if isinstance(layer.block, SoftMax):
            dag.renameVar(layer.outputs[0], _free(dag, "prob"))
            dag.renameVar(layer.inputs[0], _free(dag, "prediction"))
        elif isinstance(layer.block, Loss):
            dag.renameVar(layer.outputs[0], _free(dag, "objective"))
            if not layer.inputs[0].startswith("prob"):
                dag.renameVar(layer.inputs[0], _free(dag, "prediction"))


def _free(dag: DagNN, prefix: str) -> str:
    name, n = prefix, 0
    while name in dag.vars.index:
        n += 1
        name = f"{prefix}{n}"
    return name


def to_simplenn(dag: DagNN, inputVar: str | None = None) -> Any:
    """The SimpleNN of a graph that is a chain from `inputVar`, with copies of its parameters.

    Further inputs of a layer that SimpleNN keeps in a field of the record (the labels of a loss) are dropped. A Loss
    becomes 'softmaxloss', or 'loss' with the fields that say which loss it is, and a warning that MATLAB reads none.

    Raises ValueError for other graphs, and for layers that have no counterpart, with their name.
    """
    from pyconvnet.simplenn import SimpleNN

    fn = "DagNN.toSimpleNN"
    if inputVar is None:
        if not dag.layers:
            raise ValueError(f"{fn}: the graph has no layers")
        inputVar = dag.layers[dag.executionOrder[0]].inputs[0]
    dag.vars.place(inputVar)
    done: list[str] = []
    records: list[Struct] = []
    current = inputVar
    while True:
        readers = [entry for entry in dag.layers if current in entry.inputs]
        if not readers:
            break
        if len(readers) > 1:
            raise ValueError(
                f"{fn}: the graph is not a chain: variable {current!r} is read by layers "
                f"{', '.join(repr(e.name) for e in readers)}"
            )
        entry = readers[0]
        extra = [n for n in entry.inputs if n != current]
        if entry.inputs[0] != current or len(extra) > len(entry.block.simplenn_inputs) or len(entry.outputs) != 1:
            raise ValueError(
                f"{fn}: the graph is not a chain at {entry.name!r}: inputs {entry.inputs}, outputs {entry.outputs}"
            )
        records.append(_record(fn, dag, entry))
        done.append(entry.name)
        current = entry.outputs[0]
    left = [entry.name for entry in dag.layers if entry.name not in done]
    if left:
        raise ValueError(f"{fn}: layers not on the chain from {inputVar!r}: {listed(left)}")
    return SimpleNN(Struct(layers=records, meta=copy.deepcopy(dag.meta)))


def _record(fn: str, dag: DagNN, entry: Any) -> Struct:
    block: Layer = entry.block
    if not block.simplenn:
        raise ValueError(f"{fn}: layer {entry.name!r}: {type(block).__name__} has no SimpleNN type")
    try:
        record = block.to_record()
    except ValueError as error:
        raise ValueError(f"{fn}: layer {entry.name!r}: {error}") from None
    if beyond := [field for field in record if field in block._record_options]:
        warnings.warn(
            f"{fn}: layer {entry.name!r}: the record's {listed(beyond)}, which this SimpleNN runs by, MatConvNet "
            "does not read: in MATLAB the layer is the loss 'softmaxlog'",
            stacklevel=4,
        )
    record.name = entry.name
    record.precious = dag.vars[entry.outputs[0]].precious
    params = dag.params[entry.params]
    shared = [p.name for p in params if p.fanout > 1]
    if shared:
        raise ValueError(
            f"{fn}: layer {entry.name!r} shares {listed(shared)} with another layer, which SimpleNN cannot"
        )
    if block.param_suffixes:
        missing = [None] * (len(block.param_suffixes) - len(params))
        record.weights = [None if p.value is None else own_copy(p.value) for p in params] + missing
        record.learningRate = [p.learningRate for p in params]
        record.weightDecay = [p.weightDecay for p in params]
    return record
