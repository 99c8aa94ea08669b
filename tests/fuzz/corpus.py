"""The files that mutants are made from: every fixture that is small, and what the fixtures do not have."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from pyconvnet.formats.mat import matfile
from tests.fuzz import v4
from tests.fuzz.v5 import HEAD, elements
from tests.mat73 import HDF5

FIXTURES = Path(__file__).parents[2] / "matlab_fixtures"
LARGEST = 300_000  # bytes: small files make many mutants
WIDTHS = {3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # bytes of a number, by the type of its element


def files(version: str, folder: Path) -> list[list[Path]]:
    """Networks, and files with other values; those that the fixtures do not have are written to `folder`."""
    if version == "v4":
        return [[_written(folder / f"v4-{i}.mat", data) for i, data in enumerate(v4.seeds())]]
    found = [p for p in sorted(FIXTURES.rglob("*.mat")) if p.stat().st_size < LARGEST]
    nets = [p for p in found if p.parent.name in ("nets", "dags") and not p.stem.endswith((".ref", ".sizes"))]
    others = [p for p in found if p not in nets]
    if version == "v5":
        return [[*nets, *_plain(nets[0], folder)], [*others, *_objects(folder)]]
    nets = [_as_73(p, folder, i) for i, p in enumerate(nets)]
    return [nets, [_as_73(p, folder, i) for i, p in enumerate(others) if p.stat().st_size < LARGEST // 10]]


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _plain(net: Path, folder: Path) -> list[Path]:
    """A network of version 6, where nothing is compressed, and the same in the other order of bytes."""
    plain = folder / "plain.mat"
    scipy.io.savemat(plain, {"layers": np.array([{"type": "relu", "name": "r"}], object), "meta": {"a": 1.0}})
    data = bytearray(plain.read_bytes())
    data[124:128] = data[125:123:-1] + b"MI"
    at = HEAD
    while at < len(data):
        size = 8 + struct.unpack_from("<I", data, at + 4)[0]
        data[at : at + size] = _swapped(bytes(data[at : at + size]))
        at += size
    return [plain, _written(folder / "swapped.mat", bytes(data))]


def _swapped(variable: bytes) -> bytes:
    """A variable in the other order of bytes."""
    data = bytearray(variable)
    for one in elements(variable):
        data[one.tag : one.tag + 4] = variable[one.tag : one.tag + 4][::-1]
        if not one.short:
            data[one.tag + 4 : one.tag + 8] = variable[one.tag + 4 : one.tag + 8][::-1]
        width = WIDTHS.get(one.kind, 1)
        for at in range(one.start, one.start + one.size, width):
            data[at : at + width] = variable[at : at + width][::-1]
    return bytes(data)


def _objects(folder: Path) -> list[Path]:
    """Sparse matrices, complex numbers, strings of several rows."""
    path = folder / "others.mat"
    scipy.io.savemat(
        path,
        {
            "sparse": scipy.sparse.csc_matrix(np.eye(5)),
            "flags": scipy.sparse.csc_matrix(np.eye(3, dtype=bool)),
            "complex": np.array([[1 + 2j, 3]]),
            "rows": np.array(["one", "three"]),
            "text": "é and \N{EURO SIGN}",
            "records": np.array([(1.0, "a"), (2.0, "b")], [("x", object), ("y", object)]),
            "nothing": np.zeros((0, 3)),
        },
        do_compression=True,
    )
    return [path]


def _as_73(source: Path, folder: Path, number: int) -> Path:
    """A file of version 7.3 with the same variables: of all that HDF5 offers, each file has another part."""
    path = folder / f"73-{number}-{source.name}"
    ways: list[dict[str, Any]] = [
        {},
        {"packing": {"compression": "gzip", "chunks": True}},
        {"libver": "latest"},
        {"packing": {"compression": "gzip", "shuffle": True, "fletcher32": True, "chunks": True}},
    ]
    file = HDF5(path, **ways[number % len(ways)])
    for name, value in matfile.read(source).items():
        file.put(file.file, name, value)
    file.file.close()
    return path
