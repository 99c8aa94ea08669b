"""from_torch: operations give the outputs of the modules that they are recorded from."""

import pytest
import torch_modules
from torch_modules import Function, check, repeatable  # noqa: F401

import pyconvnet as pcn
from pyconvnet.formats.pytorch import modules
from pyconvnet.networks import is_graph

torch, nn, F = torch_modules.torch, torch_modules.nn, torch_modules.F

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
