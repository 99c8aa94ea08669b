"""from_onnx: the patterns of exporters, against onnxruntime; names, and sizes that are free."""

import numpy as np
import pytest
from onnx_support import graph, ints, off, outputs, run

import pyconvnet as pcn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

rng = np.random.default_rng(4)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def blocks(net):
    return [type(e.block).__name__ for e in net.layers] if isinstance(net, pcn.DagNN) else [e.type for e in net.layers]


BATCH_NORM = {"s": np.abs(normal(3)) + 1, "b": normal(3), "m": normal(3), "v": np.abs(normal(3))}
SHAPE_OF_BATCH = [  # what older exporters make of x.view(x.size(0), -1)
    ("Shape", "p", "shape", {}),
    ("Gather", "shape zero", "n", {"axis": 0}),
    ("Unsqueeze", "n axis", "n1", {}),
    ("Concat", "n1 minus", "target", {"axis": 0}),
    ("Reshape", "p target", "flat", {}),
]
# nodes, constants, the layers that come of it
PATTERNS = {
    "pad and convolution": (
        [("Pad", "x pads", "p", {}), ("Conv", "p w b", "y", {"strides": [2, 2]})],
        {"pads": ints(0, 0, 1, 2, 0, 0, 3, 0), "w": normal(4, 3, 3, 3), "b": normal(4)},
        ["conv"],
    ),
    "padding alone": ([("Pad", "x pads", "y", {})], {"pads": ints(0, 0, 1, 2, 0, 0, 3, 0)}, ["conv"]),
    "SAME_UPPER": (
        [("Conv", "x w", "y", {"auto_pad": "SAME_UPPER", "strides": [2, 3]})],
        {"w": normal(4, 3, 3, 4)},
        ["conv"],
    ),
    "SAME_LOWER pooling": (
        [("MaxPool", "x", "y", {"auto_pad": "SAME_LOWER", "kernel_shape": [2, 3], "strides": [1, 2]})],
        {},
        ["pool"],
    ),
    "depthwise": ([("Conv", "x w", "y", {"group": 3})], {"w": normal(6, 1, 3, 3)}, ["conv"]),
    "transposed with output padding and dilation": (
        [
            (
                "ConvTranspose",
                "x w b",
                "y",
                {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 0, 0], "dilations": [2, 1]},
            )
        ],
        {"w": normal(3, 2, 3, 2), "b": normal(2)},
        ["convt"],
    ),
    "transposed to a shape": (
        [("ConvTranspose", "x w", "y", {"strides": [2, 2], "output_shape": [13, 17]})],
        {"w": normal(3, 2, 3, 3)},
        ["convt"],
    ),
    "ceil": (
        [("MaxPool", "x", "y", {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1})],
        {},
        ["pool"],
    ),
    "ceil of averages": (
        [("AveragePool", "x", "y", {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1})],
        {},
        ["pool"],
    ),
    "averages that count the pad": (
        [("AveragePool", "x", "y", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})],
        {},
        ["conv", "pool"],
    ),
    "global average and matrix": (
        [("GlobalAveragePool", "x", "p", {}), ("Flatten", "p", "f", {}), ("Gemm", "f w b", "y", {"transB": 1})],
        {"w": normal(5, 3), "b": normal(5)},
        ["pool", "conv"],
    ),
    "mean of pixels": (
        [
            ("ReduceMean", "x", "p", {"axes": [2, 3], "keepdims": 0}),
            ("MatMul", "p w", "q", {}),
            ("Add", "q b", "y", {}),
        ],
        {"w": normal(3, 5), "b": normal(5)},
        ["pool", "conv"],
    ),
    "flatten and matrices": (
        [
            ("Flatten", "x", "f", {}),
            ("Gemm", "f w b", "h", {"alpha": 0.5, "beta": 2.0}),
            ("Relu", "h", "r", {}),
            ("Dropout", "r", "d", {}),
            ("Gemm", "d v c", "y", {"transB": 1}),
        ],
        {"w": normal(144, 7), "b": normal(1, 7), "v": normal(2, 7), "c": normal(2)},
        ["conv", "relu", "conv"],
    ),
    "a rectifier after flatten": (
        [("Flatten", "x", "f", {}), ("Relu", "f", "r", {}), ("Gemm", "r w", "y", {})],
        {"w": normal(144, 4)},
        ["relu", "conv"],
    ),
    "a view by the batch's size": (
        [("Relu", "x", "p", {}), *SHAPE_OF_BATCH, ("Gemm", "flat w", "y", {})],
        {"zero": np.array(0), "axis": ints(0), "minus": ints(-1), "w": normal(144, 4)},
        ["relu", "conv"],
    ),
    "transposed before a matrix": (
        [("Transpose", "x", "t", {"perm": [0, 2, 3, 1]}), ("Flatten", "t", "f", {}), ("Gemm", "f w", "y", {})],
        {"w": normal(144, 4)},
        ["conv"],
    ),
    "transposes that cancel": (
        [
            ("Transpose", "x", "t", {"perm": [0, 2, 3, 1]}),
            ("Relu", "t", "r", {}),
            ("Transpose", "r", "y", {"perm": [0, 3, 1, 2]}),
        ],
        {},
        ["relu"],
    ),
    "batch normalization": ([("BatchNormalization", "x s b m v", "y", {"epsilon": 1e-3})], BATCH_NORM, ["bnorm"]),
    "batch normalization as products and sums": (
        [("Conv", "x w", "c", {}), ("Mul", "c s", "t", {}), ("Add", "t b", "y", {})],
        {"w": normal(4, 3, 1, 1), "s": normal(4, 1, 1), "b": normal(1, 4, 1, 1)},
        ["Conv", "Scale"],
    ),
    "constants taken off and divided by": (
        [("Sub", "x m", "d", {}), ("Div", "d s", "y", {})],
        {"m": normal(1, 3, 1, 1), "s": np.float32([2, 4, 8]).reshape(3, 1, 1)},
        ["Scale", "Scale"],
    ),
    "a difference of transposed images": (
        [
            ("Relu", "x", "r", {}),
            ("Transpose", "r", "a", {"perm": [0, 1, 3, 2]}),
            ("Transpose", "x", "b", {"perm": [0, 1, 3, 2]}),
            ("Sub", "b a", "y", {}),
        ],
        {},
        ["ReLU", "Scale", "Sum", "Permute"],
    ),
    "a number less a transposed image": (
        [("Transpose", "x", "a", {"perm": [0, 1, 3, 2]}), ("Sub", "one a", "y", {})],
        {"one": np.float32(1)},
        ["Scale", "Permute", "Scale"],
    ),
    "a number less": ([("Sub", "one x", "y", {})], {"one": np.float32(1)}, ["Scale", "Scale"]),
    "difference": (
        [("Relu", "x", "r", {}), ("Sub", "r x", "y", {})],
        {},
        ["ReLU", "Scale", "Sum"],
    ),
    "squeeze and excitation": (
        [
            ("GlobalAveragePool", "x", "p", {}),
            ("Conv", "p w", "c", {}),
            ("HardSigmoid", "c", "h", {"alpha": 0.25}),
            ("Mul", "h x", "y", {}),
        ],
        {"w": normal(3, 3, 1, 1)},
        ["Pooling", "Conv", "HardSigmoid", "Scale"],
    ),
    "hard swish": ([("HardSwish", "x", "y", {})], {}, ["HardSigmoid", "Scale"]),
    "swish": ([("Sigmoid", "x", "s", {}), ("Mul", "x s", "y", {})], {}, ["Sigmoid", "Scale"]),
    "relu6": ([("Clip", "x low high", "y", {})], {"low": np.float32(0), "high": np.float32(0.5)}, ["clip"]),
    "max and min": (
        [("Max", "x low", "m", {}), ("Min", "m high", "y", {})],
        {"low": np.float32(0), "high": np.float32(0.5)},
        ["clip", "clip"],
    ),
    "prelu": ([("PRelu", "x a", "y", {})], {"a": normal(3, 1, 1)}, ["prelu"]),
    "leaky and others": (
        [
            ("LeakyRelu", "x", "a", {"alpha": 0.2}),
            ("Elu", "a", "b", {"alpha": 0.5}),
            ("Tanh", "b", "c", {}),
            ("Softplus", "c", "d", {}),
            ("Sigmoid", "d", "e", {}),
            ("LRN", "e", "f", {"size": 3, "alpha": 0.5, "beta": 0.75, "bias": 2.0}),
            ("Softmax", "f", "y", {"axis": 1}),
        ],
        {},
        ["relu", "elu", "tanh", "softplus", "sigmoid", "lrn", "softmax"],
    ),
    "channel shuffle": (
        [
            ("Conv", "x w", "c", {}),
            ("Reshape", "c apart", "r", {}),
            ("Transpose", "r", "t", {"perm": [0, 2, 1, 3, 4]}),
            ("Reshape", "t together", "y", {}),
        ],
        {"w": normal(6, 3, 1, 1), "apart": ints(0, 2, 3, 6, 8), "together": ints(0, 6, 6, 8)},
        ["conv", "conv"],
    ),
    "pixel shuffle": (
        [
            ("Conv", "x w", "c", {}),
            ("Reshape", "c apart", "r", {}),
            ("Transpose", "r", "t", {"perm": [0, 1, 4, 2, 5, 3]}),
            ("Reshape", "t together", "y", {}),
        ],
        {"w": normal(8, 3, 1, 1), "apart": ints(-1, 2, 2, 2, 6, 8), "together": ints(-1, 2, 12, 16)},
        ["conv", "convt"],
    ),
    "depth to space and back": (
        [
            ("SpaceToDepth", "x", "s", {"blocksize": 2}),
            ("Relu", "s", "r", {}),
            ("DepthToSpace", "r", "y", {"blocksize": 2, "mode": "CRD"}),
        ],
        {},
        ["conv", "relu", "convt"],
    ),
    "upsampling": (
        [("Resize", "x - scales", "y", {"mode": "nearest"})],
        {"scales": np.float32([1, 1, 2, 3])},
        ["convt"],
    ),
    "halves, joined the other way round": (
        [("Relu", "x", "r", {}), ("Split", "r sizes", "a b", {"axis": 1}), ("Concat", "b a", "y", {"axis": 1})],
        {"sizes": ints(1, 2)},
        ["ReLU", "Conv", "Conv", "Concat"],
    ),
    "a part of the image": (
        [("Slice", "x from to axes steps", "y", {})],
        {"from": ints(1, 0), "to": ints(-2, 8), "axes": ints(2, -1), "steps": ints(1, 3)},
        ["conv"],
    ),
    "channels backwards": (
        [("Slice", "x from to axes steps", "y", {})],
        {"from": ints(-1), "to": ints(-(1 << 40)), "axes": ints(1), "steps": ints(-1)},
        ["conv"],
    ),
    "channels in another order": ([("Gather", "x order", "y", {"axis": 1})], {"order": ints(2, 1, 0)}, ["conv"]),
    "images turned about": (
        [("Relu", "x", "r", {}), ("Transpose", "r", "y", {"perm": [0, 3, 1, 2]})],
        {},
        ["relu", "permute"],
    ),
    "rows of another length": (
        [("Relu", "x", "r", {}), ("Reshape", "r to", "s", {}), ("MaxPool", "s", "y", {"kernel_shape": [2, 2]})],
        {"to": ints(0, 4, 9, 4)},
        None,
    ),
    "what goes on from a constant": (
        [("Mul", "w two", "w2", {}), ("Transpose", "w2", "w3", {"perm": [1, 0, 2, 3]}), ("Conv", "x w3", "y", {})],
        {"w": normal(3, 4, 1, 1), "two": np.float32(2)},
        ["conv"],
    ),
    "shared filters": (
        [("Conv", "x w", "a", {}), ("Conv", "a w", "b", {}), ("Add", "a b", "y", {})],
        {"w": normal(3, 3, 1, 1)},
        ["Conv", "Conv", "Sum"],
    ),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_of_exporters_give_what_onnxruntime_does(name, tmp_path):
    nodes, constants, expected = PATTERNS[name]
    model = graph(nodes, constants)
    onnx.checker.check_model(model, full_check=True)
    x = normal(2, 3, 6, 8)
    y = run(model, {"x": x})["y"]
    with pcn.local_precision("high"):
        net = pcn.from_onnx(model)
        assert expected is None or blocks(net) == expected
        (z,) = outputs(net, {"x": x}).values()
        assert off(z, y) < 2e-6
        pcn.save(tmp_path / "net.mat", net)
        again = pcn.load(tmp_path / "net.mat")
        (z,) = outputs(again, {"x": x}).values()
        assert off(z, y) < 2e-6
    first = "input" if isinstance(net, pcn.SimpleNN) else "x"
    (w,) = run(pcn.to_onnx(again, inputSize=(6, 8, 3)), {first: x}).values()
    assert off(w.reshape(y.shape) if w.shape != y.shape else w, y) < 2e-6


