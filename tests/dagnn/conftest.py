from pathlib import Path

import numpy as np
import pytest

from pyconvnet.records import Struct

ROOT = Path(__file__).parents[2]


def _plain(value):
    """What scipy's loadmat returns, as plain values: structs, cells and strings unwrapped, numeric arrays untouched."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        structs = [Struct({n: _plain(e[n]) for n in value.dtype.names}) for e in value.ravel(order="F")]
        return structs[0] if value.size == 1 else structs
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(e) for e in value.ravel(order="F")]
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return str(value.ravel()[0]) if value.size else ""
    return value


@pytest.fixture(scope="session")
def read_mat():
    """Variables of a MAT file as plain values, read by scipy alone."""
    from scipy.io import loadmat

    return lambda path: {k: _plain(v) for k, v in loadmat(path).items() if not k.startswith("__")}


@pytest.fixture(scope="session")
def dags():
    """The folder of reference graphs."""
    return ROOT / "matlab_fixtures" / "dags"


@pytest.fixture(scope="session")
def shared():
    """The folder of real networks, which is not part of the repository."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("real networks are not here")
    return folder
