"""ICLabel, a MatConvNet graph that MNE's authors converted by hand, in the wheel mne-icalabel: read, compared, written.

Skipped where that is not installed: `pip install mne-icalabel --no-deps`, which nothing of is imported.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from onnx_support import off, ours, outputs, run

import pyconvnet as pcn

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
found = importlib.util.find_spec("mne_icalabel")
if found is None:
    pytest.skip("mne-icalabel is not installed", allow_module_level=True)
PATH = Path(found.origin).parent / "iclabel" / "network" / "assets" / "ICLabelNet.onnx"
END = "/seq/softmax/Softmax_output_0"


@pytest.fixture
def feeds():
    """Eight images, spectra and autocorrelations: two components, each turned over in four ways."""
    rng = np.random.default_rng(0)
    shapes = {"topo": (8, 1, 32, 32), "psds": (8, 1, 1, 100), "autocorr": (8, 1, 1, 100)}
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def test_what_averages_images_of_a_batch_is_refused():
    with pytest.raises(
        ValueError, match=r"1 node cannot.*\n  /Reshape_2 \(Reshape\): \[N, 7\] cannot become \[4, -1\]"
    ):
        pcn.from_onnx(PATH)


def test_its_graph_gives_the_same_in_every_variable_and_comes_back_from_files(feeds, tmp_path, capsys):
    import onnx

    net = pcn.from_onnx(PATH, outputs=END)
    assert isinstance(net, pcn.DagNN) and len(net.params) == 20
    x = {name: ours(value) for name, value in feeds.items()}
    rows = pcn.compare_onnx(net, PATH, x)
    assert len(rows) >= 25 and all(row.difference < 1e-5 for row in rows)
    assert "worst: " in capsys.readouterr().out
    y = outputs(net, feeds)[END]
    whole = run(onnx.load(PATH), feeds)["labels"]  # which averages over the four ways
    assert off(y[:, :, 0, 0].reshape(4, 2, 7).mean(axis=0), whole) < 1e-5

    pcn.save(tmp_path / "iclabel.mat", net)
    again = pcn.load(tmp_path / "iclabel.mat")
    assert np.array_equal(outputs(again, feeds)[END], y)
    pcn.save(tmp_path / "iclabel.onnx", again)
    assert off(run(onnx.load(tmp_path / "iclabel.onnx"), feeds)[END], y) < 1e-5
