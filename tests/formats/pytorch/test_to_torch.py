"""to_torch: modules give the values and derivatives of the network, in both modes."""

import io

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet import dagnn
from pyconvnet.layers import registry
from pyconvnet.records import Struct

torch = pytest.importorskip("torch")
nn = torch.nn

SHARED = ROOT.parent / "shared"
random = np.random.default_rng(11)


def normal(*shape):
    return random.standard_normal(shape)


def distinct(*shape):
    """Every maximum has one place."""
    return random.permutation(int(np.prod(shape))).reshape(shape) / 10 - 5


def turned(x):
    x = np.asarray(x)
    return torch.from_numpy(np.array(x.reshape(x.shape + (1,) * (4 - x.ndim)).transpose(3, 2, 0, 1), order="C"))


def back(t):
    return t.detach().numpy().transpose(2, 3, 1, 0)


def close(ours, theirs, tolerance=1e-9):
    assert np.shape(ours) == np.shape(theirs)
    assert np.abs(ours - theirs).max() <= tolerance * max(np.abs(ours).max(), 1e-30)


@pytest.fixture(autouse=True)
def _exact_powers():
    with pcn.local_precision("high"):
        yield


REGIONS = np.array([[1.0, 1, 1, 5, 6], [1, 2, 1, 6, 4], [2, 1, 2, 4, 6], [2, 6, 6, 9, 9], [1, 3, 3, 3, 3]]).T
REGIONS = REGIONS.reshape(1, 1, 5, 5)
PAIR = [normal(3, 1), normal(3, 1)]
GRID = random.uniform(-1.4, 1.4, (2, 3, 4, 4))

