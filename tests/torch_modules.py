"""What the tests of from_torch share: networks as they are written in PyTorch, and the comparison with them."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet.networks import is_graph

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(5)
    with pcn.local_precision("high"):
        yield


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
