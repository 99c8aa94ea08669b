"""What torch.onnx writes comes in: modules of PyTorch, by both of its exporters."""

import io
import warnings

import numpy as np
import pytest
from onnx_support import off, outputs

import pyconvnet as pcn

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
nn = torch.nn


class Block(nn.Module):
    """A block of a residual network with squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())

    def forward(self, x):
        y = self.body(x)
        return torch.relu(x + y * self.gate(y))


def shuffled(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Shuffle(nn.Module):
    def forward(self, x):
        return shuffled(x)


class View(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)


def head():
    return nn.Sequential(
        nn.Conv2d(3, 8, (3, 2), stride=(2, 1), padding=(1, 0)),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.1),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
    )


MODULES = {
    "classifier": lambda: nn.Sequential(head(), View(), nn.Dropout(), nn.Linear(8 * 5 * 9, 10), nn.Softmax(1)),
    "flatten": lambda: nn.Sequential(head(), nn.Flatten(), nn.Linear(8 * 5 * 9, 10), nn.Tanh(), nn.Linear(10, 3)),
    "residual block": lambda: nn.Sequential(head(), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    "activations": lambda: nn.Sequential(head(), nn.PReLU(8), nn.ELU(), nn.Hardswish(), nn.SiLU(), nn.Sigmoid()),
    "decoder": lambda: nn.Sequential(
        head(),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.UpsamplingNearest2d(scale_factor=2),
        nn.ZeroPad2d((1, 2, 0, 3)),
        nn.Conv2d(4, 8, 3),
        nn.PixelShuffle(2),
    ),
    "shuffle": lambda: nn.Sequential(head(), Shuffle(), nn.Conv2d(8, 4, 1, groups=2), nn.AvgPool2d(2)),
}


# the second exporter takes ten seconds to start
CASES = [(name, False) for name in MODULES] + [(name, True) for name in ("classifier", "residual block", "decoder")]


@pytest.mark.parametrize("name, dynamo", CASES)
def test_a_module_gives_what_it_gives_in_torch(name, dynamo):
    torch.manual_seed(0)
    module = MODULES[name]()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            part.weight.data.uniform_(0.5, 2)
    module.eval()
    x = torch.randn(3, 3, 17, 17)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(
                module, (x,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("n", min=1)},), verbose=False
            )
            model = program.model_proto
        else:
            torch.onnx.export(module, (x,), file, dynamo=False, dynamic_axes={"x": {0: "n"}}, input_names=["x"])
            model = onnx.load_model_from_string(file.getvalue())
    with pcn.local_precision("high"):
        net = pcn.from_onnx(model)
        (z,) = outputs(net, {model.graph.input[0].name: x.numpy()}).values()
    y = module(x).detach().numpy()
    assert off(z, y) < 1e-5
    assert np.isfinite(z).all()
