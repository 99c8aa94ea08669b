"""What can be computed while a file is read: nodes whose inputs are all constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

from pyconvnet.formats.onnx.library import LARGEST, Refused, check_count

_BROADCAST = "Add Sub Mul Div Pow Min Max Equal Greater Less Where Expand".split()
_SAME_SIZE = (
    "Constant Identity Cast Neg Abs Sqrt Exp Log Reciprocal Floor Ceil Not Shape Size Unsqueeze Squeeze Reshape "
    "Flatten Transpose Slice ReduceProd ReduceSum ReduceMean"
).split()
FOLDED = {*_BROADCAST, *_SAME_SIZE, "Gather", "Concat", "ConstantOfShape", "Range"}


def fold(node: NodeProto, inputs: list[Any], opset: int) -> list[np.ndarray] | None:
    """The outputs of a node for numbers; None for an operator that is not computed here."""
    if node.op_type not in FOLDED or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Constant" and any(a.name == "sparse_value" for a in node.attribute):
        raise Refused("sparse constants are not read")
    check_count(_elements(node, inputs))
    graph = helper.make_graph(
        [node],
        "fold",
        [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in dict.fromkeys(node.input) if n],
        [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in node.output],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    names = [name for name in node.input if name]
    try:
        return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, dict(zip(names, inputs)))]
    except Exception as error:  # what the evaluator raises for values that do not fit is of many kinds
        raise Refused(f"it cannot be computed: {error!r}") from None


def _elements(node: NodeProto, inputs: list[Any]) -> int:
    """At most how many elements come out."""
    op = node.op_type
    if op == "ConstantOfShape":
        return math.prod(int(v) for v in inputs[0].ravel())
    if op == "Expand":
        return inputs[0].size * math.prod(int(v) for v in inputs[1].ravel())
    if op == "Range":
        start, limit, step = (float(v.ravel()[0]) for v in inputs)
        return int(max(abs(limit - start) / abs(step), 1)) if step else LARGEST + 1
    if op in _BROADCAST:
        return math.prod(np.broadcast_shapes(*(v.shape for v in inputs)))
    if op == "Gather":
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        return inputs[0].size // max(inputs[0].shape[axis], 1) * inputs[1].size
    return sum(v.size for v in inputs)