# block, its properties, inputs, how many of them have a derivative, first parameters (left out: those of initParams)
SAMPLES = [
    ("Conv", {"size": [3, 2, 4, 6], "stride": [2, 1], "pad": [1, 0, 2, 1], "dilate": [1, 2]}, [normal(9, 8, 4, 2)]),
    ("Conv", {"size": [3, 3, 4, 6], "pad": 1}, [normal(5, 6, 4, 2)]),
    ("Conv", {"size": [3, 3, 2, 6], "pad": [1, 1, 2, 2]}, [normal(5, 6, 4, 2)]),
    ("Conv", {"size": [3, 3, 1, 4], "hasBias": False}, [normal(5, 6, 4, 2)]),
    (
        "ConvTranspose",
        {"size": [3, 4, 2, 4], "upsample": [2, 3], "crop": [1, 0, 1, 2], "numGroups": 2},
        [normal(3, 4, 4, 2)],
    ),
    ("ConvTranspose", {"size": [4, 4, 2, 3], "upsample": 2, "crop": 1}, [normal(3, 4, 3, 2)]),
    ("ConvTranspose", {"size": [2, 2, 2, 3], "hasBias": False}, [normal(3, 4, 3, 2)]),
    ("Pooling", {"poolSize": [3, 2], "stride": [2, 1], "pad": [1, 1, 0, 1]}, [distinct(7, 6, 2, 2)]),
    ("Pooling", {"poolSize": 3, "stride": 2, "pad": 1}, [distinct(7, 6, 2, 2)]),
    ("Pooling", {"poolSize": 3, "stride": 2, "pad": 2}, [distinct(7, 6, 2, 2)]),
    ("Pooling", {"poolSize": [2, 3], "stride": 2, "method": "avg"}, [normal(7, 6, 2, 2)]),
    ("Pooling", {"poolSize": 3, "stride": 2, "method": "avg", "pad": 1}, [normal(7, 6, 2, 2)]),
    ("Pooling", {"poolSize": 3, "stride": 2, "method": "avg", "pad": [0, 2, 1, 0]}, [normal(7, 6, 2, 2)]),
    (
        "BatchNorm",
        {"numChannels": 3, "epsilon": 1e-3},
        [normal(3, 4, 3, 5)],
        1,
        [normal(3, 1), normal(3, 1), 0.5 + random.random((3, 2))],
    ),
    ("BatchNorm", {"numChannels": 3}, [normal(3, 4, 3, 5)], 1, [normal(3, 1), normal(3, 1), np.zeros((3, 2))]),
    ("BatchNorm", {"numChannels": 3}, [normal(3, 4, 3, 5)], 1, [normal(3, 1), normal(3, 1)]),
    ("ReLU", {}, [normal(3, 4, 2, 2)]),
    ("ReLU", {"leak": -0.5, "useShortCircuit": False}, [normal(3, 4, 2, 2)]),
    ("ReLU", {"opts": ("leak", 0.1)}, [normal(3, 4, 2, 2)]),
    ("Sigmoid", {}, [normal(3, 4, 2, 2)]),
    ("Tanh", {}, [normal(3, 4, 2, 2)]),
    ("SoftPlus", {}, [normal(3, 4, 2, 2)]),
    ("ELU", {"alpha": 0.5}, [normal(3, 4, 2, 2)]),
    ("Swish", {"beta": 1.5}, [normal(3, 4, 2, 2)]),
    ("Swish", {}, [normal(3, 4, 2, 2)]),
    ("PReLU", {"size": (1, 1, 2)}, [normal(3, 4, 2, 2)]),
    ("PReLU", {"size": (3, 1, 2)}, [normal(3, 4, 2, 2)]),
    ("Clip", {"min": -0.5, "max": 0.7}, [normal(3, 4, 2, 2)]),
    ("Clip", {"min": 0, "max": 6}, [5 * normal(3, 4, 2, 2)]),
    ("Clip", {"max": 0.5}, [normal(3, 4, 2, 2)]),
    ("HardSigmoid", {"alpha": 0.4}, [3 * normal(3, 4, 2, 2)]),
    ("Permute", {"order": (3, 1, 2)}, [normal(3, 4, 5, 2)]),
    ("Permute", {"order": (2, 1, 3)}, [normal(3, 4, 5, 2)]),
    ("Reshape", {"size": (6, 2, 5)}, [normal(3, 4, 5, 2)]),
    ("SubP", {"scale": 2}, [normal(3, 4, 8, 2)]),
    ("SubP", {"scale": 1 / 3}, [normal(6, 9, 2, 2)]),
    ("NoiseMap", {"sigma": (0.1, 0.2)}, [normal(3, 4, 2, 2)]),
    ("NoiseMap", {}, [normal(3, 4, 2, 2), normal(1, 1, 3, 2)]),
    ("SoftMax", {}, [normal(3, 4, 5, 2)]),
    ("DropOut", {"rate": 0}, [normal(3, 4, 5, 2)]),
    ("LRN", {"param": (5, 1.5, 0.5, 0.75)}, [normal(3, 4, 8, 2)]),
    ("LRN", {"param": (4, 1, 0.5, 0.75)}, [normal(3, 4, 8, 2)]),
    ("NormOffset", {"param": (0.5, 0.25)}, [normal(3, 4, 2, 2)]),
    ("SpatialNorm", {"param": (3, 2, 0.5, 0.75)}, [normal(4, 5, 2, 2)]),
    ("Concat", {}, [normal(3, 4, 2, 2), normal(3, 4, 1, 2)]),
    ("Concat", {"dim": 1}, [normal(3, 4, 2, 2), normal(1, 4, 2, 2)]),
    ("Concat", {"dim": 2}, [normal(3, 4, 2, 2), normal(3, 1, 2, 2)]),
    ("Concat", {"dim": 4}, [normal(3, 4, 2, 2), normal(3, 4, 2, 1)]),
    ("Sum", {}, [normal(3, 4, 2, 2), normal(3, 4, 2, 2), normal(3, 4, 2, 2)]),
    ("Scale", {"size": [1, 1, 2]}, [normal(3, 4, 2, 2)]),
    ("Scale", {"size": [3, 1, 2], "hasBias": False}, [normal(3, 4, 2, 2)]),
    ("Scale", {"hasBias": False}, [normal(3, 4, 2, 2), normal(1, 1, 2, 2)], 2, []),
    ("Scale", {}, [normal(3, 4, 2, 2), normal(1, 1, 2, 2)], 2, [normal(1, 1, 2)]),
    ("Scale", {}, [normal(3, 4, 2, 2), normal(1, 1, 2, 2), normal(1, 4, 2, 1)], 3, []),
    ("Crop", {"crop": (1, 2)}, [normal(6, 7, 2, 2), normal(4, 3, 1, 2)], 1),
    ("Crop", {"crop": (3, 3)}, [normal(6, 7, 2, 2), normal(5, 6, 1, 2)], 1),
    ("AffineGridGenerator", {"Ho": 3, "Wo": 4}, [normal(1, 1, 6, 2)]),
    ("AffineGridGenerator", {"Ho": 1, "Wo": 1}, [normal(1, 1, 6, 2)]),
    ("UniformScalingGridGenerator", {"Ho": 4, "Wo": 3}, [normal(1, 1, 3, 2)]),
    ("BilinearSampler", {}, [normal(5, 6, 2, 4), GRID]),
    ("BilinearSampler", {}, [normal(5, 6, 2, 2), GRID]),
    ("ROIPooling", {"subdivisions": (2, 3)}, [distinct(6, 7, 2, 2), REGIONS], 1),
    ("ROIPooling", {"subdivisions": 3, "transform": 0.6}, [distinct(6, 7, 2, 2), REGIONS], 1),
    ("ROIPooling", {"subdivisions": (2, 3), "method": "avg", "flatten": True}, [normal(6, 7, 2, 2), REGIONS], 1),
]


