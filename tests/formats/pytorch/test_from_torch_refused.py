"""from_torch: what no layer can express is refused, with all reasons at once."""

import pytest
import torch_modules
from torch_modules import Function, repeatable  # noqa: F401

import pyconvnet as pcn
from pyconvnet.formats.pytorch import modules

torch, nn, F = torch_modules.torch, torch_modules.nn, torch_modules.F
FULL = torch.ones(4, 5, 3)


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
    "broadcast constant": (
        nn.Sequential(nn.AdaptiveAvgPool2d(1), Function(lambda m, x: x + torch.ones(4, 5, 1))),
        "its constant is",
    ),
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
