"""Makes random graphs of all blocks, for random_graphs.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvnet import dagnn
from pyconvnet.dagnn import DagNN
from pyconvnet.layers import registry


class Split(dagnn.Layer):
    """Two outputs: the first channel, and the others."""

    def forward(self, inputs, params):
        return [inputs[0][:, :, :1], inputs[0][:, :, 1:]]

    def backward(self, inputs, params, derOutputs):
        return [np.concatenate(derOutputs, axis=2)], []


class Gate(dagnn.ElementWise):
    """Input 1 where input 2 is positive, half of it elsewhere; backward reads input 2 only."""

    backward_uses = (1,)

    def forward(self, inputs, params):
        return [inputs[0] * np.where(inputs[1] > 0, 1, 0.5).astype(inputs[0].dtype)]

    def backward(self, inputs, params, derOutputs):
        assert inputs[0] is None
        return [derOutputs[0] * np.where(inputs[1] > 0, 1, 0.5).astype(inputs[1].dtype), None], []


class SquarePlus(dagnn.ElementWise):
    """y = (x + sqrt(x^2 + 4)) / 2, whose derivative y^2 / (y^2 + 1) follows from the output."""

    backward_uses = "outputs"

    def forward(self, inputs, params):
        return [(inputs[0] + np.sqrt(inputs[0] ** 2 + 4)) / 2]

    def backward(self, inputs, params, derOutputs):
        return [derOutputs[0] * inputs[0] ** 2 / (inputs[0] ** 2 + 1)], []


class Damped(dagnn.ElementWise):
    """y = x e^-x, whose derivative e^-x - y is made of both."""

    backward_uses = "both"

    def forward(self, inputs, params):
        return [inputs[0] * np.exp(-inputs[0])]

    def backward(self, inputs, params, derOutputs):
        (y,) = self.net.layers[self.layerIndex].outputs
        return [derOutputs[0] * (np.exp(-inputs[0]) - self.net.vars[y].value)], []


for kind in (Split, Gate, SquarePlus, Damped):  # what a file holds must not depend on which tests ran before
    registry._BY_BLOCK.pop(kind.__name__, None)


class Graph:
    """A random graph with values for its inputs and parameters, and a seed for each of its outputs."""

    def __init__(self, seed: int, dtype: Any = np.float64, mode: str = "normal") -> None:
        self.random, self.dtype = np.random.default_rng(seed), dtype
        self.net, self.inputs, self.shapes = DagNN(), {}, {}
        self.net.mode = mode
        self.fixed = {"rois", "label", "sign", "target", "weight"}  # inputs that have no derivative
        n = self._int(1, 3)
        for name in ("x", "z")[: self._int(1, 2)]:
            self._input(name, (self._int(4, 8), self._int(4, 8), self._int(1, 4), n))
        self.images = n
        makers = [getattr(self, m) for m in sorted(dir(self)) if m.startswith("add_")]
        wanted = self._int(3, 12)
        for _ in range(20 * wanted):
            if len(self.net.layers) >= wanted:
                break
            self.random.choice(makers)()
        self.inputs = {name: value for name, value in self.inputs.items() if name in self.net.vars}
        for var in self.net.vars:
            var.precious = bool(self.random.random() < 0.1)
        self.seeds: dict[str, Any] = {}

    # --- the pieces ----------------------------------------------------------------------------------------------

    def _int(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high + 1))

    def normal(self, *shape: int) -> np.ndarray:
        return self.random.standard_normal(shape).astype(self.dtype)

    def _input(self, name: str, shape: tuple[int, ...], value: Any = None) -> str:
        self.inputs[name] = self.normal(*shape) if value is None else value
        self.shapes[name] = shape
        return name

    def _pick(self, suits=lambda shape: True) -> str | None:
        """A variable whose shape suits, new ones more often than old ones."""
        names = [v for v, shape in self.shapes.items() if v not in self.fixed and suits(shape)]
        if not names:
            return None
        return names[-1 - min(int(self.random.exponential(2)), len(names) - 1)]

    def _add(self, block: Any, inputs: Any, params: dict[str, np.ndarray], count: int = 1) -> list[str] | None:
        """Add a layer if its outputs are not empty; `params` has a value for each of its parameters."""
        at = len(self.net.layers)
        inputs = [inputs] if isinstance(inputs, str) else inputs
        outputs = [f"v{at}" if count == 1 else f"v{at}_{k}" for k in range(count)]
        names = list(params)
        self.net.addLayer(f"l{at}", block, inputs, outputs, names)
        for name in names:
            self.net.params[name].value = params[name]
        values = block.forward(
            [np.zeros(self.shapes[i], self.dtype) if i not in self.fixed else self.inputs[i] for i in inputs],
            list(params.values()),
        )
        self.shapes.update(zip(outputs, (v.shape for v in values)))
        return outputs

    def _unary(self, *blocks: Any, suits=lambda shape: True) -> None:
        v = self._pick(suits)
        if v is not None:
            self._add(blocks[self._int(0, len(blocks) - 1)](), v, {})

    def add_relu(self) -> None:
        self._unary(dagnn.ReLU, lambda: dagnn.ReLU(leak=0.2), lambda: dagnn.ReLU(leak=-0.2))

    add_relu_again = add_relu

    def add_activation(self) -> None:
        from pyconvnet import layers

        self._unary(
            dagnn.Sigmoid,
            dagnn.SoftMax,
            layers.Tanh,
            layers.ELU,
            layers.SoftPlus,
            layers.Swish,
            layers.HardSigmoid,
            lambda: layers.Clip(min=-0.7, max=0.9),
            SquarePlus,
            Damped,
        )

    def add_prelu(self) -> None:
        v = self._pick()
        at, c = len(self.net.layers), self.shapes[v][2]
        self._add(dagnn.PReLU(size=[1, 1, c]), v, {f"a{at}": self.normal(1, 1, c)})

    def add_shape(self) -> None:
        v = self._pick()
        h, w, c, _ = self.shapes[v]
        if self.random.random() < 0.5:
            self._add(dagnn.Permute(order=[int(i) + 1 for i in self.random.permutation(3)]), v, {})
        else:
            self._add(dagnn.Reshape(size=[(w, h, c), (h, c, w), (h * w, 1, c)][self._int(0, 2)]), v, {})

    def add_normalization(self) -> None:
        # Of one channel, the sum of squares may be below 1e-8, where MatConvNet's derivative is not that of its value.
        self._unary(
            lambda: dagnn.LRN(param=[3, 1, 0.2, 0.6]),
            lambda: dagnn.NormOffset(param=[0.5, 0.7]),
            lambda: dagnn.SpatialNorm(param=[3, 2, 0.5, 0.8]),
            suits=lambda shape: shape[2] > 1,
        )

    def add_dropout(self) -> None:
        self._unary(lambda: dagnn.DropOut(rate=0.3))

    def add_conv(self) -> None:
        h, w = self._int(1, 3), self._int(1, 3)
        v = self._pick(lambda s: s[0] >= h and s[1] >= w)
        if v is None:
            return
        c = self.shapes[v][2]
        groups = 2 if c % 2 == 0 and self.random.random() < 0.3 else 1
        k = groups * self._int(1, 3)
        same = [
            e
            for e in self.net.layers
            if type(e.block) is dagnn.Conv and self.net.params[e.params[0]].value.shape == (h, w, c // groups, k)
        ]
        if same and self.random.random() < 0.7:  # shared parameters
            params = {p: self.net.params[p].value for p in same[0].params}
        else:
            at = len(self.net.layers)
            params = {f"f{at}": self.normal(h, w, c // groups, k) / np.sqrt(h * w * c).astype(self.dtype)}
            if self.random.random() < 0.7:
                params[f"b{at}"] = self.normal(k, 1)
        pad = [self._int(0, h // 2), self._int(0, h // 2), self._int(0, w // 2), self._int(0, w // 2)]
        stride = [1, 1] if self.random.random() < 0.6 else [self._int(1, 2), self._int(1, 2)]
        block = dagnn.Conv(size=[h, w, c // groups, k], pad=pad, stride=stride, hasBias=len(params) > 1)
        self._add(block, v, params)

    add_conv_again = add_conv
    add_conv_more = add_conv

    def add_convt(self) -> None:
        v = self._pick(lambda s: s[0] * s[1] <= 40)
        if v is None:
            return
        at, c, up = len(self.net.layers), self.shapes[v][2], self._int(1, 2)
        h, k = self._int(up, 3), self._int(1, 3)
        crop = self._int(0, 1) if h > 1 and self.shapes[v][0] > 2 and self.shapes[v][1] > 2 else 0
        params = {f"f{at}": self.normal(h, h, k, c) / np.sqrt(h * h * c).astype(self.dtype)}
        if self.random.random() < 0.5:
            params[f"b{at}"] = self.normal(k, 1)
        self._add(dagnn.ConvTranspose(size=[h, h, k, c], upsample=up, crop=crop, hasBias=len(params) > 1), v, params)

    def add_pool(self) -> None:
        h, w = self._int(1, 3), self._int(1, 3)
        v = self._pick(lambda s: s[0] >= h and s[1] >= w)
        if v is not None:
            pad = [self._int(0, h - 1), 0, 0, self._int(0, w - 1)]
            method = ("max", "avg")[self._int(0, 1)]
            self._add(dagnn.Pooling(poolSize=[h, w], stride=self._int(1, 2), pad=pad, method=method), v, {})

    def add_bnorm(self) -> None:
        v = self._pick(lambda s: s[0] * s[1] * s[3] >= 8)
        if v is None:
            return
        at, c = len(self.net.layers), self.shapes[v][2]
        moments = np.concatenate([self.normal(c, 1), 0.5 + self.random.random((c, 1))], axis=1).astype(self.dtype)
        params = {f"g{at}": 1 + self.normal(c, 1) / 4, f"h{at}": self.normal(c, 1), f"moments{at}": moments}
        self._add(dagnn.BatchNorm(numChannels=c), v, params)

    def add_scale(self) -> None:
        v = self._pick()
        shape = self.shapes[v]
        at, size = len(self.net.layers), [s if self._int(0, 1) else 1 for s in shape[:3]] + [1]
        by = self._pick(lambda s: s in (shape, (1, 1, *shape[2:]), (1, 1, 1, shape[3])))
        if by is not None and self.random.random() < 0.6:
            hasBias = bool(self._int(0, 1))
            params = {f"h{at}": self.normal(*size)} if hasBias else {}
            self._add(dagnn.Scale(size=size, hasBias=hasBias), [v, by], params)
        else:
            params = {f"g{at}": self.normal(*size), f"h{at}": self.normal(*size)}
            self._add(dagnn.Scale(size=size), v, params)

    def add_sum(self) -> None:
        first = self._pick()
        others = [self._pick(lambda s: s == self.shapes[first]) for _ in range(self._int(1, 2))]
        self._add(dagnn.Sum(), [first, *others], {})

    add_sum_again = add_sum

    def add_concat(self) -> None:
        first, dim = self._pick(), (3, 3, 3, 1, 2, 4)[self._int(0, 5)]

        def alike(s):
            return all(a == b for k, (a, b) in enumerate(zip(s, self.shapes[first])) if k != dim - 1)

        if dim == 4 or sum(self.shapes[first]) > 40:
            dim = 3
        self._add(dagnn.Concat(dim=dim), [first, *(self._pick(alike) for _ in range(self._int(1, 2)))], {})

    add_concat_again = add_concat

    def add_crop(self) -> None:
        like = self._pick()
        small = self.shapes[like]
        v = self._pick(lambda s: s[0] >= small[0] and s[1] >= small[1])
        room = [a - b for a, b in zip(self.shapes[v], small)]
        self._add(dagnn.Crop(crop=[self._int(0, room[0]), self._int(0, room[1])]), [v, like], {})

    def add_gate(self) -> None:
        v = self._pick()
        if "sign" not in self.inputs:
            self._input("sign", self.shapes[v])
        if self.shapes["sign"] == self.shapes[v]:
            self._add(Gate(), [v, "sign"], {})

    def add_split(self) -> None:
        v = self._pick(lambda s: s[2] > 1)
        if v is not None:
            self._add(Split(), v, {}, count=2)

    def add_sampler(self) -> None:
        v = self._pick()
        h, w, c, _ = self.shapes[v]
        at = len(self.net.layers)
        (pooled,) = self._add(dagnn.Pooling(poolSize=[h, w], method="avg"), v, {})
        affine = bool(self._int(0, 1))
        k = 6 if affine else 3
        bias = np.array([0.7, 0.1, -0.1, 0.6, 0.05, 0.1] if affine else [0.7, 0.05, -0.1], self.dtype).reshape(k, 1)
        params = {f"f{at}": self.normal(1, 1, c, k) / 20, f"b{at}": bias}
        (theta,) = self._add(dagnn.Conv(size=[1, 1, c, k]), pooled, params)
        kind = dagnn.AffineGridGenerator if affine else dagnn.UniformScalingGridGenerator
        (grid,) = self._add(kind(Ho=self._int(2, 5), Wo=self._int(2, 5)), theta, {})
        self._add(dagnn.BilinearSampler(), [v, grid], {})

    def add_roi(self) -> None:
        if "rois" in self.inputs:
            return
        v = self._pick(lambda s: s[0] >= 2 and s[1] >= 2)
        if v is None:
            return
        h, w = self.shapes[v][:2]
        rois = np.array([[self._int(1, self.images), 1, 1, w, h], [1, 1, 1, 2, 2]], self.dtype).T
        if self.shapes[v][3] != self.images:
            return
        self._input("rois", rois.shape, rois)
        method = ("max", "avg")[self._int(0, 1)]
        self._add(dagnn.ROIPooling(subdivisions=[2, 2], method=method, flatten=bool(self._int(0, 1))), [v, "rois"], {})

    def add_loss(self) -> None:
        v = self._pick(lambda s: s[2] > 1 and s[3] == self.images)
        if v is None:
            return
        if "label" not in self.inputs:
            self._input("label", (1, 1, 1, self.images), self.random.integers(1, 3, (1, 1, 1, self.images)))
            self.inputs["label"] = self.inputs["label"].astype(self.dtype)
        kind = (dagnn.Loss, dagnn.SegmentationLoss)[self._int(0, 1)]
        loss = ("softmaxlog", "mhinge", "mshinge")[self._int(0, 2)]
        self._add(kind(loss=loss), [v, "label"], {})

    def add_accuracy(self) -> None:
        v = self._pick(lambda s: s[:2] == (1, 1) and s[2] > 1 and s[3] == self.images)
        if v is None or "label" not in self.inputs:
            return
        self.fixed.update(self._add(dagnn.SegmentationAccuracy(), [v, "label"], {}))  # nothing is made of it
        self.net.layers[-1].block.reset()

    def add_smooth_l1(self) -> None:
        v = self._pick()
        if "target" not in self.inputs:
            self._input("target", self.shapes[v])
            self._input("weight", self.shapes[v], abs(self.normal(*self.shapes[v])))
        if self.shapes["target"] == self.shapes[v]:
            self._add(dagnn.LossSmoothL1(sigma=1.5), [v, "target", "weight"], {})

    def add_euclidean(self) -> None:
        v = self._pick()
        if "target" in self.inputs and self.shapes["target"] == self.shapes[v]:
            self._add(dagnn.EuclideanLoss(), [v, "target"], {})

    def add_pixel_shuffle(self) -> None:
        v = self._pick(lambda s: s[0] % 2 == s[1] % 2 == 0)
        if v is not None and self.shapes[v][2] % 4 == 0:
            self._add(dagnn.SubP(scale=2), v, {})
        elif v is not None:
            self._add(dagnn.SubP(scale=0.5), v, {})

    def add_noise_map(self) -> None:
        self._unary(lambda: dagnn.NoiseMap(sigma=0.3), lambda: dagnn.NoiseMap(sigma=[0.1, -0.2]))

    def add_pdist(self) -> None:
        v = self._pick()
        other = self._pick(lambda s: s == self.shapes[v])
        block = dagnn.PDist(p=2, noRoot=True, aggregate=bool(self._int(0, 1)))
        if other != v:
            self._add(block, [v, other], {})
