"""features: the outputs of layers for many images, in memory and in files."""

import tracemalloc

import numpy as np
import pytest

import pyconvnet as pcn
from pyconvnet import models
from pyconvnet.engine import fusion, recorded

draw = np.random.default_rng(0)


@pytest.fixture(scope="module")
def chain():
    return models.build("lenet-cifar", seed=0)


@pytest.fixture(scope="module")
def graph():
    return models.build("spatial-transformer", seed=1)


@pytest.fixture
def images():
    return draw.integers(0, 256, (32, 32, 3, 7)).astype(np.uint8)


def expected(net, images, number):
    """What vl_simplenn gives after that many layers, images first."""
    part = pcn.SimpleNN(layers=net.layers[:number], meta=net.meta)
    y = pcn.vl_simplenn(part, images.astype(np.float32), mode="test")[-1].x
    y = np.moveaxis(y, 3, 0)
    return y.reshape(len(y), -1) if y.shape[1:3] == (1, 1) else y


@pytest.mark.parametrize("batchSize", [1, 3, 100])
def test_layers_of_a_chain_come_images_first(chain, images, batchSize):
    found = pcn.features(chain, images, ["layer7", "layer11"], batchSize=batchSize)
    assert list(found) == ["layer7", "layer11"]
    assert found["layer7"].shape == (7, 8, 8, 64) and found["layer11"].shape == (7, 64)
    np.testing.assert_allclose(found["layer7"], expected(chain, images, 7), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["layer11"], expected(chain, images, 11), rtol=1e-4, atol=1e-4)
    assert found["layer11"].dtype == np.float32 and found["layer11"].flags.c_contiguous


