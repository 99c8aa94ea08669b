"""Networks that come back from to_torch by from_torch."""

import runpy

import numpy as np
import pytest
from torch_modules import VGG, Inception, ResNet, repeatable, stirred, torch  # noqa: F401

import pyconvnet as pcn

GRIDS = {"AffineGridGenerator": 6, "UniformScalingGridGenerator": 3}


def module_of(net, written, folder):
    if not written:
        return pcn.to_torch(net)
    pytest.importorskip("safetensors")
    pcn.save(folder / "net.py", net)
    return runpy.run_path(str(folder / "net.py"))["load"]()


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


@pytest.mark.parametrize("written", [False, True])
def test_trained_batch_normalization_of_to_torch_comes_back_as_it_was(written, tmp_path):
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((4, 1)), rng.standard_normal((4, 1)), rng.random((4, 2)) + 0.5]
    bnorm = pcn.Struct(type="bnorm", name="bn", weights=[w.astype(np.float32) for w in weights], epsilon=1e-3)
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=[bnorm, pcn.Struct(type="relu", name="r")]))
    back = pcn.from_torch(module_of(net, written, tmp_path), (5, 5, 4))
    assert [layer.type for layer in back.layers] == ["bnorm", "relu"]
    assert back.layers[0].epsilon == 1e-3
    for given, got in zip(bnorm.weights, back.layers[0].weights):
        assert np.array_equal(given, got)
    x = rng.standard_normal((5, 5, 4, 2)).astype(np.float32)
    assert np.array_equal(pcn.predict(back, x), pcn.predict(net, x))


def transformer(grid, size, dtype=np.float32):
    """A spatial transformer: where it looks depends on the mean of the image."""
    net, rng = pcn.DagNN(), np.random.default_rng(0)
    net.addLayer("mean", pcn.dagnn.Pooling(poolSize=[6, 7], method="avg"), "image", "mean")
    net.addLayer("where", pcn.dagnn.Conv(size=[1, 1, 3, GRIDS[grid]]), "mean", "where", ["filters", "biases"])
    net.addLayer("grid", getattr(pcn.dagnn, grid)(Ho=size[0], Wo=size[1]), "where", "grid")
    net.addLayer("look", pcn.dagnn.BilinearSampler(), ["image", "grid"], "seen")
    net.initParams()
    for param in net.params:
        param.value = (rng.standard_normal(param.value.shape) / 2).astype(dtype)
    net.vars["seen"].precious, net.mode = True, "test"
    return net


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("size, written", [((5, 4), False), ((5, 1), False), ((1, 1), False), ((5, 4), True)])
def test_a_spatial_transformer(grid, size, written, tmp_path):
    net = transformer(grid, size)
    back = pcn.from_torch(module_of(net, written, tmp_path), (6, 7, 3))
    assert [type(e.block) for e in back.layers] == [type(e.block) for e in net.layers]
    assert [e.name for e in back.layers] == [e.name for e in net.layers]
    assert (back.layers["grid"].block.Ho, back.layers["grid"].block.Wo) == size
    x = np.random.default_rng(1).standard_normal((6, 7, 3, 3)).astype(np.float32)
    back.mode = "test"
    net.eval({"image": x})
    back.eval({back.getInputs()[0]: x})
    assert np.array_equal(back.vars[back.getOutputs()[0]].value, net.vars["seen"].value)


def test_a_spatial_transformer_in_double_precision():
    back = pcn.from_torch(pcn.to_torch(transformer("AffineGridGenerator", (3, 3), np.float64)), (6, 7, 3))
    assert type(back.layers["look"].block) is pcn.dagnn.BilinearSampler
    assert {param.value.dtype for param in back.params} == {np.dtype(np.float64)}


def test_several_grids_for_each_image():
    net, rng = pcn.DagNN(), np.random.default_rng(0)
    net.addLayer("look", pcn.dagnn.BilinearSampler(), ["image", "grid"], "seen")
    back = pcn.from_torch(pcn.to_torch(net), [(6, 7, 3, 2), (2, 5, 4, 6)])
    x, grid = rng.standard_normal((6, 7, 3, 2)), rng.uniform(-1.5, 1.5, (2, 5, 4, 6))
    net.eval({"image": x, "grid": grid})
    back.eval(dict(zip(back.getInputs(), (x, grid))))
    assert np.array_equal(back.vars[back.getOutputs()[0]].value, net.vars["seen"].value)


@pytest.mark.parametrize(
    "sample",
    [
        lambda x, grid: torch.nn.functional.grid_sample(x, grid, align_corners=True) * (x > 0),
        lambda x, grid: torch.nn.functional.grid_sample(x.repeat_interleave(1, 0), grid, align_corners=False) * x,
    ],
)
def test_what_is_another_sampling_is_refused(sample):
    class Sampled(torch.nn.Module):
        def forward(self, x, grid):
            return sample(x, grid)

    with pytest.raises(ValueError, match=r"from_torch: these operations have no counterpart: .*grid_sampler"):
        pcn.from_torch(Sampled(), [(6, 6, 3), (6, 2, 6)])