@pytest.mark.parametrize("mode", ["test", "normal"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s[0])
def test_a_module_has_the_values_and_derivatives_of_its_layer(sample, mode):
    name, properties, inputs, differentiable, params = (*sample, None, None)[:5] if len(sample) < 5 else sample
    differentiable = len(inputs) if differentiable is None else differentiable
    block = getattr(dagnn, name)(**properties)
    if params is None:
        params = [p + normal(*p.shape) for p in block.initParams()]
    net = dagnn.DagNN()
    names, keys = [f"in{i}" for i in range(len(inputs))], [f"p{i}" for i in range(len(params))]
    net.addLayer("the layer", block, names, "out", keys)
    for key, value in zip(keys, params):
        net.params[key].value = value
    module = pcn.to_torch(net, {n: x.shape for n, x in zip(names, inputs)}).double()

    net.mode, net.conserveMemory = mode, False
    net.eval(dict(zip(names, inputs)))
    y = net.vars["out"].value
    dzdy = normal(*y.shape)
    net.eval(dict(zip(names, inputs)), {"out": dzdy})
    module.train(mode == "normal")
    tensors = [turned(x).requires_grad_(i < differentiable) for i, x in enumerate(inputs)]
    t = module(*tensors)
    t.backward(turned(dzdy))

    close(y, back(t))
    if mode == "test" and name == "BatchNorm":
        return  # MatConvNet differentiates by the batch's moments in test mode too
    for i in range(differentiable):
        close(net.vars[names[i]].der, back(tensors[i].grad))
    for parameter, key in zip(module.parameters(), keys):
        ours = net.params[key].der
        close(ours.ravel() if parameter.ndim == 1 else turned(ours).numpy(), parameter.grad.numpy())
    assert len(list(module.parameters())) == len(params[:2])


def test_every_layer_but_losses_has_a_module():
    from pyconvnet.formats.pytorch.layers import CONVERT

    own = [c for c in registry.registered() if c.__module__.startswith("pyconvnet.layers.")]
    others = {c.__name__ for c in own if not issubclass(c, pcn.dagnn.Loss)} - {c.__name__ for c in CONVERT}
    assert others == {"Custom"}
    assert {s[0] for s in SAMPLES} == {c.__name__ for c in CONVERT}


def test_training_mode_moves_the_moments_as_cnn_train_does():
    net = pcn.SimpleNN(layers=[Struct(type="bnorm", name="bn", weights=[normal(3), normal(3), np.ones((3, 2))])])
    net = pcn.vl_simplenn_tidy(net)
    x = normal(4, 5, 3, 6)
    module = pcn.to_torch(net)
    module.train()(turned(x))
    moments = pcn.vl_nnbnorm(x, *net.layers[0].weights[:2], epsilon=1e-5)[1]
    close(0.9 + 0.1 * moments[:, 0], module.bn.running_mean.numpy())
    close(0.9 + 0.1 * moments[:, 1], module.bn.running_sigma.numpy())


def test_dropout_drops_its_share_and_keeps_the_mean():
    net = pcn.SimpleNN(layers=[Struct(type="dropout", name="drop", rate=0.25, weights=[])])
    module = pcn.to_torch(pcn.vl_simplenn_tidy(net))
    x = torch.ones(1, 1, 200, 200)
    assert torch.equal(module(x), x)
    y = module.train()(x)
    assert y.unique().tolist() == pytest.approx([0, 1 / 0.75]) and abs(y.mean() - 1) < 0.02


def test_conv_without_filters_takes_every_pixel_of_its_stride_and_adds_biases():
    weights = [np.zeros((0, 0)), normal(1, 3)]
    net = pcn.SimpleNN(layers=[Struct(type="conv", name="sub", weights=weights, stride=[2, 3], pad=[1, 0, 0, 2])])
    net = pcn.vl_simplenn_tidy(net)
    x = normal(6, 7, 3, 2)
    close(pcn.predict(net, x), back(pcn.to_torch(net)(turned(x))))


def lenet():
    from pyconvnet import models

    return models.build("lenet", batchNormalization=True)


def test_a_chain_is_a_sequential_with_the_layers_names_and_a_plain_state_dict():
    net = lenet()
    module = pcn.to_torch(net)
    assert type(module) is nn.Sequential
    assert [n for n, _ in module.named_children()][:3] == [layer.name for layer in net.layers[:3]]
    first = net.layers[0]
    close(turned(first.weights[0]).numpy(), module.state_dict()[f"{first.name}.weight"].numpy())
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True).keys() == module.state_dict().keys()


