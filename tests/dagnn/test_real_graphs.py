"""Graphs that others trained in MATLAB. Skipped where ../shared/models is absent."""

import numpy as np
import pytest
from support import ROOT

import pyconvnet as pcn
from pyconvnet.compat import matfile

SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="needs ../shared/models")


def test_a_denoiser_gives_matconvnets_numbers():
    net = pcn.load(MODELS / "dncnn-dagnn.mat")
    ref = matfile.read(SHARED / "reference" / "real" / "dncnn-dagnn.ref.mat")
    net.mode = "test"
    net.vars[ref["out"]].precious = True
    net.eval({ref["in"]: ref["x"]})
    for y in (net.vars[ref["out"]].value, pcn.predict(net, ref["x"])):  # without its loss, layers run in one
        assert np.abs(y - ref["y"].reshape(y.shape)).max() < 1e-4 * np.abs(ref["y"]).max()


def test_a_graph_of_version_73_is_printed_and_saved_to_the_bit(tmp_path, capsys):
    path = MODELS / "dncnn-dagnn.mat"
    assert path.read_bytes()[:10] == b"MATLAB 7.3"
    net = pcn.load(path)
    first = net.getInputs()[0]
    text = net.print({first: (32, 32, 1, 1)}, All=True)
    assert text == capsys.readouterr().out and f"rf in '{first}'" in text and "32x32x64" in text
    pcn.save(tmp_path / "a.mat", net)
    again = pcn.load(tmp_path / "a.mat")
    assert again.print({first: (32, 32, 1, 1)}, All=True) == text
    for a, b in zip(net.params, again.params, strict=True):
        assert (a.name, a.learningRate, a.weightDecay) == (b.name, b.learningRate, b.weightDecay)
        assert a.value.dtype == b.value.dtype and np.array_equal(a.value, b.value)
    assert [repr(e.block) for e in again.layers] == [repr(e.block) for e in net.layers]


@pytest.fixture(scope="module")
def digits():
    imdb = pcn.imdb.load_imdb(MODELS / "zoo" / "mnist-dagnn" / "imdb.mat")
    data = imdb.images.data[..., :10000].astype(np.float32)
    return data, np.ravel(imdb.images.labels).astype(float), imdb


def test_a_trained_digit_reader_reads_real_digits(digits):
    data, labels, _ = digits
    net = pcn.load(MODELS / "zoo" / "mnist-dagnn" / "trained.mat")
    some = slice(0, labels.size, 10)
    found = pcn.predict(net, data[..., some])[0, 0].argmax(axis=0) + 1
    assert np.mean(found != labels[some]) < 0.02
    first = pcn.load(MODELS / "zoo" / "mnist-dagnn" / "initial.mat")
    assert np.mean(pcn.predict(first, data[..., some])[0, 0].argmax(axis=0) + 1 != labels[some]) > 0.5


def test_its_training_goes_on(digits):
    data, labels, _ = digits
    net = pcn.load(MODELS / "zoo" / "mnist-dagnn" / "initial.mat")
    imdb = {"images": {"set": np.repeat([1, 2], [1000, 200])}}
    chosen = np.random.default_rng(0).permutation(labels.size)[:1200]  # the digits are in order

    def batch(imdb, images):
        return {"data": data[..., chosen[images]], "label": labels[chosen[images]]}

    net, stats = pcn.cnn_train_dag(
        net, imdb, batch, expDir=None, numEpochs=2, batchSize=50, learningRate=0.001, verbose=False
    )
    assert stats.val[1].objective < stats.val[0].objective < np.log(10)


def test_a_tracker_with_blocks_of_its_own_prints_runs_as_far_as_it_can_and_saves(tmp_path, capsys):
    net = pcn.load(MODELS / "zoo" / "cfnet-conv1-dagnn.mat")
    text = net.print()
    assert text == capsys.readouterr().out and "CorrFilter" in text and "br1_conv1" in text
    net.mode = "test"
    net.vars["br2_out"].precious = True
    x = np.random.default_rng(0).uniform(0, 255, (255, 255, 3, 1)).astype(np.float32)
    net.eval({"instance": x})
    y = net.vars["br2_out"].value
    assert y.shape == (62, 62, 32, 1) and np.isfinite(y).all() and y.min() == 0
    with pytest.raises(TypeError, match=r"block '.*MulConst' is not defined here.*define `class MulConst"):
        net.eval({"exemplar": x})
    pcn.save(tmp_path / "copy.mat", net)
    again = pcn.load(tmp_path / "copy.mat")
    assert [p.name for p in again.params] == [p.name for p in net.params]
    assert all(np.array_equal(a.value, b.value) for a, b in zip(net.params, again.params))
    assert [repr(layer.block) for layer in again.layers] == [repr(layer.block) for layer in net.layers]


def test_its_missing_block_runs_once_it_is_defined():
    class MulConst(pcn.dagnn.ElementWise):
        def forward(self, inputs, params):
            return [inputs[0] * params[0]]

    net = pcn.load(MODELS / "zoo" / "cfnet-conv1-dagnn.mat")
    assert isinstance(net.layers["join_cf_window"].block, MulConst)
