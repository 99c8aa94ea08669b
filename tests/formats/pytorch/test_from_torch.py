"""from_torch: networks give the outputs of the modules that they are made of."""

import runpy

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.networks import is_graph

torch = pytest.importorskip("torch")
modules = pytest.importorskip("pyconvnet.formats.pytorch.modules")
nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def _exact_powers():
    with pcn.local_precision("high"):
        yield


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(5)


def stirred(module):
    """With batch normalizations as after training."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
    return module


def outputs(net, names, tensors):
    arrays = [t.numpy().transpose(2, 3, 1, 0) for t in tensors]
    if not is_graph(net):
        return [pcn.vl_simplenn(net, arrays[0], mode="test")[-1].x]
    net.mode = "test"
    net.eval(dict(zip(names or net.getInputs(), arrays)))
    return [v.value for v in net.vars if v.precious]


def check(module, *sizes, tolerance=1e-5, names=None):
    """The network of a module, which gives its outputs."""
    stirred(module)
    net = pcn.from_torch(module, list(sizes) if len(sizes) > 1 else sizes[0])
    h_w_c = [(*size, 3)[:4] for size in sizes]
    kind = next((p.dtype for p in module.parameters()), torch.float32)
    tensors = [torch.randn(n, c, h, w, dtype=kind) for h, w, c, n in h_w_c]
    with torch.no_grad():
        expected = module.eval()(*tensors)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = outputs(net, names, tensors)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected):
        theirs = theirs.numpy().reshape(*theirs.shape, *[1] * (4 - theirs.ndim)).transpose(2, 3, 1, 0)
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        assert np.abs(ours - theirs).max() <= tolerance * np.abs(theirs).max()
    return net


class Function(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function, **buffers):
        super().__init__()
        self.function = function
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, *inputs):
        return self.function(self, *inputs)


CHAINS = {
    "convolution": nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
    "convolution without bias": nn.Conv2d(4, 6, 3, bias=False),
    "grouped": nn.Conv2d(4, 6, 3, groups=2),
    "depthwise": nn.Conv2d(4, 8, 3, groups=4, padding=1),
    "same": nn.Conv2d(4, 6, 4, padding="same"),
    "padded by a module": nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.Conv2d(4, 6, 3, padding=1)),
    "padded before a rectifier": nn.Sequential(nn.ZeroPad2d((1, 2, 0, 3)), nn.ReLU()),
    "padded and cut": nn.Sequential(nn.ZeroPad2d((1, -2, -1, 3)), nn.Sigmoid()),
    "padded at the end": nn.Sequential(nn.ReLU(), nn.ZeroPad2d(1)),
    "transposed": nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1),
    "transposed unevenly": nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    "maximum": nn.MaxPool2d(3, 2, 1),
    "maximum of whole windows": nn.MaxPool2d(3, 2, ceil_mode=True),
    "maximum with a pad": nn.Sequential(nn.ConstantPad2d((0, 1, 2, 0), float("-inf")), nn.MaxPool2d(3, 2)),
    "average": nn.AvgPool2d(2),
    "average with zeros": nn.AvgPool2d(3, 2, 1),
    "average of the inside": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "average of the inside, padded unevenly": modules.AveragePool((3, 2), (2, 1), (0, 1, 2, 0)),
    "average of whole windows": nn.AvgPool2d(3, 2, ceil_mode=True),
    "batch normalization": nn.BatchNorm2d(4),
    "plain batch normalization": nn.BatchNorm2d(4, affine=False, eps=1e-3),
    "response norm": nn.LocalResponseNorm(3, alpha=0.5, beta=0.6, k=1.5),
    "relu": nn.ReLU(inplace=True),
    "leaky relu": nn.LeakyReLU(0.2),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "elu": nn.ELU(0.5),
    "swish": nn.SiLU(),
    "prelu": nn.PReLU(4, init=-0.3),
    "prelu of one slope": nn.PReLU(),
    "relu6": nn.ReLU6(),
    "bounds": nn.Hardtanh(-0.5, 0.3),
    "one bound": Function(lambda _, x: x.clamp(min=-0.2)),
    "hard sigmoid": nn.Hardsigmoid(),
    "permuted": nn.Sequential(nn.ReLU(), Function(lambda _, x: x.permute(0, 2, 3, 1))),
    "transposed image": nn.Sequential(nn.ReLU(), Function(lambda _, x: x.transpose(-1, 2))),
    "softmax": nn.Softmax(1),
    "dropout": nn.Dropout(0.3),
    "adaptive average": nn.AdaptiveAvgPool2d((3, 2)),
    "adaptive maximum": nn.AdaptiveMaxPool2d(1),
    "adaptive average of the same size": nn.Sequential(nn.AdaptiveAvgPool2d((9, 8)), nn.ReLU()),
    "nearest": nn.Upsample(scale_factor=2),
    "nearest by two factors": nn.Upsample(size=(18, 24)),
    "flattened and linear": nn.Sequential(
        nn.Flatten(), nn.Dropout(), nn.Linear(4 * 9 * 8, 5), nn.ReLU(), nn.Linear(5, 2)
    ),
    "linear with batch normalization": nn.Sequential(nn.Flatten(), nn.Linear(288, 5, bias=False), nn.BatchNorm1d(5)),
    "mean": nn.Sequential(nn.ReLU(), Function(lambda _, x: x.mean((2, 3)))),
    "cut": nn.Sequential(nn.ReLU(), Function(lambda _, x: x[:, :, 1:-2, 3:])),
    "some channels": nn.Sequential(nn.ReLU(), Function(lambda _, x: x[:, 1:3])),
    "mean that keeps dimensions": nn.Sequential(nn.ReLU(), Function(lambda _, x: x.mean((-1, -2), keepdim=True))),
    "flattened and back": nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Unflatten(1, (4, 9, 8)), nn.Sigmoid()),
    "double precision": nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)).double(),
    "weights that are computed": nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_becomes_a_simplenn(name):
    net = check(CHAINS[name], (9, 8, 4), tolerance=1e-12 if name == "double precision" else 1e-5)
    assert type(net) is pcn.SimpleNN


C = torch.linspace(-1, 1, 4).reshape(1, 4, 1, 1)
FULL = torch.linspace(-1, 1, 60).reshape(4, 5, 3)
GRAPHS = {
    "sum": lambda m, x: torch.relu(x) + x,
    "difference": lambda m, x: torch.relu(x) - torch.sigmoid(x),
    "weighted sum": lambda m, x: torch.add(torch.relu(x), x, alpha=-0.5),
    "product": lambda m, x: torch.relu(x) * torch.sigmoid(x),
    "hard swish": lambda m, x: F.hardswish(3 * x),
    "squeeze and excite": lambda m, x: torch.sigmoid(x.mean((2, 3), keepdim=True)) * x,
    "concatenation": lambda m, x: torch.cat([x, torch.relu(x), -x], 1),
    "concatenation along the height": lambda m, x: torch.cat([x, torch.relu(x)], 2),
    "concatenation along the width": lambda m, x: torch.cat([x, torch.relu(x)], -1),
    "concatenation of flat ones": lambda m, x: torch.cat([x.flatten(1), torch.relu(x).flatten(1)], 1).softmax(0),
    "numbers": lambda m, x: 3 - (x * 2 + 1) / 3 - 0.5,
    "a constant for each channel": lambda m, x: x * m.c + m.c,
    "a constant for each pixel": lambda m, x: (x - m.full) / (m.full * m.full + 1),
    "constants of what is flat": lambda m, x: (x.flatten(1) * m.full.flatten() + m.full[0, 0, 0]).reshape(x.shape),
    "computed constants": lambda m, x: x * (m.c.exp().sum() + 1),
    "two outputs": lambda m, x: (torch.relu(x), torch.tanh(x)),
    "an output that is read again": lambda m, x: (y := torch.relu(x), torch.tanh(y)),
    "response norm of what is read twice": lambda m, x: F.local_response_norm(x, 5, 0.5) + x,
}


@pytest.mark.parametrize("name", [n for n in GRAPHS if "flat ones" not in n])
def test_what_is_no_chain_becomes_a_graph(name):
    net = check(Function(GRAPHS[name], c=C, full=FULL), (5, 3, 4))
    assert is_graph(net)


def test_several_inputs_come_in_a_list_or_by_name():
    module = Function(lambda m, x, y: torch.cat([x, y], 1))
    check(module, (5, 3, 4), (5, 3, 2))

    class Named(nn.Module):
        def forward(self, image, mask):
            return image * mask

    net = check(Named(), (5, 3, 4), (5, 3, 1), names=["image", "mask"])
    other = pcn.from_torch(Named(), {"mask": (5, 3, 1), "image": (5, 3, 4)})
    assert set(net.getInputs()) == set(other.getInputs()) == {"image", "mask"}


class Block(nn.Module):
    """Of a residual network."""

    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """As torchvision's resnet18, thinner."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16, 1))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(16, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x))))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Inception(nn.Module):
    """A module of GoogLeNet, with its pooling by ceil_mode."""

    def __init__(self):
        super().__init__()
        self.branch1 = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4, eps=0.001), nn.ReLU())
        self.branch2 = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 3, padding=1), nn.ReLU())
        self.branch3 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), nn.Conv2d(3, 2, 1))
        self.pool, self.dropout, self.fc = nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.2), nn.Linear(11, 7)

    def forward(self, x):
        x = torch.cat([self.branch1(x), self.branch2(x), self.branch3(x)], 1)
        x = F.adaptive_avg_pool2d(self.pool(x), 1)
        return F.softmax(self.fc(self.dropout(torch.flatten(x, 1))), dim=1)


