"""Networks that others trained in MATLAB give MATLAB's numbers. Skipped where ../shared/models is absent."""

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.compat import matfile
from pyconvnet.images import imread

SHARED = ROOT.parent / "shared"
MODELS, REAL = SHARED / "models", SHARED / "reference" / "real"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")

SIMPLE = ["dncnn-color-sigma25", "dncnn-sigma25", "dncnn-sigma25-bnorm", "dncnn3", "old-format-cnn"]
ZOO = ["cifar10-lenet", "dcfnet", "plates-epoch-50", "player-stage1", "player-stage1-dilation", "scnn-vgg-style"]
ZOO += ["dehazing-old-format-custom", "scenes-epoch-300", "text-regression-function-handles"]


def relative(a, b):
    b = b.reshape(a.shape)
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("name", SIMPLE)
def test_outputs_equal_matconvnets(name):
    net = pcn.load(MODELS / f"{name}.mat")
    ref = matfile.read(REAL / f"{name}.ref.mat")
    while net.layers[-1].type in ("loss", "softmaxloss"):
        net.layers.pop()
    y = pcn.vl_simplenn(net, ref["x"], mode="test")[-1].x
    assert y.dtype == ref["y"].dtype and relative(y, ref["y"]) < 1e-4


def test_denoising_reaches_the_psnr_that_its_authors_published():
    net = pcn.load(MODELS / "dncnn-sigma25.mat")
    rng = np.random.default_rng(0)
    found = []
    for path in sorted((SHARED / "images" / "set12").glob("*.png")):
        clean = imread(path).astype(np.float32) / 255
        noisy = clean + np.float32(25 / 255) * rng.standard_normal(clean.shape, dtype=np.float32)
        error = noisy - pcn.predict(net, noisy)[:, :, 0, 0] - clean
        found.append(-10 * np.log10(np.mean(error.astype(float) ** 2)))
    # Zhang et al. 2017, table III, the mean over Set12
    assert len(found) == 12 and abs(np.mean(found) - 30.44) < 0.02


def test_a_published_studys_probability_map_is_reproduced():
    cones = MODELS / "cones"
    net = pcn.load(cones / "split-detector.mat")
    expected = matfile.read(cones / "image1.map.mat")["Cone_Probability"]
    image = imread(cones / "image1.tif").astype(float)
    image = image[:, :, 0] if image.ndim == 3 else image
    image = (image - image.min()) / (image.max() - image.min()) * 255
    page = np.pad(image, 16, mode="symmetric").astype(np.float32)
    rows = range(0, image.shape[0], 23)
    patches = [page[r : r + 33, c : c + 33] for r in rows for c in range(image.shape[1])]
    prob = pcn.predict(net, np.stack(patches, axis=-1)[:, :, None, :])[0, 0, 0]
    assert np.abs(prob.reshape(len(rows), -1) - expected[::23]).max() < 2e-5


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.filterwarnings("ignore:.*function handle .* cannot be written again")
def test_every_layout_loads_prints_and_is_saved_again(name, tmp_path):
    net = pcn.load(MODELS / "zoo" / f"{name}.mat")
    text = pcn.vl_simplenn_display(net)[1]
    assert all(layer.name in text for layer in net.layers)
    pcn.save(tmp_path / "copy.mat", net)
    again = pcn.load(tmp_path / "copy.mat")
    for a, b in zip(net.layers, again.layers):
        assert list(a) == list(b) and a.type == b.type
        for v, w in zip(a.weights, b.weights):
            assert v.dtype == w.dtype and v.shape == w.shape and np.array_equal(v, w)


@pytest.mark.parametrize("name", ["cifar10-lenet", "plates-epoch-50", "player-stage1", "scnn-vgg-style"])
def test_a_network_of_the_zoo_runs_on_an_image_of_its_size(name):
    net = pcn.load(MODELS / "zoo" / f"{name}.mat")
    size = [int(s) for s in np.ravel(net.meta.get("inputSize", net.meta.get("normalization", {}).get("imageSize")))[:3]]
    x = np.random.default_rng(0).uniform(0, 255, (*size, 2)).astype(np.float32)
    y = pcn.predict(net, x)
    assert y.shape[3] == 2 and np.isfinite(y).all()
    if net.layers[-1].type == "softmaxloss":
        assert np.allclose(y.sum(axis=2), 1, atol=1e-5)


def test_function_handles_are_placeholders_that_fail_only_when_run():
    net = pcn.load(MODELS / "zoo" / "text-regression-function-handles.mat")
    x = np.zeros((64, 64, 1, 1), np.float32)
    assert pcn.vl_simplenn(pcn.SimpleNN(layers=net.layers[:-1]), x, mode="test")[-1].x.size
    with pytest.raises((TypeError, ValueError), match=r"(?s)function.*layer 6"):
        pcn.vl_simplenn(net, x, mode="test")


@pytest.mark.parametrize(
    "path", ["zoo/not-networks/bare-weights", "zoo/not-networks/opaque-object", "cones/image1.map"]
)
def test_what_is_no_network_is_refused_by_name(path):
    with pytest.raises(ValueError, match=rf"{path.split('/')[-1]}\.mat holds no MatConvNet network.*it holds"):
        pcn.load(MODELS / f"{path}.mat")
