"""What must hold under a fault: one line that names the file and the reason, the last good file whole, no draft."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import pyconvnet as pcn
from pyconvnet.download import download
from pyconvnet.training.expdir import LOCK
from tests.faults.disks import Fault
from tests.faults.writers import Writer


def refusal(writer: Writer, fault: Fault, folder: Path, part: float) -> str:
    """Write version 1, then version 2 under the fault with room for this part of it; what the error says."""
    path = folder / writer.path
    for version in (1, 2):
        writer.prepare(folder.parent, version)
    writer.write(path, 1)
    assert writer.version_of(path) == 1
    left = int(part * path.stat().st_size)
    before = content(folder)
    with fault.strike(folder, left):
        said = _said(lambda: writer.write(path, 2), path, fault)
    if fault.keeps:
        assert content(folder) == before, f"{sorted(content(folder))} is not what was there: {sorted(before)}"
        assert writer.version_of(path) == 1
        writer.write(path, 2)  # and goes on when the fault is over
        assert sorted(content(folder)) == sorted(before)
    return said


def downloading(fault: Fault, folder: Path) -> str:
    """A download, which goes on when the fault is over, from the part that was written."""
    source, path = folder.parent / "there.bin", folder / "fetched.bin"
    source.write_bytes(bytes(range(256)) * 400)
    with fault.strike(folder, 50_000):
        said = _said(lambda: download([source.as_uri()], path, progress=False), path, fault)
        assert not path.exists()
    if fault.keeps:
        download([source.as_uri()], path, progress=False)
        assert content(folder) == {path.name: source.read_bytes()}
    return said


def _said(write: Any, path: Path, fault: Fault) -> str:
    try:
        write()
    except (OSError, ValueError) as error:
        said = str(error)
    else:
        raise AssertionError("it was written all the same")
    named = (path.name, path.with_suffix(".safetensors").name, str(path.parent))
    assert any(name in said for name in named) and "\n" not in said, said
    assert any(reason in said for reason in fault.said()), said
    assert ".part" not in said, said
    return said


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- training ---------------------------------------------------------------------------------------------------


def small(graph: bool) -> Any:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 10).astype(np.float32)

    layers = [
        {"type": "conv", "weights": [draw(8, 8, 1, 4), draw(1, 4)], "stride": 8},
        {"type": "relu"},
        {"type": "dropout", "rate": 0.3},
        {"type": "conv", "weights": [draw(1, 1, 4, 3), draw(1, 3)]},
        {"type": "softmaxloss"},
    ]
    net = pcn.vl_simplenn_tidy(pcn.SimpleNN(layers=layers))
    return pcn.DagNN.fromSimpleNN(net, canonicalNames=True) if graph else net


def fit(graph: bool, folder: Path | None, epochs: int, after: Any = None) -> list[np.ndarray]:
    """The weights after a training of so many epochs."""
    rng = np.random.default_rng(1)
    labels = np.arange(30) % 3 + 1
    data = rng.standard_normal((8, 8, 1, 30)).astype(np.float32) + labels.astype(np.float32)
    imdb = pcn.Struct(images=pcn.Struct(data=data, labels=labels, set=np.where(labels > 0, 1, 2)))

    def batch(imdb: Any, images: Any) -> Any:
        x, c = imdb.images.data[..., images], imdb.images.labels[images]
        return ["input", x, "label", c] if graph else (x, c)

    options: dict[str, Any] = {"expDir": folder, "numEpochs": epochs, "batchSize": 10, "learningRate": 0.01}
    options |= {"verbose": False, "plotStatistics": False, "postEpochFn": after, "train": np.arange(30), "val": np.nan}
    net = small(graph)
    if graph:
        trained, _ = pcn.cnn_train_dag(net, imdb, batch, **options)
        return [p.value for p in trained.params]
    trained, _ = pcn.cnn_train(net, imdb, batch, **options)
    return [w for layer in trained.layers for w in layer.get("weights") or ()]


def training(graph: bool, fault: Fault, folder: Path) -> str:
    """The fault strikes after the first of three epochs; then the training goes on from what is there."""
    struck = []

    def strike(net: Any, opts: Any, state: Any) -> None:
        context = fault.strike(folder, 0)
        context.__enter__()
        struck.append(context)

    try:
        fit(graph, folder, 3, strike)
    except OSError as error:
        said = str(error)
    else:
        raise AssertionError("the training did not notice")
    finally:
        for context in struck:
            context.__exit__(None, None, None)
    assert "net-epoch-2.mat" in said and any(reason in said for reason in fault.said()), said
    if fault.keeps:
        names = sorted(content(folder))
        allowed = ["net-epoch-1.mat", "training.json"]
        assert [name for name in names if name != LOCK] == allowed, names
        whole, parts = fit(graph, None, 3), fit(graph, folder, 3)
        assert all(np.array_equal(a, b.reshape(a.shape)) for a, b in zip(whole, parts)), "other weights"
        assert LOCK not in content(folder)
    return said


def start(fault: Fault, folder: Path) -> str:
    """A training whose expDir has the fault already."""
    before = content(folder)
    with fault.strike(folder, 0):
        try:
            fit(False, folder, 1)
        except OSError as error:
            said = str(error)
        else:
            raise AssertionError("the training did not notice")
    assert str(folder) in said and any(reason in said for reason in fault.said()), said
    if fault.keeps:
        assert content(folder).keys() <= {*before, LOCK}
    return said
