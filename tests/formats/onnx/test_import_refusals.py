"""from_onnx refuses what it cannot read, all of it and by name; damaged and hostile files get one clear error."""

import numpy as np
import pytest
from onnx_support import graph, ints, off, outputs, run

import pyconvnet as pcn

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper  # noqa: E402

rng = np.random.default_rng(5)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def types(net):
    return [e.type for e in net.layers]


MATRICES = (
    [
        ("Flatten", "x", "f", {}),
        ("Gemm", "f w b", "h", {}),
        ("Relu", "h", "r", {}),
        ("Gemm", "r v c", "y", {"transB": 1}),
    ],
    {"w": normal(144, 7), "b": normal(1, 7), "v": normal(2, 7), "c": normal(2)},
)


def test_every_node_that_has_no_layer_is_named():
    model = graph(
        [
            ("Conv", "x w", "c", {"name": "conv"}),
            ("Erf", "c", "e", {"name": "erf"}),
            ("Relu", "e", "r", {"name": "relu"}),
            ("Softmax", "r", "s", {"name": "softmax", "axis": 3}),
            ("Selu", "s", "t", {}),
            ("Sin", "x", "y2", {"name": "unused"}),
            ("Pad", "x pads", "p", {"mode": "reflect"}),
            ("Add", "t p", "y", {}),
        ],
        {"w": normal(4, 3, 1, 1), "pads": ints(0, 0, 1, 1, 0, 0, 1, 1)},
    )
    with pytest.raises(ValueError) as error:
        pcn.from_onnx(model)
    assert str(error.value).splitlines() == [
        "from_onnx: 3 nodes cannot be read as layers:",
        "  erf (Erf): there is no layer for this operator",
        "  t (Selu): there is no layer for this operator",
        "  p (Pad): mode 'reflect' is not known here",
        "outputs=[...] stops before some of them",
    ]
    net = pcn.from_onnx(model, outputs=["c"])
    assert types(net) == ["conv"] and net.layers[0].name == "conv"
    with pytest.raises(ValueError, match="outputs has 'gone', which no node gives"):
        pcn.from_onnx(model, outputs="gone")


def test_inputs_that_no_network_has_are_refused():
    model = graph([("Relu", "x", "y", {})], shape=(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=r"x: it must be N x C x H x W, .*, it has 5 dimensions"):
        pcn.from_onnx(model)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT8
    with pytest.raises(ValueError, match="x: it must be a tensor of floating-point numbers"):
        pcn.from_onnx(model)
    with pytest.raises(ValueError, match="inputSize has 'z', the inputs are x"):
        pcn.from_onnx(graph([("Relu", "x", "y", {})]), {"z": (1, 2, 3)})


def test_a_reshape_that_mixes_images_is_refused():
    for to in ((1, -1), (-1, 72), (4, 36)):
        with pytest.raises(ValueError, match=r"\((Reshape|Gemm|output)\): "):
            pcn.from_onnx(
                graph(
                    [("Relu", "x", "r", {}), ("Reshape", "r to", "s", {}), ("Gemm", "s w", "y", {})],
                    {"to": ints(*to), "w": normal(144 if to[0] == 1 else to[1], 4)},
                )
            )


def test_nodes_that_say_another_layer_than_they_are_are_read_for_what_they_are():
    block = pcn.dagnn.NormOffset(param=(0.5, 0.25))
    net = pcn.DagNN()
    net.addLayer("n", block, "x", "y")
    model = pcn.to_onnx(net, inputSize=(6, 8, 3))
    assert types(pcn.from_onnx(model)) == ["noffset"]
    for node in model.graph.node:
        node.doc_string = node.doc_string.replace("0.25", "0.75")
    with pytest.raises(ValueError, match=r"\(ReduceSumSquare\): there is no layer"):
        pcn.from_onnx(model)
    endless = '{"block": "AffineGridGenerator", "inputs": ["x"], "layer": "n", "properties": {"Ho": 1e9, "Wo": 1e9}}'
    for text in (
        endless,
        "{",
        '{"block"',
        '{"block": "NormOffset"}',
        '{"block": 1, "inputs": 1, "layer": 1, "properties": 1}',
    ):
        for node in model.graph.node:
            node.doc_string = text
        with pytest.raises(ValueError, match=r"\(ReduceSumSquare\): there is no layer"):
            pcn.from_onnx(model)


HOSTILE = {
    "a constant of 2^60 elements": (
        [("ConstantOfShape", "s", "c", {}), ("Add", "x c", "y", {})],
        {"s": ints(1 << 30, 1 << 30)},
        "more than 536870912",
    ),
    "a product of a row and a column": (
        [("Mul", "a b", "c", {}), ("Add", "x c", "y", {})],
        {"a": np.ones((100000, 1), np.float32), "b": np.ones((1, 100000), np.float32)},
        "more than 536870912",
    ),
    "an expansion": (
        [("Expand", "a s", "c", {}), ("Add", "x c", "y", {})],
        {"a": np.ones(1, np.float32), "s": ints(1 << 40)},
        "more than 536870912",
    ),
    "negative sizes": (
        [("ConstantOfShape", "s", "c", {}), ("Add", "x c", "y", {})],
        {"s": ints(-5, 3)},
        "ConstantOfShape",
    ),
    "padding without end": (
        [("Conv", "x w", "y", {"pads": [1 << 40] * 4})],
        {"w": normal(4, 3, 1, 1)},
        "must be whole numbers up to 2147483647",
    ),
    "filters for other channels": ([("Conv", "x w", "y", {})], {"w": normal(4, 2, 1, 1)}, "do not fit 3 channels"),
    "an upsampling without end": (
        [("Resize", "x - s", "y", {"mode": "nearest"})],
        {"s": np.float32([1, 1, 1 << 20, 1 << 20])},
        "more than 536870912",
    ),
    "blocks without end": ([("SpaceToDepth", "x", "y", {"blocksize": 1000})], {}, "more than 536870912"),
    "dilation without end": (
        [("ConvTranspose", "x w", "y", {"dilations": [1 << 20, 1 << 20]})],
        {"w": normal(3, 2, 2, 2)},
        "more than 536870912",
    ),
    "output padding without end": (
        [("ConvTranspose", "x w", "y", {"output_padding": [1 << 40, 0]})],
        {"w": normal(3, 2, 2, 2)},
        "must be less than its strides",
    ),
    "no groups": ([("Conv", "x w", "y", {"group": 0})], {"w": normal(4, 3, 1, 1)}, r"\(Conv\): "),
    "stride 0": ([("Conv", "x w", "y", {"strides": [0, 0]})], {"w": normal(4, 3, 1, 1)}, r"\(Conv\): its strides"),
    "blocks of 0": ([("DepthToSpace", "x", "y", {"blocksize": 0})], {}, r"\(DepthToSpace\): "),
    "a tensor that nothing gives": ([("Add", "x z", "y", {})], {}, "it reads 'z', which nothing gives"),
    "a window larger than the image": ([("MaxPool", "x", "y", {"kernel_shape": [9, 9]})], {}, "would be empty"),
}


def test_images_without_end_are_not_laid_out():
    nodes = [("Relu", "x", "r", {}), ("Transpose", "r", "y", {"perm": [0, 1, 3, 2]})]
    with pytest.raises(ValueError, match=r"it needs an array of \d+ elements, more than 536870912"):
        pcn.from_onnx(graph(nodes, shape=("N", 3, 1 << 20, 1 << 20)))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_get_one_clear_error(name):
    nodes, constants, said = HOSTILE[name]
    with pytest.raises(ValueError, match=said):
        pcn.from_onnx(graph(nodes, constants))


def saved(tmp_path, model):
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"\xff" * 300, "cannot be read as an ONNX file"),
        (b"MATLAB 5.0 MAT-file" + bytes(200), "cannot be read as an ONNX file"),
    ],
)
def test_what_is_no_onnx_file_is_refused_with_its_name(tmp_path, content, said):
    (tmp_path / "net.onnx").write_bytes(content)
    for read in (pcn.from_onnx, pcn.load):
        with pytest.raises(ValueError, match=rf"net\.onnx.*{said}"):
            read(tmp_path / "net.onnx")
    with pytest.raises(FileNotFoundError):
        pcn.from_onnx(tmp_path / "gone.onnx")


