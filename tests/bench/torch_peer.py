"""The benchmarks in PyTorch: eager, channels last, compiled."""

from __future__ import annotations

import networks
import numpy as np


def prepare(variant, mode, layers, size, batch):
    """A function to time: one run; variant "eager", "channels_last" or "compiled"."""
    import torch

    torch.set_num_threads(_cores())
    net = _network(torch, layers, mode)
    h, w, c = size
    x = torch.randn(batch, c, h, w, dtype=getattr(torch, networks.precision(layers).name))
    if variant != "eager":
        x = x.contiguous(memory_format=torch.channels_last)
        net = net.to(memory_format=torch.channels_last)
    if mode == "forward":
        net.eval()
        with torch.no_grad():
            if variant == "compiled":
                import torch._inductor.config

                torch._inductor.config.freezing = True
                net = torch.compile(net)
            net(x)

        def forward():
            with torch.no_grad():
                return net(x)

        return forward
    net.train()
    if variant == "compiled":
        net = torch.compile(net)
    if mode == "backward":
        x.requires_grad_(True)
        dzdy = torch.ones_like(net(x))

        def backward():
            x.grad = None
            net.zero_grad(set_to_none=True)
            net(x).backward(dzdy)
            return x.grad

        return backward
    labels = torch.randint(0, layers[-1][1].shape[3], (batch,))
    sgd = torch.optim.SGD(net.parameters(), lr=1e-6)

    def step():
        sgd.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(net(x).flatten(1), labels).backward()
        sgd.step()

    return step


def _cores():
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _network(torch, layers, mode):
    nn, built = torch.nn, []
    for kind, *rest in layers:
        if kind == "conv":
            f, b, stride, pad, groups, *dilate = rest
            sides, dilation = (pad[0], pad[2]), networks.pair(dilate[0] if dilate else 1)
            size = f.shape[2] * groups, f.shape[3], f.shape[:2]
            conv = nn.Conv2d(*size, networks.pair(stride), sides, dilation, groups=groups)
            conv.weight.data = torch.from_numpy(np.ascontiguousarray(f.transpose(3, 2, 0, 1)))
            conv.bias.data = torch.from_numpy(b.copy())
            built.append(conv)
        elif kind == "pool":
            size, stride, pad, method = rest
            if any(pad):
                built.append(nn.ZeroPad2d((pad[2], pad[3], pad[0], pad[1])))
            built.append((nn.MaxPool2d if method == "max" else nn.AvgPool2d)(size, stride))
        elif kind == "lrn":
            n, kappa, alpha, beta = rest
            built.append(nn.LocalResponseNorm(n, alpha * n, beta, kappa))
        elif kind == "bnorm":
            built.append(nn.BatchNorm2d(len(rest[0])))
        elif kind == "sum":
            built.append(_sum(torch, [_network(torch, branch, mode) for branch in rest]))
        else:
            built.append({"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "softmax": lambda: nn.Softmax(1)}[kind]())
    return nn.Sequential(*built)


def _sum(torch, branches):
    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = branches

        def forward(self, x):
            return self.left(x) + self.right(x)

    return Sum()
