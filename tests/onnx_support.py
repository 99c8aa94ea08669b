"""What the tests of ONNX share: a model in onnxruntime, a network here, and what both take and give."""

from __future__ import annotations

from typing import Any

import numpy as np

import pyconvnet as pcn


def run(model: Any, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a model by name, for inputs N x C x H x W."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([v.name for v in session.get_outputs()], session.run(None, feeds)))


def outputs(net: Any, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a network as it stands, in test mode, N x C x H x W, for inputs N x C x H x W or N x C.

    They are called as its variables; that of a SimpleNN, which has no names for them, as its last layer.
    """
    given = {name: ours(x) for name, x in feeds.items()}
    if isinstance(net, pcn.SimpleNN):
        (x,) = given.values()
        return {net.layers[-1].name: theirs(pcn.vl_simplenn(net, x, mode="test")[-1].x)}
    net = net.copy()
    net.mode = "test"
    names = net.getOutputs()
    for name in names:
        net.vars[name].precious = True
    net.eval(given)
    return {name: theirs(net.vars[name].value) for name in names}


def ours(x: np.ndarray) -> np.ndarray:
    """N x C x H x W as H x W x C x N; vectors are 1 x 1 images, signals N x C x W images of one row."""
    if x.ndim == 3:
        x = x[:, :, None]
    return x.reshape((*x.shape, 1, 1, 1)[:4]).transpose(2, 3, 1, 0)


def theirs(y: np.ndarray) -> np.ndarray:
    """H x W x C x N as N x C x H x W."""
    return y.reshape((*y.shape, 1, 1, 1)[:4]).transpose(3, 2, 0, 1)


def four(x: Any) -> np.ndarray:
    """An array of a MAT file in single precision and four dimensions."""
    x = np.asarray(x, np.float32)
    return x.reshape((*x.shape, 1, 1, 1)[:4])


def ints(*values: int) -> np.ndarray:
    """A constant of whole numbers, as sizes, pads and axes are."""
    return np.array(values, np.int64)


def off(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference as a part of the largest value."""
    assert a.size == b.size > 0
    return float(np.abs(a - b.reshape(a.shape)).max() / max(np.abs(b).max(), 1e-30))


def dims(value_info: Any) -> list[Any]:
    """Sizes of an input or output: a number, or the name of one that is free."""
    return [d.dim_param or d.dim_value for d in value_info.type.tensor_type.shape.dim]


def graph(nodes: Any, constants: Any = (), shape: Any = ("N", 3, 6, 8), last: str = "y", opset: int = 17) -> Any:
    """A model of one input x; nodes are (operator, inputs, outputs, attributes), - an input left out."""
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    made = []
    for op, inputs, outputs_, how in nodes:
        names = [name.strip("-") for name in inputs.split()]
        made.append(helper.make_node(op, names, outputs_.split(), **how))
    model = helper.make_model(
        helper.make_graph(
            made,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in dict(constants).items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )
    model = shape_inference.infer_shapes(model, data_prop=True)
    if not model.graph.output[0].type.tensor_type.HasField("shape"):  # no file goes without one
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info(last, TensorProto.FLOAT, [None] * 4))
    return model
