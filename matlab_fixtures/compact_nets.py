"""Makes nets/NAME.ref.mat smaller: of large derivatives of weights every 101st element is kept, column by column.

python matlab_fixtures/compact_nets.py FOLDER      FOLDER: the reference results as MatConvNet stored them
"""

import sys
from pathlib import Path

import numpy as np

from pyconvnet.compat import matfile
from pyconvnet.records import Struct

STEP, LARGE = 101, 4000


def thin(a: np.ndarray):
    """Every STEP-th element with the shape and the largest magnitude, for large arrays."""
    if not isinstance(a, np.ndarray) or a.size <= LARGE:
        return a
    return Struct(shape=np.array([a.shape], float), largest=np.abs(a).max().reshape(1, 1), values=a.ravel("F")[::STEP])


if __name__ == "__main__":
    for name in ("lenet", "lenet-cifar", "lenet-bn"):
        runs = matfile.read(Path(sys.argv[1]) / f"{name}.ref.mat")["runs"]
        for run in runs:
            run.dzdw = [[thin(d) for d in ders] for ders in run.dzdw]
            del run["x_after"]  # equal to forward: these runs conserve no memory
        matfile.write(Path(__file__).parent / "nets" / f"{name}.ref.mat", {"runs": runs})