def test_shared_filters_are_one_parameter():
    nodes, constants, _ = PATTERNS["shared filters"]
    assert [p.name for p in pcn.from_onnx(graph(nodes, constants)).params] == ["w"]


def test_names_are_those_of_the_file():
    model = graph(
        [("Conv", "x w b", "conv_out", {"name": "first"}), ("Relu", "conv_out", "y", {})],
        {"w": normal(4, 3, 1, 1), "b": normal(4)},
    )
    model.graph.output.append(helper.make_tensor_value_info("conv_out", TensorProto.FLOAT, None))
    net = pcn.from_onnx(model)
    assert [e.name for e in net.layers] == ["first", "y"] and [v.name for v in net.vars] == ["x", "conv_out", "y"]
    assert [p.name for p in net.params] == ["w", "b"] and sorted(net.getOutputs()) == ["y"]


def test_height_and_width_may_be_free_where_no_layer_needs_them():
    nodes = [
        ("Conv", "x w", "c", {"pads": [1, 1, 1, 1]}),
        ("Relu", "c", "r", {}),
        ("MaxPool", "r", "y", {"kernel_shape": [2, 2]}),
    ]
    model = graph(nodes, {"w": normal(4, 3, 3, 3)}, ("N", 3, "H", "W"))
    net = pcn.from_onnx(model)
    for size in ((6, 8), (11, 5)):
        x = normal(2, 3, *size)
        assert off(outputs(net, {"x": x})["y"], run(model, {"x": x})["y"]) < 1e-5
    flat = graph([*nodes[:2], ("GlobalAveragePool", "r", "y", {})], {"w": normal(4, 3, 3, 3)}, ("N", 3, "H", "W"))
    with pytest.raises(ValueError, match=r"y \(GlobalAveragePool\): the size of its input must be known"):
        pcn.from_onnx(flat)
    x = normal(2, 3, 6, 8)
    net = pcn.from_onnx(flat, (6, 8, 3))
    assert off(outputs(net, {"x": x})["y"], run(flat, {"x": x})["y"]) < 1e-5


