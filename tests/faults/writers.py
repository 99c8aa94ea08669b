"""All that writes files, each with content of two versions, and what reads it again."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pyconvnet as pcn
from pyconvnet import cli, formats, images, report, view
from pyconvnet.models import build
from pyconvnet.training import checkpoints, progress, run_metadata

ROOT = Path(__file__).parents[2]


class Writer(NamedTuple):
    """What writes `path` in a folder. `write(path, version)`; `version_of(path)` reads which one it is."""

    name: str
    path: str
    write: Callable[[Path, int], object]
    version_of: Callable[[Path], int]
    needs: tuple[str, ...] = ()  # packages
    prepare: Callable[[Path, int], object] = lambda folder, version: (
        None
    )  # writes what `write` reads, beside the folder
    makes_folder: bool = False

    def ready(self) -> bool:
        return all(find_spec(name) for name in self.needs)


def chain(version: int) -> Any:
    net = build("lenet", seed=0)
    net.layers[0].weights[1][:] = version
    return net


def graph(version: int) -> Any:
    return pcn.DagNN.fromSimpleNN(chain(version), canonicalNames=True)


def first_bias(net: Any) -> int:
    weights = net.params[1].value if hasattr(net, "params") else net.layers[0].weights[1]
    return int(np.ravel(weights)[0])


def picture(version: int) -> np.ndarray:
    noise = np.random.default_rng(version).integers(0, 255, (400, 400)).astype(np.uint8)
    noise[:40, :40] = 100 * version
    return noise


def _checkpoint(path: Path, version: int) -> None:
    number = pcn.Struct(objective=1.0)
    checkpoints.write(path.parent, 1, chain(version), pcn.Struct(solverState=[]), pcn.Struct(train=[number]))


def _metadata(path: Path, version: int) -> None:
    run_metadata.write(path.parent, version=version, numbers=np.arange(4000) / 7)


def _trained(folder: Path, version: int) -> None:
    source = folder / f"trained-{version}"
    source.mkdir()
    _checkpoint(source / "net-epoch-1.mat", 1)
    run_metadata.write(source, options={"version": f"version {version}"})


def _report(path: Path, version: int) -> None:
    report.report(path.parents[1] / f"trained-{version}", path)


def _curves(path: Path, version: int) -> None:
    rows = [pcn.Struct(objective=float(version), num=1.0, time=1.0)] * (version + 1)
    progress.plot(pcn.Struct(train=rows, val=rows), path)


def _features(path: Path, version: int) -> None:
    x = np.random.default_rng(0).random((28, 28, 1, 60), dtype=np.float32)
    net = chain(version)
    net.layers[0].weights[0][:] = 0  # then the output of the first layer is its biases
    found = pcn.features(net, x, "layer1", out=path, prepared=False, batchSize=20)
    if path.suffix == ".h5":
        found["layer1"].file.close()


def _program(folder: Path, version: int) -> None:
    source = folder / f"matlab-{version}"
    source.mkdir()
    (source / "made.m").write_text("function y = made()\n" + f"y = {version};\n" * 3000)


def _port(path: Path, version: int) -> None:
    from pyconvnet.port import port

    port(path.parents[1] / f"matlab-{version}", path.parent)


def _command(*args: object) -> None:
    """A command line; its one line on stderr becomes an OSError."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main([str(a) for a in args])
    lines = [line for line in said.getvalue().splitlines() if "random" not in line]
    if code:
        assert code == 1 and len(lines) == 1 and lines[0].startswith("pyconvnet: "), (code, lines)
        raise OSError(lines[0])


def _network(folder: Path, version: int) -> None:
    formats.save(folder / f"version-{version}.mat", chain(version))


def _convert(path: Path, version: int) -> None:
    _command("convert", path.parents[1] / f"version-{version}.mat", path)


