"""Blocks of public MatConvNet projects, ported line by line as their users would: trackers, segmentation, detection."""

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import dagnn

RNG = np.random.default_rng(4)


def array(*shape):
    return RNG.standard_normal(shape)


def assert_derivative(net, inputs, wanted, names):
    """Differences of the objective along a random direction agree with the derivatives of inputs and parameters."""
    net.eval(inputs, {wanted: 1})
    for name in names:
        param = net.params[name] if name in net.params else None
        d = param.der if param else net.vars[name].der
        step = 1e-6 * array(*d.shape)
        ends = []
        for sign in (1, -1):
            if param:
                before = param.value
                param.value = before + sign * step
                net.eval(inputs)
                param.value = before
            else:
                net.eval({**inputs, name: inputs[name] + sign * step})
            ends.append(net.vars[wanted].value.item())
        assert (ends[0] - ends[1]) / 2 == pytest.approx(np.sum(d * step), rel=1e-5), name


def double(net):
    for param in net.params:
        param.value = param.value.astype(float) + 0.1 * array(*param.value.shape)


def test_a_siamese_tracker_correlates_two_branches_with_shared_filters():
    class XCorr(dagnn.Layer):
        """Cross-correlation of every image with the exemplar of the same place in the batch."""

        def forward(self, inputs, params):
            assert len(inputs) == 2, "two inputs are needed"
            z, x = inputs
            return [np.concatenate([pcn.vl_nnconv(x[..., [i]], z[..., [i]], []) for i in range(x.shape[3])], 3)]

        def backward(self, inputs, params, derOutputs):
            z, x = inputs
            dz, dx = np.zeros_like(z), np.zeros_like(x)
            for i in range(x.shape[3]):
                dx[..., [i]], dz[..., [i]], _ = pcn.vl_nnconv(x[..., [i]], z[..., [i]], [], derOutputs[0][..., [i]])
            return [dz, dx], []

        def getOutputSizes(self, inputSizes):
            z, x = inputSizes
            return [[x[0] - z[0] + 1, x[1] - z[1] + 1, 1, z[3]]]

        def getReceptiveFields(self):
            return []

    class L2Norm(dagnn.ElementWise):
        """Every pixel divided by the norm of its channels."""

        epsilon = 1e-10

        def forward(self, inputs, params):
            return [inputs[0] / self.norm(inputs[0])]

        def backward(self, inputs, params, derOutputs):
            (x,), (d,) = inputs, derOutputs
            n = self.norm(x)
            return [d / n - x * np.sum(d * x, 2, keepdims=True) / n**3], []

        def norm(self, x):
            return np.sqrt(np.sum(x**2, 2, keepdims=True) + self.epsilon)

    net = pcn.DagNN()
    for branch, image in (("a", "exemplar"), ("b", "instance")):
        net.addLayer(f"{branch}_conv", dagnn.Conv("size", [3, 3, 3, 4]), image, f"{branch}1", ["convf", "convb"])
        net.addLayer(f"{branch}_norm", L2Norm(), f"{branch}1", f"{branch}2")
    net.addLayer("xcorr", XCorr(), ["a2", "b2"], "score")
    net.addLayer("loss", dagnn.Loss("loss", "logistic"), ["score", "eltwise_label"], "objective")
    net.initParams()
    double(net)
    inputs = {
        "exemplar": array(6, 6, 3, 2),
        "instance": array(9, 10, 3, 2),
        "eltwise_label": np.sign(array(4, 5, 1, 2)),
    }
    assert_derivative(net, inputs, "objective", ["exemplar", "instance", "convf", "convb"])
    sizes = net.getVarSizes(["exemplar", [6, 6, 3, 2], "instance", [9, 10, 3, 2]])
    assert sizes[net.getVarIndex("score")] == (4, 5, 1, 2)
    assert "XCorr" in dagnn.printing.describe(net, Dependencies=True)


