"""Loading a network of 528 MB (VGG-VD-16's weights) against a bare read of the same file.

    python tests/bench/loading.py [--rounds 5] [--folder FOLDER]

Version 5 and its compressed form, 7, against scipy.io.loadmat, version 7.3, plain and compressed as MATLAB writes it,
against h5py reading every dataset. Each load is a process of its own,
in turn, after one that brings the file into the system's cache. Time is that of the load alone, memory the growth of
the process's peak over what it was before, in units of the parameters' bytes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

SIZES = [(3, 3, *s) for s in ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256), (256, 512))]
SIZES += [(3, 3, 512, 512)] * 5 + [(7, 7, 512, 4096), (1, 1, 4096, 4096), (1, 1, 4096, 1000)]
WEIGHTS = 4 * sum(int(np.prod(s)) + s[3] for s in SIZES)

READ = {
    "pyconvnet": "import pyconvnet; read = lambda p: pyconvnet.load(p)",
    "scipy": "import scipy.io; read = lambda p: scipy.io.loadmat(p)",
    "h5py": """
import h5py
def read(path):
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
    return found
""",
}
MEASURE = """
import json, sys, time
def peak():
    with open('/proc/self/status') as f:
        return next(int(line.split()[1]) for line in f if line.startswith('VmHWM')) * 1024
if sys.argv[2] == 'pyconvnet':
    import h5py, pyconvnet.compat.tidy, pyconvnet.formats.mat.v5, pyconvnet.formats.mat.v73, pyconvnet.simplenn
before = peak()
start = time.perf_counter()
kept = read(sys.argv[1])
print(json.dumps({'seconds': time.perf_counter() - start, 'bytes': peak() - before}))
"""


def write(folder: Path) -> list[tuple[str, str, Path]]:
    """The network in each version: (name, rival, file)."""
    import scipy.io

    rng = np.random.default_rng(0)
    layers = np.empty((1, len(SIZES)), object)
    for i, size in enumerate(SIZES):
        weights = np.empty((1, 2), object)
        weights[0, 0] = np.asfortranarray(rng.standard_normal(size, dtype=np.float32))
        weights[0, 1] = np.zeros((1, size[3]), np.float32)
        layers[0, i] = {
            "type": "conv",
            "name": f"conv{i}",
            "weights": weights,
            "stride": [[1.0, 1]],
            "pad": [[1.0] * 4],
        }
    files = []
    for name, rival, packed in (("5", "scipy", 0), ("7", "scipy", 1), ("7.3", "h5py", 0), ("7.3 gzip", "h5py", 1)):
        path = folder / f"v{name}.mat"
        if rival == "scipy":
            scipy.io.savemat(path, {"layers": layers}, do_compression=bool(packed))
        else:
            write_73(path, layers[0], {"compression": "gzip", "compression_opts": 3} if packed else {})
        files.append((name, rival, path))
    return files


def write_73(path: Path, layers, how: dict) -> None:
    """As MATLAB lays a version 7.3 file out: cells hold references into #refs#, arrays come axis-reversed."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        refs = file.create_group("#refs#")

        def named(item, kind):
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        def array(group, name, value):
            value = np.asarray(value)
            large = how if value.size > 1000 else {}
            return named(group.create_dataset(name, data=value.T, **large), str(value.dtype))

        def cell(group, name, items):
            return named(group.create_dataset(name, data=np.array([[i.ref] for i in items], h5py.ref_dtype)), "cell")

        entries = []
        for i, layer in enumerate(layers):
            entry = named(refs.create_group(f"l{i}"), "struct")
            text = np.array([[ord(c)] for c in layer["type"]], np.uint16)
            named(entry.create_dataset("type", data=text), "char")
            w = [array(refs, f"w{i}_{j}", v) for j, v in enumerate(layer["weights"][0])]
            for item in w:
                item.attrs["MATLAB_class"] = np.bytes_("single")
            cell(entry, "weights", w)
            for field in ("stride", "pad"):
                named(array(entry, field, np.array(layer[field])), "double")
            entries.append(entry)
        cell(file, "layers", entries)
    with open(path, "r+b") as f:
        f.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def measure(path: Path, reader: str) -> dict:
    """One load in a process of its own."""
    command = [sys.executable, "-c", READ[reader] + MEASURE, str(path), reader]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="write the files (2.1 GB) here rather than to a temporary folder")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print(f"{'version':<9} {'pyconvnet s':>12} {'rival s':>9} {'ratio':>6} {'our peak':>9} {'rival peak':>11}")
        for name, rival, path in write(Path(folder)):
            measure(path, rival)
            found: dict[str, list] = {"pyconvnet": [], rival: []}
            for _ in range(args.rounds):
                for reader in found:
                    found[reader].append(measure(path, reader))
            ours, theirs = (median(r["seconds"] for r in found[k]) for k in ("pyconvnet", rival))
            peaks = [median(r["bytes"] for r in found[k]) / WEIGHTS for k in ("pyconvnet", rival)]
            print(f"{name:<9} {ours:12.3f} {theirs:9.3f} {ours / theirs:6.2f} {peaks[0]:9.2f} {peaks[1]:11.2f}")


if __name__ == "__main__":
    main()
