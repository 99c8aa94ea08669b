"""training.json beside the checkpoints: settings, versions and the last confusion matrices, for reports.

The state needed to resume is in the checkpoints; this file tells whether they belong to the same run (see resume.py).
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet._version import __version__
from pyconvnet.arrays import size_text

NAME = "training.json"


def write(folder: Path, **content: Any) -> None:
    """Write the content as JSON, whole or not at all; arrays become lists, functions their names."""
    atomic.write(folder / NAME, json.dumps(json_value({**content, "versions": versions()}), indent=1))


def read(folder: Path) -> dict[str, Any]:
    """The content that `write` wrote, or {} where there is none. ValueError for a file that holds something else."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(found).__name__}")
    return found


def versions() -> dict[str, str]:
    """Versions of Python, pyconvnet and its dependencies; operating system and kind of machine."""
    from importlib.metadata import PackageNotFoundError, version

    out = {"pyconvnet": __version__, "Python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "h5py"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return {**out, "system": f"{platform.system()} {platform.machine()}"}


def json_value(value: Any) -> Any:
    """A value that JSON can hold: arrays as lists, functions as their names."""
    if isinstance(value, dict):
        return {str(k): json_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(v) for v in value]
    if isinstance(value, np.ndarray):
        # a confusion matrix of 256 classes, a list of 4096 images
        few = value.size <= (65536 if value.ndim == 2 else 4096)
        return value.tolist() if few else f"<{size_text(value.shape)} {value.dtype}>"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, "__name__", str(value))