def test_variables_and_layers_of_a_graph_go_by_name(graph):
    x = draw.random((60, 60, 1, 5), dtype=np.float32)
    net = graph.copy()
    net.mode, net.conserveMemory = "test", False
    net.eval({"input": x, "label": np.ones(5)})
    found = pcn.features(graph, x, ["xST", "c_fc1", "pred"], batchSize=2, prepared=False)
    np.testing.assert_allclose(found["xST"], np.moveaxis(net.vars["xST"].value, 3, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["c_fc1"], net.vars["xc7"].value[0, 0].T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["pred"], net.vars["pred"].value[0, 0].T, rtol=1e-4, atol=1e-5)
    # a variable comes before the layer that has its name, whose output is another
    assert pcn.features(graph, x, "aff")["aff"].shape == (5, 6)
    assert graph.vars["xST"].precious is False and graph.mode == "normal"


def test_what_comes_after_does_not_run(chain, graph, monkeypatch):
    seen = []
    run = fusion.run
    monkeypatch.setattr(fusion, "run", lambda layers, *a, **o: seen.append(layers[0].size) or run(layers, *a, **o))
    pcn.features(graph, np.zeros((60, 60, 1), np.float32), "x2")
    assert seen == [(5, 5, 1, 20)]
    broken = pcn.SimpleNN(layers=[*chain.layers[:4], {"type": "conv", "name": "broken", "weights": [np.ones(3)]}])
    assert pcn.features(broken, np.zeros((32, 32, 3)), "layer3")["layer3"].shape == (1, 16, 16, 32)


def test_the_loss_of_a_training_network_becomes_its_prediction(chain, images):
    found = pcn.features(chain, images, "prediction")["prediction"]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_images_may_be_paths_arrays_of_any_size_or_an_iterator(chain, images, tmp_path):
    pytest.importorskip("PIL")
    paths = []
    for i in range(7):
        pcn.images.imwrite(np.ascontiguousarray(images[..., i]), tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    whole = pcn.features(chain, images, "layer11")["layer11"]
    for given in (
        paths,
        (str(p) for p in paths),
        [images[..., i] for i in range(7)],
        [*paths[:3], *map(str, paths[3:])],
    ):
        np.testing.assert_allclose(
            pcn.features(chain, given, "layer11", batchSize=2)["layer11"], whole, rtol=1e-4, atol=1e-4
        )
    assert pcn.features(chain, str(paths[0]), "layer11")["layer11"].shape == (1, 64)
    other = draw.integers(0, 256, (50, 40)).astype(np.uint8)  # grey, and of another size
    found = pcn.features(chain, [paths[0], other], "layer11")["layer11"]
    one = pcn.features(chain, models.preprocess(chain, other)[..., 0], "layer11", prepared=True)["layer11"]
    np.testing.assert_allclose(found[1:], one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".hdf5"])
def test_files_hold_what_memory_would(chain, images, tmp_path, suffix):
    memory = pcn.features(chain, images, ["layer7", "layer11"])
    name = "f-{layer}.npy" if suffix == ".npy" else f"f{suffix}"
    found = pcn.features(
        chain, iter(np.moveaxis(images, 3, 0)), ["layer7", "layer11"], batchSize=3, out=tmp_path / name
    )
    for layer in memory:
        np.testing.assert_allclose(found[layer][:], memory[layer], rtol=1e-4, atol=1e-4)
    written = sorted(p.name for p in tmp_path.iterdir())
    if suffix == ".npy":
        assert written == ["f-layer11.npy", "f-layer7.npy"]
        assert np.load(tmp_path / "f-layer7.npy").shape == (7, 8, 8, 64)
    else:
        assert written == [name] and found["layer11"].shape == (7, 64)


def test_of_a_run_that_fails_nothing_stays_and_an_older_file_does(chain, images, tmp_path):
    def some():
        yield from np.moveaxis(images, 3, 0)
        raise RuntimeError("the disk with images is gone")

    for name in ("f-{layer}.npy", "f.h5"):
        with pytest.raises(RuntimeError, match="gone"):
            pcn.features(chain, some(), ["layer7", "layer11"], out=tmp_path / name, batchSize=2)
    assert not list(tmp_path.iterdir())
    pcn.features(chain, images, "layer11", out=tmp_path / "f.npy")
    with pytest.raises(RuntimeError, match="gone"):
        pcn.features(chain, some(), "layer11", out=tmp_path / "f.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["f.npy"] and np.load(tmp_path / "f.npy").shape == (7, 64)


def test_tensors_of_torch_have_their_channels_where_torch_has_them(chain, images):
    torch = pytest.importorskip("torch")
    found = pcn.features(chain, images, ["layer7", "layer11"], as_="torch")
    memory = pcn.features(chain, images, ["layer7", "layer11"])
    assert found["layer7"].shape == (7, 64, 8, 8) and found["layer11"].shape == (7, 64)
    assert torch.equal(found["layer7"], torch.from_numpy(memory["layer7"].transpose(0, 3, 1, 2).copy()))


def test_weights_in_double_precision_give_features_in_double(images):
    net = models.build("lenet-cifar", seed=0)
    for layer in net.layers:
        layer.weights = [w.astype(np.float64) for w in layer.get("weights", ())]
    assert pcn.features(net, images, "layer11")["layer11"].dtype == np.float64


def peak(count, out):
    """Most memory held, in bytes, while features of that many images are written."""
    filters = np.ones((5, 5, 3, 8), np.float32)
    net = pcn.SimpleNN(layers=[{"type": "conv", "name": "conv", "weights": [filters, np.zeros(8, np.float32)]}])
    image = draw.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    tracemalloc.start()
    try:
        found = pcn.features(net, (image for _ in range(count)), "conv", out=out, batchSize=20)
        return tracemalloc.get_traced_memory()[1], len(found["conv"])
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["f.npy", "f.h5"])
def test_memory_does_not_grow_with_the_images(tmp_path, monkeypatch, name):
    for bound in ("SLOW", "LARGE", "COPIED"):  # whether a run is recorded does not depend on the clock
        monkeypatch.setattr(recorded, bound, 1e12)
    peak(40, tmp_path / name)  # kernels are compiled
    few, _ = peak(320, tmp_path / name)  # enough for a recording, which takes as much as a run
    many, count = peak(1000, tmp_path / name)
    assert count == 1000  # 25 MB
    assert many < few + 1_000_000


@pytest.mark.parametrize(
    "layers, options, message",
    [
        ("layer17", {}, r"features: no layer 'layer17'; did you mean 'layer\d'"),
        ("objective", {}, r"no layer 'objective'; there are layer1, layer2"),
        ([], {}, "layers must be names, each once"),
        (["layer1", "layer1"], {}, "layers must be names, each once"),
        ("layer1", {"batchSize": 0}, "batchSize must be a whole number from 1 up, got 0"),
        ("layer1", {"as_": "jax"}, "as_ must be 'numpy'"),
        ("layer1", {"as_": "torch", "out": "f.npy"}, "without out"),
        ("layer1", {"out": "f.mat"}, "out must end in the suffix of a format, got 'f.mat'"),
        (["layer1", "layer2"], {"out": "f.npy"}, r"as f-\{layer\}\.npy"),
    ],
)
def test_what_cannot_be_done_is_said_first(chain, images, layers, options, message):
    with pytest.raises(ValueError, match=message):
        pcn.features(chain, images, layers, **options)


def test_names_of_a_graph_are_hinted_at_too(graph):
    for name, message in (
        ("xc77", "no layer or variable 'xc77'; did you mean 'xc7'"),
        ("objective", "no layer or var"),
    ):
        with pytest.raises(ValueError, match=message):
            pcn.features(graph, np.zeros((60, 60, 1)), name)
    two = pcn.DagNN()
    two.addLayer("sum", pcn.dagnn.Sum(), ["a", "b"], "y")
    with pytest.raises(ValueError, match="must depend on one input, not on a, b"):
        pcn.features(two, np.zeros((4, 4, 1)), "y")


@pytest.mark.parametrize("name", ["f.h5", "f.npy"])
def test_ctrl_c_leaves_an_earlier_file_as_it_was(chain, images, tmp_path, name):
    def stopped():
        yield from (images[..., i] for i in range(5))
        raise KeyboardInterrupt

    before = np.array(pcn.features(chain, images, "layer11", out=tmp_path / name)["layer11"])
    content = (tmp_path / name).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        pcn.features(chain, stopped(), "layer11", batchSize=2, out=tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name] and (tmp_path / name).read_bytes() == content
    assert np.array_equal(pcn.features(chain, images, "layer11", batchSize=7)["layer11"], before)


def test_images_of_different_sizes_are_told_apart_where_nobody_says_a_size():
    net = pcn.SimpleNN(layers=[{"type": "relu", "name": "relu"}])
    sizes = [np.zeros((4, 5, 1), np.uint8), np.zeros((4, 5, 1), np.uint8), np.zeros((6, 5, 1), np.uint8)]
    for batch in (1, 2, 3):
        with pytest.raises(ValueError, match="image 3 is 6x5x1, those before are 4x5x1; images must share a size"):
            pcn.features(net, sizes, "relu", batchSize=batch)
    with pytest.raises(ValueError, match="there are no images"):
        pcn.features(net, [], "relu")
    with pytest.raises(TypeError, match="images must be an array, or paths or arrays in a list, got int"):
        pcn.features(net, 3, "relu")
    with pytest.raises(TypeError, match="a prepared image must be H x W x C, float32 or float64, got uint8, 4x5x1"):
        pcn.features(net, sizes, "relu", prepared=True)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pcn.features(net, ["nowhere.png"], "relu")