def test_damaged_files_are_read_or_refused_and_nothing_else(tmp_path):
    content = graph(*MATRICES).SerializeToString()
    for i in range(400):
        damaged = bytearray(content)
        if i % 4 == 0:
            damaged = damaged[: rng.integers(1, len(content))]
        else:
            for _ in range(rng.integers(1, 4)):
                # the weights are most of the file: damage what says how they are used
                at = rng.integers(0, 400) if i % 4 < 3 else len(content) - 1 - rng.integers(0, 200)
                damaged[at] = rng.integers(0, 256)
        (tmp_path / "net.onnx").write_bytes(bytes(damaged))
        try:
            pcn.from_onnx(tmp_path / "net.onnx")
        except ValueError as error:
            assert "net.onnx" in str(error)


def test_external_data_comes_from_the_folder_of_the_file_only(tmp_path):
    (tmp_path / "inner").mkdir()
    model = graph(*MATRICES)
    path = tmp_path / "inner" / "net.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    x = normal(2, 3, 6, 8)
    (z,) = outputs(pcn.from_onnx(path), {"x": x}).values()
    assert off(z, run(graph(*MATRICES), {"x": x})["y"]) < 1e-5
    outside = onnx.load(path, load_external_data=False)
    (tmp_path / "inner" / "w.bin").rename(tmp_path / "w.bin")
    for location in ("../w.bin", str(tmp_path / "w.bin")):
        for tensor in outside.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        with pytest.raises(ValueError, match=r"net\.onnx: this cannot be read as an ONNX file"):
            pcn.from_onnx(saved(tmp_path / "inner", outside))


def test_metadata_that_is_no_json_is_kept_as_text():
    model = graph([("Relu", "x", "y", {})])
    helper.set_model_props(
        model, {"classes": "[1, 2", "deep": "[" * 100000, "author": "me", "numbers": "[[1, 2], [3, 4]]"}
    )
    meta = pcn.from_onnx(model).meta
    assert meta.classes == "[1, 2" and meta.author == "me" and meta.deep.startswith("[[")
    assert np.array_equal(meta.numbers, [[1, 2], [3, 4]])