def test_a_segmentation_network_weighs_its_loss_and_keeps_statistics(tmp_path):
    class SegmentationLoss(dagnn.Loss):
        def forward(self, inputs, params):
            mass = np.sum(inputs[1] > 0, (0, 1), keepdims=True) + 1
            y = pcn.vl_nnloss(*inputs, [], "loss", self.loss, "instanceWeights", 1 / mass)
            n = self.numAveraged
            m = n + inputs[0].shape[3]
            self.average = (n * self.average + y.item()) / m
            self.numAveraged = m
            return [y]

        def backward(self, inputs, params, derOutputs):
            mass = np.sum(inputs[1] > 0, (0, 1), keepdims=True) + 1
            d = pcn.vl_nnloss(*inputs, derOutputs[0], "loss", self.loss, "instanceWeights", 1 / mass)
            return [d, []], []

    class SegmentationAccuracy(dagnn.Loss):
        transient = ("pixelAccuracy", "confusion")
        pixelAccuracy = 0
        confusion = 0

        def forward(self, inputs, params):
            scores, labels = inputs
            found = np.argmax(scores, 2)[:, :, None] + 1
            ok = labels > 0
            counts = np.zeros((3, 3))
            np.add.at(counts, (labels[ok].astype(int) - 1, found[ok] - 1), 1)
            self.confusion = self.confusion + counts
            self.pixelAccuracy = np.trace(self.confusion) / max(1, self.confusion.sum())
            mean = np.mean(np.diag(self.confusion) / np.maximum(1, self.confusion.sum(1)))
            self.average = np.array([self.pixelAccuracy, mean])
            self.numAveraged = self.numAveraged + ok.sum()
            return [self.average]

        def backward(self, inputs, params, derOutputs):
            return [[], []], []

        def reset(self):
            super().reset()
            self.pixelAccuracy = self.confusion = 0

    class ScaleShift(dagnn.ElementWise):
        numChannels = None

        def forward(self, inputs, params):
            return [inputs[0] * params[0] + params[1]]

        def backward(self, inputs, params, derOutputs):
            d = derOutputs[0]
            return [d * params[0]], [
                np.sum(d * inputs[0], (0, 1, 3), keepdims=True),
                np.sum(d, (0, 1, 3), keepdims=True),
            ]

        def initParams(self):
            shape = (1, 1, self.numChannels, 1)
            return [np.ones(shape, np.float32), np.zeros(shape, np.float32)]

    class Noise(dagnn.ElementWise):
        sigma = 0.1
        last = None
        transient = ("last",)

        def forward(self, inputs, params):
            if self.net.mode == "test":
                return inputs
            self.last = self.sigma * array(*inputs[0].shape)
            return [inputs[0] + self.last]

        def backward(self, inputs, params, derOutputs):
            return derOutputs, []

        def reset(self):
            super().reset()
            self.last = None

    net = pcn.DagNN()
    net.addLayer("score", dagnn.Conv(size=[3, 3, 2, 3], pad=1), "input", "x1", ["f", "b"])
    net.addLayer("scale", ScaleShift(numChannels=3), "x1", "x2", ["g", "h"])
    net.addLayer("noise", Noise(), "x2", "prediction")
    net.addLayer("objective", SegmentationLoss("loss", "softmaxlog"), ["prediction", "label"], "objective")
    net.addLayer("accuracy", SegmentationAccuracy(), ["prediction", "label"], "accuracy")
    net.initParams()
    double(net)
    labels = RNG.integers(0, 4, (5, 6, 1, 2)).astype(float)
    inputs = {"input": array(5, 6, 2, 2), "label": labels}

    net.eval(inputs, {"objective": 1})
    noise, loss, accuracy = (net.layers[name].block for name in ("noise", "objective", "accuracy"))
    assert noise.last.shape == (5, 6, 3, 2)
    assert loss.numAveraged == 2 and loss.average == pytest.approx(net.vars["objective"].value.item() / 2)
    assert accuracy.numAveraged == (labels > 0).sum() and np.array_equal(accuracy.average, net.vars["accuracy"].value)
    net.reset()
    assert noise.last is None and accuracy.average == loss.average == accuracy.numAveraged == 0

    net.mode = "test"
    assert_derivative(net, inputs, "objective", ["input", "f", "b", "g", "h"])
    pcn.save(tmp_path / "a.mat", net)
    again = pcn.load(tmp_path / "a.mat")
    assert [repr(e.block) for e in again.layers] == [repr(e.block) for e in net.layers]
    assert again.layers["accuracy"].block.numAveraged == 0, "statistics are not saved"
    again.mode = "test"
    for one in (net, again):
        one.eval(inputs)
    assert np.array_equal(net.vars["prediction"].value, again.vars["prediction"].value)