def test_signals_are_images_of_one_row():
    nodes = [
        ("Conv", "x w a", "c", {"pads": [2, 1], "strides": [2], "dilations": [2]}),
        ("BatchNormalization", "c s b m v", "n", {}),
        ("MaxPool", "n", "p", {"kernel_shape": [3], "strides": [2], "ceil_mode": 1}),
        ("ConvTranspose", "p u", "t", {"strides": [2], "output_padding": [1], "pads": [1, 0]}),
        ("GlobalAveragePool", "t", "g", {}),
        ("Flatten", "g", "f", {}),
        ("Gemm", "f z", "y", {}),
    ]
    four = {name: np.abs(normal(4)) + 0.1 for name in "asbmv"}
    model = graph(nodes, {"w": normal(4, 3, 5), "u": normal(4, 2, 3), "z": normal(2, 6), **four}, ("N", 3, 40))
    net = pcn.from_onnx(model)
    assert blocks(net) == ["conv", "bnorm", "pool", "convt", "pool", "conv"]
    x = normal(2, 3, 40)
    (z,) = outputs(net, {"x": x}).values()
    assert off(z, run(model, {"x": x})["y"]) < 1e-5


def test_a_network_of_double_precision_stays_one():
    nodes = [("Flatten", "x", "f", {}), ("Gemm", "f w", "c", {}), ("Neg", "c", "n", {}), ("Sub", "n c", "y", {})]
    model = graph(nodes, {"w": normal(144, 4).astype(float)})
    for v in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        v.type.tensor_type.elem_type = TensorProto.DOUBLE
    net = pcn.from_onnx(model)
    x = normal(2, 3, 6, 8).astype(float)
    (z,) = outputs(net, {"x": x}).values()
    assert z.dtype == np.float64 and off(z, run(model, {"x": x})["y"]) < 1e-12


