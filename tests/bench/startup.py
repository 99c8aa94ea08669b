"""What comes before the first result: importing, the first call of a process, reading a network of 528 MB."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

# Names of the benchmarks; none has a target in comparison.
TARGETS: dict[str, float | None] = {
    "import": None,
    "first VGG-VD-16 forward of a process": None,
    "load a .mat of 528 MB": None,
}
LIBRARIES = {"torch eager": "torch", "onnxruntime": "onnxruntime", "openvino": "openvino", "pyconvnet": "pyconvnet"}
FIRST = """
import os, sys
sys.path[:0] = [{folder!r}]
import networks, {module}
prepare = {module}.prepare
run = prepare({arguments}"forward", *networks.vgg_vd_16(), 1)
run()
"""


def nothing() -> tuple[list, tuple[int, int, int]]:
    """No layers."""
    return [], (1, 1, 1)


def prepare(peer: str, module: str, arguments: tuple[str, ...], name: str):
    """A function to time, None for what the library does not do. Both of the first include the start of Python."""
    if name == "import":
        return None if peer not in LIBRARIES else lambda: _python(f"import {LIBRARIES[peer]}")
    if name == "load a .mat of 528 MB":
        return _loading() if peer == "pyconvnet" else _scipy_loading() if peer == "torch eager" else None
    text = "".join(f"{a!r}, " for a in arguments)
    return lambda: _python(FIRST.format(folder=str(Path(__file__).parent), module=module, arguments=text))


def _python(code: str) -> None:
    root = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, capture_output=True)


def _file() -> Path:
    """VGG-VD-16 with random weights, written once."""
    path = Path(tempfile.gettempdir()) / f"pyconvnet-bench-{os.getuid() if hasattr(os, 'getuid') else 0}.mat"
    if not path.exists():
        import networks
        from pyconvnet_peer import record

        from pyconvnet import save
        from pyconvnet.simplenn import SimpleNN

        save(path, SimpleNN(layers=[record(layer) for layer in networks.vgg_vd_16()[0]]))
    return path


def _loading():
    from pyconvnet import load

    path = _file()
    return lambda: np.asarray(load(path).layers[-2].weights[0])


def _scipy_loading():
    """The peer of our reader is scipy's."""
    from scipy.io import loadmat

    path = _file()
    return lambda: loadmat(path)
