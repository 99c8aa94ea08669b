"""from_torch: whole networks, under the names of their modules and parameters."""

import numpy as np
import pytest
from torch_modules import VGG, Inception, ResNet, check, repeatable  # noqa: F401

import pyconvnet as pcn


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


VISION = ["alexnet", "vgg11_bn", "resnet18", "googlenet", "squeezenet1_1", "densenet121"]
VISION += ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"]


@pytest.mark.parametrize("name", VISION)
def test_torchvisions_networks(name):
    models = pytest.importorskip("torchvision").models
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    check(getattr(models, name)(weights=None, **options), (224, 224, 3, 1))