def test_images_whose_channels_come_last_are_h_x_w_x_c_here(capsys):
    nodes = [
        ("Transpose", "x", "t", {"perm": [0, 3, 1, 2]}),
        ("Conv", "t w", "c", {}),
        ("Transpose", "c", "y", {"perm": [0, 2, 3, 1]}),
    ]
    model = graph(nodes, {"w": normal(4, 3, 3, 3)}, ("N", 6, 8, 3))
    net = pcn.from_onnx(model)
    assert blocks(net) == ["conv"]
    x = normal(6, 8, 3, 2)
    z = pcn.predict(net, x)
    assert off(z.transpose(3, 0, 1, 2), run(model, {"x": x.transpose(3, 0, 1, 2)})["y"]) < 1e-5


def test_biases_do_not_reach_what_reads_the_sum_before_them():
    for nodes in (
        [("Flatten", "c", "f", {}), ("Add", "f b", "s", {}), ("Relu", "c", "r", {}), ("Flatten", "r", "g", {})],
        [("Identity", "c", "f", {}), ("Add", "f b", "s", {}), ("Relu", "c", "g", {})],
    ):
        nodes = [("GlobalAveragePool", "x", "p", {}), ("Conv", "p w", "c", {}), *nodes, ("Add", "s g", "y", {})]
        model = graph(nodes, {"w": normal(4, 3, 1, 1), "b": np.float32([5])})
        x = normal(2, 3, 6, 8)
        assert off(next(iter(outputs(pcn.from_onnx(model), {"x": x}).values())), run(model, {"x": x})["y"]) < 1e-5