def test_a_module_has_its_own_parameters():
    net = lenet()
    before = net.layers[0].weights[0].copy()
    with torch.no_grad():
        next(pcn.to_torch(net).parameters()).zero_()
    assert np.array_equal(net.layers[0].weights[0], before)


def test_a_softmaxloss_becomes_a_softmax_and_training_takes_it_away():
    net = lenet()
    module = pcn.to_torch(net)
    assert isinstance(module.prediction, nn.Softmax)
    module.prediction = nn.Identity()
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    x, labels = torch.randn(8, 1, 28, 28), torch.arange(8) % 3
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(module.train()(x).flatten(1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


def test_steps_of_training_in_torch_are_those_of_cnn_train():
    """Three batches of LeNet with batch normalization: weights and moments agree after each."""
    net = lenet()
    for layer in net.layers:
        layer.weights = [w.astype(float) for w in layer.weights]
        layer.learningRate = [1.0, 1.0, 0.1][: len(layer.weights)]
    module = pcn.to_torch(net)
    module.prediction = nn.Identity()
    x, labels = normal(28, 28, 1, 30), np.arange(30.0) % 10 + 1
    imdb = {"images": {"data": x, "labels": labels, "set": np.ones(30)}}

    def batch(imdb, at):
        return imdb["images"]["data"][:, :, :, at], imdb["images"]["labels"][at]

    options = dict(batchSize=10, numEpochs=1, learningRate=0.01, momentum=0.9, weightDecay=0, shuffle=False)
    net, _ = pcn.cnn_train(net, imdb, batch, plotStatistics=False, expDir=None, **options)
    optimizer = torch.optim.SGD(module.parameters(), 0.01, momentum=0.9)
    module.train()
    for at in range(0, 30, 10):
        scores = module(turned(x[:, :, :, at : at + 10])).flatten(1)
        loss = nn.functional.cross_entropy(scores, torch.from_numpy(labels[at : at + 10] - 1).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = pcn.to_torch(net).state_dict()
    for key, value in module.state_dict().items():
        # biases in front of a batch normalization stay 0 but for rounding
        assert np.allclose(trained[key].numpy(), value.numpy(), rtol=1e-7, atol=1e-12), key


def test_a_module_can_be_exported():
    module = pcn.to_torch(lenet())
    x = torch.randn(2, 1, 28, 28)
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: batch},))
    x = torch.randn(5, 1, 28, 28)
    assert torch.allclose(exported.module()(x), module(x), atol=1e-6)


def graph(**params):
    net = dagnn.DagNN()
    net.addLayer("a.conv", dagnn.Conv(size=[3, 3, 2, 4], pad=1), "left in", "x", ["f", "b"])
    net.addLayer("b/conv", dagnn.Conv(size=[3, 3, 2, 4], pad=1), "right", "y", ["f", "b"])
    net.addLayer("class", dagnn.Sum(), ["x", "y"], "self")
    net.addLayer("1x1", dagnn.Conv(size=[1, 1, 4, 3]), "self", "scores", ["f2", "b2"])
    net.addLayer("loss", dagnn.Loss(), ["scores", "label"], "objective")
    net.addLayer("forward", dagnn.ReLU(), "self", "side")
    net.initParams()
    return net


def test_a_graph_takes_its_inputs_in_order_or_by_name_and_returns_its_outputs_in_a_tuple():
    net = graph()
    module = pcn.to_torch(net)
    names = [n for n, _ in module.named_children()]
    assert names == ["a_conv", "b_conv", "class_2", "layer_1x1", "forward_2", "prediction"]
    assert module.inputs == ["left_in", "right"] and module.outputs == ["prob", "side"]
    left, right = normal(5, 5, 2, 1).astype(np.float32), normal(5, 5, 2, 1).astype(np.float32)
    prob, side = module(turned(left), right=turned(right))
    net.mode, net.conserveMemory = "test", False
    net.eval({"left in": left, "right": right})
    close(net.vars["side"].value, back(side), 1e-5)
    close(pcn.vl_nnsoftmax(net.vars["scores"].value), back(prob), 1e-5)
    with pytest.raises(TypeError, match="must have the inputs left_in, right"):
        module(turned(left))