def _multiplier(folder: Path, version: int) -> None:
    """A network that passes on the image, times the version."""
    weights = [np.full((1, 1, 1, 1), version, np.float32), np.zeros((1, 1), np.float32)]
    normal = pcn.Struct(imageSize=np.array([[100.0, 100.0, 1.0]]))
    net = pcn.SimpleNN(layers=[{"type": "conv", "weights": weights}], meta=pcn.Struct(normalization=normal))
    formats.save(folder / f"times-{version}.mat", net)
    images.imwrite(picture(1) // 8, folder / "image.png")


def _run(path: Path, version: int) -> None:
    folder = path.parents[1]
    _command("run", folder / f"times-{version}.mat", folder / "image.png", "--full-size", "--save", path)


def _of_net(path: Path) -> int:
    return first_bias(formats.load(path))


def _of_source(path: Path) -> int:
    import runpy

    weights = runpy.run_path(str(path))["load"]().state_dict()
    return int(next(v for k, v in weights.items() if k.endswith("bias")).ravel()[0])


def _of_safetensors(path: Path) -> int:
    from safetensors.numpy import load_file

    return int(next(v for k, v in sorted(load_file(path).items()) if k.endswith("bias")).ravel()[0])


def _of_text(path: Path) -> int:
    text = path.read_bytes().decode("utf-8", "replace")
    return next((v for v in (1, 2) if f"version {v}" in text or f'"version": {v}' in text or f"y = {v}" in text), 0)


def _of_picture(path: Path) -> int:
    return round(float(np.mean(images.imread(path)[4:36, 4:36])) / 100)


def _of_drawing(path: Path) -> int:
    """Of pictures in which there is nothing to read: they are whole."""
    data = path.read_bytes()
    assert data.rstrip().endswith((b"%%EOF", b"</svg>", b"IEND\xaeB`\x82")), "cut short"
    return 1


def _of_array(path: Path) -> int:
    if path.suffix == ".npy":
        return round(float(np.load(path).ravel()[0]))
    import h5py

    with h5py.File(path, "r") as file:
        return round(float(file["layer1"][-1, 0, 0, 0]))


def _of_run(path: Path) -> int:
    whole, image = np.load(path)[:, :, 0, 0], picture(1) // 8
    return round(float(whole.mean() / image.mean()))


_PLOT = ("matplotlib",)
WRITERS = [
    Writer("checkpoint", "net-epoch-1.mat", _checkpoint, lambda p: first_bias(formats.load_checkpoint(p).net)),
    Writer("SimpleNN", "net.mat", lambda p, v: formats.save(p, chain(v)), _of_net),
    Writer("DagNN", "dag.mat", lambda p, v: formats.save(p, graph(v)), _of_net),
    Writer("ONNX", "net.onnx", lambda p, v: formats.save(p, chain(v)), _of_net, ("onnx",)),
    Writer("PyTorch", "net.py", lambda p, v: formats.save(p, chain(v)), _of_source, ("torch", "safetensors")),
    Writer("safetensors", "w.safetensors", lambda p, v: formats.save(p, chain(v)), _of_safetensors, ("safetensors",)),
    Writer("journal", "training.json", _metadata, _of_text),
    Writer("report", "report.html", _report, _of_text, (*_PLOT, "PIL"), _trained),
    Writer("curves", "net-train.pdf", _curves, _of_drawing, _PLOT),
    Writer("plot", "plot.svg", lambda p, v: view.save(picture(v) / 255, p), _of_drawing, _PLOT),
    Writer("plot as png", "plot.png", lambda p, v: view.save(picture(v) / 255, p), _of_drawing, _PLOT),
    Writer("image", "image.png", lambda p, v: images.imwrite(picture(v), p), _of_picture, ("PIL",)),
    Writer("photo", "image.jpg", lambda p, v: images.imwrite(picture(v), p, 95), _of_picture, ("PIL",)),
    Writer("features", "features.npy", _features, _of_array),
    Writer("features in HDF5", "features.h5", _features, _of_array),
    Writer("port", "made.py", _port, _of_text, ("tree_sitter", "tree_sitter_matlab"), _program, True),
    Writer("convert to .mat", "converted.mat", _convert, _of_net, (), _network),
    Writer("convert to .onnx", "converted.onnx", _convert, _of_net, ("onnx",), _network),
    Writer("convert to .py", "converted.py", _convert, _of_source, ("torch", "safetensors"), _network),
    Writer("run --save", "y.npy", _run, _of_run, ("PIL",), _multiplier),
]