def test_a_detector_regresses_boxes_with_a_third_input_of_weights():
    class LossSmoothL1(dagnn.Loss):
        sigma = 1.0
        averages = False

        def forward(self, inputs, params):
            x, t, w = inputs
            a = np.abs(x - t)
            y = np.where(a > 1 / self.sigma**2, a - 0.5 / self.sigma**2, 0.5 * self.sigma**2 * a**2)
            out = np.sum(w * y)
            m = self.numAveraged + w.sum() + 1e-9
            self.average = (self.numAveraged * self.average + out) / m
            self.numAveraged = m
            return [out.reshape(1, 1, 1, 1)]

        def backward(self, inputs, params, derOutputs):
            x, t, w = inputs
            d = np.clip(self.sigma**2 * (x - t), -1, 1)
            return [w * d * derOutputs[0], [], []], []

    net = pcn.DagNN()
    net.addLayer("lossbbox", LossSmoothL1(sigma=2.0), ["predbbox", "targets", "instance_weights"], "lossbbox")
    inputs = {n: array(1, 1, 8, 5) for n in ("predbbox", "targets")}
    inputs["instance_weights"] = (array(1, 1, 8, 5) > 0).astype(float)
    assert_derivative(net, inputs, "lossbbox", ["predbbox"])


def test_batch_normalization_is_merged_into_filters_as_cnn_imagenet_deploy_does():
    from support import FIXTURES

    net = pcn.load(FIXTURES / "dags" / "resnet-block.mat")
    net.mode = "test"

    def find(kind):
        return [layer.name for layer in net.layers if isinstance(layer.block, kind)]

    def remove(kind):
        for name in find(kind):
            layer = net.layers[net.getLayerIndex(name)]
            net.removeLayer(name)
            net.renameVar(layer.outputs[0], layer.inputs[0], "quiet", True)

    remove(dagnn.Loss)
    for param in net.params:
        if param.trainMethod == "average":
            param.value = np.abs(param.value) + 1
    inputs = {"input": array(8, 8, 3, 2).astype(np.float32)}
    net.eval(inputs)
    before = net.vars["prediction"].value
    for name in find(dagnn.BatchNorm):
        layer = net.layers[name]
        conv = next(e for e in net.layers if layer.inputs[0] in e.outputs)
        block = conv.block
        block.hasBias = True
        net.renameLayer(conv.name, "tmp")
        params = [conv.params[0], f"{name}_b"]
        net.addLayer(f"{name}_conv", block, conv.inputs, conv.outputs, params, "skipRebuild", True)
        net.removeLayer("tmp")
        f, b = net.getParam(params)
        g, h, moments = (p.value for p in net.getParam(layer.params))
        factor = g.ravel() / moments[:, 1]
        f.value = f.value * factor
        b.value = (h.ravel() - factor * moments[:, 0])[:, None]
    remove(dagnn.BatchNorm)
    assert not find(dagnn.BatchNorm) and all(p.trainMethod == "gradient" for p in net.params)
    net.eval(inputs)
    np.testing.assert_allclose(net.vars["prediction"].value, before, rtol=1e-4, atol=1e-5)


def test_training_tells_several_accuracies_side_by_side(tmp_path, capsys):
    class Accuracies(dagnn.Loss):
        def forward(self, inputs, params):
            self.average = np.array([0.5, 0.25])
            return [self.average]

        def backward(self, inputs, params, derOutputs):
            return [None, None], []

    net = pcn.DagNN()
    net.addLayer("conv", dagnn.Conv(size=[1, 1, 2, 3]), "input", "prediction", ["f", "b"])
    net.addLayer("loss", dagnn.Loss(), ["prediction", "label"], "objective")
    net.addLayer("accuracy", Accuracies(), ["prediction", "label"], "accuracy")
    net.initParams()
    data = {
        "data": array(1, 1, 2, 4).astype(np.float32),
        "labels": np.array([1, 2, 3, 1.0]),
        "set": np.array([1, 1, 2, 2]),
    }

    def batch(imdb, at):
        return ["input", imdb["images"]["data"][..., at], "label", imdb["images"]["labels"][at]]

    _, stats = pcn.cnn_train_dag(net, {"images": data}, batch, batchSize=2, numEpochs=1, expDir=tmp_path)
    assert np.array_equal(stats["val"][0]["accuracy"], [0.5, 0.25])
    assert "accuracy: 0.500 0.250 objective:" in capsys.readouterr().out
    _, again = pcn.cnn_train_dag(net, {"images": data}, batch, batchSize=2, numEpochs=2, expDir=tmp_path)
    assert np.ravel(again["val"][0]["accuracy"]).tolist() == [0.5, 0.25], "the statistics of a checkpoint"