def test_layers_that_share_parameters_share_them_in_torch():
    module = pcn.to_torch(graph())
    assert module.a_conv.weight is module.b_conv.weight and len(list(module.parameters())) == 4


def test_all_that_has_no_counterpart_is_named_in_one_error():
    layers = [Struct(type="relu", name="r"), Struct(type="custom", name="mine"), Struct(type="zip", name="other")]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[*layers, Struct(type="relu", name="s")]))
    with pytest.raises(ValueError, match=r"to_torch: these .* 'mine': there is no module for Custom; 'other': .* zip$"):
        pcn.to_torch(net)


def test_names_that_torch_or_python_have_already_are_changed():
    names = ["type", "import", "__class__", "a b\n", "", "weight", "x" * 300, "5", "a_b_", "Ä"]
    net = pcn.SimpleNN(layers=[Struct(type="relu", name=name, weights=[]) for name in names])
    found = [n for n, _ in pcn.to_torch(net).named_children()]
    assert len(set(found)) == len(names) and all(n.isidentifier() and not hasattr(nn.Sequential, n) for n in found)


REAL = ["dncnn-sigma25", "dncnn-sigma25-bnorm", "dncnn-dagnn", "zoo/scnn-vgg-style", "zoo/cifar10-lenet", "zoo/dcfnet"]


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="needs ../shared/models")
@pytest.mark.parametrize("name", REAL)
def test_real_networks_give_the_same_output(name):
    net = pcn.load(SHARED / "models" / f"{name}.mat")
    first = net.params[0].value if hasattr(net, "params") else net.layers[0].weights[0]
    size = (224, 224) if "vgg" in name else (32, 32)
    x = random.random((*size, 1 if "dncnn" in name else 3, 2)).astype(first.dtype)
    with torch.no_grad():
        close(pcn.predict(net, x), back(pcn.to_torch(net)(turned(x))), 1e-5)


@pytest.mark.parametrize("name", ["fcn-skip", "inception", "resnet-block", "roi-two-losses", "shared-weights", "stn"])
def test_reference_graphs_give_matconvnets_values(name):
    from scipy.io import loadmat

    net = pcn.load(ROOT / "matlab_fixtures" / "dags" / f"{name}.mat")
    module = pcn.to_torch(net)
    runs = loadmat(ROOT / "matlab_fixtures" / "dags" / f"{name}.ref.mat", simplify_cells=False)["runs"]
    net.mode, net.conserveMemory = "test", False
    given = runs.ravel()[0][0, 0]["inputs"].ravel()
    inputs = {str(n[0]): v for n, v in zip(given[::2], given[1::2])}
    net.eval(inputs)
    names = module.inputs if hasattr(module, "inputs") else net.getInputs()[:1]
    found = module(*[turned(inputs[n]).float() for n in names])
    found = found if isinstance(found, tuple) else (found,)
    for output, value in zip(module.outputs, found):
        if output in net.vars:
            close(net.vars[output].value, back(value), 1e-5)


def test_building_a_module_draws_no_random_numbers_and_leaves_nothing_without_values():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    module = pcn.to_torch(graph())
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(t.is_meta for t in module.state_dict().values())


def test_groups_of_a_first_convolution_follow_from_inputSize_or_meta():
    layers = [Struct(type="conv", name="c", weights=[normal(3, 3, 1, 4), normal(4)])]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    assert (pcn.to_torch(net).c.in_channels, pcn.to_torch(net, (8, 8, 2)).c.groups) == (1, 2)
    net.meta.normalization = Struct(imageSize=np.array([[8.0, 8, 4]]))
    module, x = pcn.to_torch(net), normal(8, 8, 4, 1)
    assert module.c.groups == 4
    close(pcn.predict(net, x), back(module(turned(x))))
    with pytest.raises(ValueError, match=r"'c': its 4 filters of depth 1 do not fit the 3 channels .*inputSize= says"):
        pcn.to_torch(net, (8, 8, 3))
    with pytest.raises(ValueError, match="to_torch: inputSize must be"):
        pcn.to_torch(net, (8, 8))
