"""The tests that the onnx package brings: each is read and right, or refused by name, and none is wrong."""

import collections
import os
import warnings

import numpy as np
import pytest
from onnx_support import ours, outputs

import pyconvnet as pcn

onnx = pytest.importorskip("onnx")
from onnx import numpy_helper  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402

DATA = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data")
OPERATORS = set(
    "Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool Relu LeakyRelu PRelu Sigmoid Tanh Softplus "
    "Elu HardSigmoid HardSwish Clip Softmax LRN BatchNormalization Gemm MatMul Add Sum Sub Mul Div Neg Max Min Concat "
    "Flatten Reshape Squeeze Unsqueeze Transpose Identity Dropout Cast Pad Resize Upsample DepthToSpace SpaceToDepth "
    "Split Slice Gather Constant ConstantOfShape Shape ReduceMean ReduceMax MaxRoiPool RoiAlign LpPool GridSample "
    "AffineGrid SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss LpNormalization".split()
)
SEVERAL = (
    "Add",
    "Sum",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Min",
    "Concat",
    "MaxRoiPool",
    "GridSample",
)  # of which none is a weight
SAID = ("cannot be read as layers:\n", "inputs that no network here has:\n")


def array(value):
    return value if isinstance(value, np.ndarray) else numpy_helper.to_array(value)


def tried(model, feeds, expected, tolerance):
    """'passed' or 'refused'; AssertionError for wrong numbers, any other error for what is not said plainly."""
    try:
        net = pcn.from_onnx(model)
    except ValueError as error:
        assert any(said in str(error) for said in SAID), str(error)
        return "refused"
    feeds = {name: x.astype(np.float64 if x.dtype == np.float64 else np.float32) for name, x in feeds.items()}
    for y, z in zip(expected, outputs(net, feeds).values(), strict=True):
        y = array(y).astype(float)
        assert y.size == z.size and np.abs(z.reshape(y.shape) - y).max() <= tolerance * max(np.abs(y).max(), 1e-30)
    return "passed"


def weighed(model, values):
    """The model with all inputs but the first, or the first ones of operators of several tensors, as initializers."""
    one = onnx.ModelProto()
    one.CopyFrom(model)
    names = [v.name for v in model.graph.input]
    free = names if model.graph.node[0].op_type in SEVERAL else names[:1]
    kept = [v for v in model.graph.input if v.name in free]
    del one.graph.input[:]
    one.graph.input.extend(kept)
    for name, value in zip(names, values):
        if name not in free and not isinstance(value, (list, onnx.TensorProto, type(None))):
            one.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return one, {name: value for name, value in zip(names, values) if name in free}


def test_node_tests():
    count = collections.Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how the package makes its own cases
        cases = load_model_tests(kind="node")
    for case in cases:
        if not {node.op_type for node in case.model.graph.node} <= OPERATORS or not case.data_sets:
            continue
        for inputs, expected in case.data_sets:
            model, feeds = weighed(case.model, inputs)
            try:
                feeds = {name: array(value) for name, value in feeds.items()}
            except (TypeError, AttributeError):  # sequences and optional values, which are refused before they count
                feeds = {}
            try:
                count[tried(model, feeds, expected, max(2e-5, case.rtol))] += 1
            except Exception as error:
                raise AssertionError(f"{case.name}: {error!r}") from error
    print(dict(count))
    assert count["passed"] >= 115 and count["refused"] > 400


@pytest.mark.parametrize("folder, least", [("pytorch-converted", 51), ("pytorch-operator", 6), ("simple", 1)])
def test_files_of_exporters(folder, least):
    count = collections.Counter()
    for name in sorted(os.listdir(os.path.join(DATA, folder))):
        path = os.path.join(DATA, folder, name)
        model = onnx.load(os.path.join(path, "model.onnx"))
        weights = {t.name for t in model.graph.initializer}
        names = [v.name for v in model.graph.input if v.name not in weights]
        stored = os.path.join(path, "test_data_set_0")

        def tensors(kind, count, stored=stored):
            found = (os.path.join(stored, f"{kind}_{i}.pb") for i in range(count))
            return [numpy_helper.to_array(onnx.load_tensor(p)) for p in found]

        try:
            inputs, expected = tensors("input", len(names)), tensors("output", len(model.graph.output))
        except Exception:  # a sequence, which is no tensor
            inputs, expected = [], []
        try:
            count[tried(model, dict(zip(names, inputs)), expected, 1e-5)] += 1
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
    print(folder, dict(count))
    assert count["passed"] >= least


LIGHT = {
    "bvlc_alexnet": pcn.SimpleNN,
    "densenet121": pcn.DagNN,
    "inception_v1": pcn.DagNN,
    "inception_v2": pcn.DagNN,
    "resnet50": pcn.DagNN,
    "shufflenet": pcn.DagNN,
    "squeezenet": pcn.DagNN,
    "vgg19": pcn.SimpleNN,
    "zfnet512": pcn.SimpleNN,
}


def with_random_weights(model, small):
    """The network of a file, whose weights are all one number, with weights at random, and without its last softmax.

    small  leave out what comes after the first fully connected layer, which takes minutes to read and run
    """
    rng = np.random.default_rng(0)
    graph = model.graph
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = {node.output[0]: node for node in graph.node if node.op_type == "ConstantOfShape"}
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    nodes = nodes[:-1] if nodes[-1].op_type == "Softmax" else nodes
    if small:
        nodes = nodes[: next(i for i, n in enumerate(nodes) if n.op_type in ("Reshape", "Gemm"))]
    role = {name: (node.op_type, i) for node in nodes for i, name in enumerate(node.input)}
    weights = {name: value for name, value in known.items() if name in role}
    for name in made.keys() & role.keys():
        shape = known[made[name].input[0]]
        value = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1, shape)
        if role[name] in (("BatchNormalization", 1), ("BatchNormalization", 4)):  # scale and variance
            value = rng.uniform(0.5, 1.5, shape)
        weights[name] = value.astype(np.float32)
    new = onnx.helper.make_graph(
        nodes,
        graph.name,
        [v for v in graph.input if v.name in role and v.name not in weights],
        [onnx.helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return onnx.helper.make_model(new, opset_imports=model.opset_import, ir_version=4)


@pytest.mark.parametrize("name", LIGHT)
def test_networks_of_the_wheel_with_weights_at_random(name):
    pytest.importorskip("onnxruntime")
    from onnx_support import off, run

    model = with_random_weights(
        onnx.load(os.path.join(DATA, "light", f"light_{name}.onnx")), name in ("bvlc_alexnet", "vgg19", "zfnet512")
    )
    (first,) = model.graph.input
    shape = [d.dim_value for d in first.type.tensor_type.shape.dim]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    with pcn.local_precision("high"):
        net = pcn.from_onnx(model)
        assert type(net) is LIGHT[name]
        (z,) = outputs(net, {first.name: x}).values()
    (y,) = run(model, {first.name: x}).values()
    assert y.std() > 0.02 * np.abs(y).max()  # it tells one answer from another
    assert off(z, y) < 1e-5
    assert ours(y).size == z.size