class VGG(nn.Module):
    """As torchvision's vgg and alexnet, smaller."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True), nn.LocalResponseNorm(5), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(True), nn.MaxPool2d(3, 2)),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(nn.Linear(12 * 49, 20), nn.ReLU(True), nn.Dropout(), nn.Linear(20, 5))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def test_a_vgg_is_a_simplenn_with_the_names_of_its_modules(tmp_path):
    module = VGG()
    net = check(module, (30, 30, 3))
    assert [layer.name for layer in net.layers] == [
        *(f"features.{i}" for i in range(8)),
        *(f"classifier.{i}" for i in range(4)),
    ]
    weight = module.state_dict()["features.0.weight"].numpy()
    assert np.array_equal(net.layers[0].weights[0], weight.transpose(2, 3, 1, 0))
    assert tuple(net.meta.inputSize) == (30, 30, 3) and net.layers[10].rate == 0.5
    pcn.save(tmp_path / "vgg.mat", net)
    x = np.random.default_rng(0).standard_normal((30, 30, 3, 2)).astype(np.float32)
    assert np.array_equal(pcn.predict(pcn.load(tmp_path / "vgg.mat"), x), pcn.predict(net, x))


def test_a_residual_network_is_a_graph_with_the_names_of_its_state_dict():
    module = ResNet()
    net = check(module, (64, 64, 3))
    names = {p.name for p in net.params}
    state = {k for k in module.state_dict() if "running" not in k and "num_batches" not in k}
    assert {n for n in names if not n.endswith(".moments")} == state
    moments = net.params["layer2.0.bn1.moments"]
    variance = module.layer2[0].bn1.running_var.numpy()
    assert np.allclose(moments.value[:, 1], np.sqrt(variance + 1e-5)) and moments.learningRate == pytest.approx(0.1)
    assert {"layer1.0.relu", "layer1.0.relu_2", "layer1.0.add"} <= {e.name for e in net.layers}


def test_an_inception_module_is_a_graph():
    net = check(Inception(), (14, 13, 3))
    assert {"branch1.0", "branch3.0", "pool", "dropout", "cat"} <= {e.name for e in net.layers}


def test_there_and_back_gives_the_same_outputs():
    for module, size in ((VGG(), (30, 30, 3)), (ResNet(), (64, 64, 3)), (Inception(), (14, 13, 3))):
        again = pcn.to_torch(pcn.from_torch(stirred(module).eval(), size))
        x = torch.randn(2, 3, *size[:2])
        assert torch.allclose(again(x).flatten(1), module(x), rtol=1e-4, atol=1e-5)


def test_a_network_comes_back_from_to_torch_layer_by_layer():
    net = pcn.models.build("lenet-cifar", seed=0, deployed=True)
    again = pcn.from_torch(pcn.to_torch(net), (32, 32, 3))
    assert [type(e) for e in again.layers] == [type(e) for e in net.layers]
    x = np.random.default_rng(0).standard_normal((32, 32, 3, 2)).astype(np.float32)
    assert np.array_equal(pcn.predict(again, x), pcn.predict(net, x))


def test_the_module_stays_as_it_is():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout().eval(), nn.BatchNorm2d(4))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    net = pcn.from_torch(module, (8, 8, 3))
    assert [m.training for m in module] == [True, False, True]
    net.layers[0].weights[0][:] = 0
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_weights_that_two_layers_share_are_one_parameter():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(torch.relu(self.conv(x)))

    net = check(Twice(), (6, 6, 3))
    assert [e.name for e in net.layers] == ["conv", "relu", "conv_2"] and len(net.params) == 2


def test_all_operations_without_a_counterpart_are_named_in_one_error():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.GELU(), nn.AdaptiveAvgPool2d(5), nn.Conv2d(3, 3, 3)

        def forward(self, x):
            return torch.cumsum(self.c(self.b(self.a(x))), 1).permute(1, 0, 2, 3)

    with pytest.raises(ValueError) as refused:
        pcn.from_torch(Odd(), (8, 8, 3))
    said = str(refused.value)
    assert said.startswith("from_torch: these operations have no counterpart: gelu (aten.gelu.default in a); ")
    for part in ("in b): 8 x 8 pixels are not a multiple of 5 x 5", "cumsum (aten.cumsum.default)", "permute"):
        assert part in said
    assert "conv" not in said


def test_operations_after_those_without_a_counterpart_are_not_named_for_that():
    class Odd(nn.Module):
        def forward(self, x):
            a, b = torch.split(x, 2, 1)
            return torch.relu(a) * torch.sigmoid(b.sum(1)).unsqueeze(1)

    with pytest.raises(ValueError) as refused:
        pcn.from_torch(Odd(), (8, 8, 4))
    said = str(refused.value)
    assert "split" in said and "sum" in said and not any(n in said for n in ("relu", "sigmoid", "mul", "getitem"))


def response_norm_of(m, x):
    squares = F.pad((x * x).unsqueeze(1), (0, 0, 0, 0, 1, 1))
    return x / (F.avg_pool3d(squares, (3, 1, 1), stride=1).squeeze(1) * 0.5 + m.k) ** 0.75


REFUSED = {
    "even response norm": (nn.LocalResponseNorm(4), "div"),
    "response norm of a tensor": (Function(response_norm_of, k=torch.ones(4, 1, 1)), "avg_pool3d"),
    "average of the padding": (modules.AveragePool((2, 2), (1, 1), (0, 2, 0, 0)), "ones_like"),
    "softmax of rows": (nn.Softmax(2), "it is not of the channels"),
    "linear of columns": (nn.Linear(8, 2), "last dimension of an image"),
    "dilated maximum": (nn.MaxPool2d(2, dilation=2), "its dilation is"),
    "reflection": (nn.ReflectionPad2d(1), "pad"),
    "ones around": (nn.Sequential(nn.ConstantPad2d(1, 1.0), nn.ReLU()), "pads with 1"),
    "shuffled": (nn.ChannelShuffle(2), "channel_shuffle|view|permute"),
    "broadcast sum": (Function(lambda m, x: x + x.mean((2, 3), keepdim=True)), "must be equal"),
    "broadcast constant": (nn.Sequential(nn.AdaptiveAvgPool2d(1), Function(lambda m, x: x + FULL)), "its constant is"),
    "rounded quotient": (Function(lambda m, x: torch.div(x, 2, rounding_mode="floor")), "div"),
    "quotient": (Function(lambda m, x: torch.relu(x) / (x * x + 1)), "it is by what depends on the input"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_layer_can_express_is_refused_with_the_reason(name):
    module, said = REFUSED[name]
    with pytest.raises(ValueError, match=f"from_torch: these operations have no counterpart: .*({said})"):
        pcn.from_torch(module, (8, 8, 4))


def test_what_is_given_wrongly_is_refused():
    with pytest.raises(TypeError, match=r"from_torch: module must be a torch\.nn\.Module, got SimpleNN"):
        pcn.from_torch(pcn.SimpleNN(layers=[]), (8, 8, 3))
    for size in ((8, 8), 8, (8, 8, 0), [(8, 8)]):
        with pytest.raises(ValueError, match="from_torch: inputSize must be"):
            pcn.from_torch(nn.ReLU(), size)
    with pytest.raises(ValueError, match=r"from_torch: torch\.export cannot record the module: "):
        pcn.from_torch(Function(lambda m, x: x if x.sum() > 0 else -x), (8, 8, 3))
    with pytest.raises(ValueError, match="an output: it is an input"):
        pcn.from_torch(nn.Identity(), (8, 8, 3))


VISION = ["alexnet", "vgg11_bn", "resnet18", "googlenet", "squeezenet1_1", "densenet121"]
VISION += ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"]


@pytest.mark.parametrize("name", VISION)
def test_torchvisions_networks(name):
    models = pytest.importorskip("torchvision").models
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    check(getattr(models, name)(weights=None, **options), (224, 224, 3, 1))


@pytest.mark.parametrize("written", [False, True])
def test_trained_batch_normalization_of_to_torch_comes_back_as_it_was(written, tmp_path):
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((4, 1)), rng.standard_normal((4, 1)), rng.random((4, 2)) + 0.5]
    bnorm = pcn.Struct(type="bnorm", name="bn", weights=[w.astype(np.float32) for w in weights], epsilon=1e-3)
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[bnorm, pcn.Struct(type="relu", name="r")]))
    if written:
        pytest.importorskip("safetensors")
        pcn.save(tmp_path / "net.py", net)
        module = runpy.run_path(str(tmp_path / "net.py"))["load"]()
    else:
        module = pcn.to_torch(net).eval()
    back = pcn.from_torch(module, (5, 5, 4))
    assert [layer.type for layer in back.layers] == ["bnorm", "relu"]
    assert back.layers[0].epsilon == 1e-3
    for given, got in zip(bnorm.weights, back.layers[0].weights):
        assert np.array_equal(given, got)
    x = rng.standard_normal((5, 5, 4, 2)).astype(np.float32)
    assert np.array_equal(pcn.predict(back, x), pcn.predict(net, x))
