"""MAT files as plain values: `read` for every version that MATLAB ever wrote, `write` for version 7.

What MATLAB calls   is in Python
struct 1 x 1        Struct                  struct array   list of Struct, column by column
cell                list                    char           str; a list of str where it has several rows, without
                                                           the blanks at their ends
numeric             ndarray of MATLAB's type and shape (never squeezed), column-major
logical             ndarray of bool         sparse         scipy.sparse.csc_matrix
function handle, object of a class          Opaque, by name: nothing in a file is ever executed
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pyconvnet import atomic
from pyconvnet.formats.registry import found_instead
from pyconvnet.text import visible

HDF5 = b"\x89HDF\r\n\x1a\n"
COLUMNS = 1 << 26  # of a sparse matrix of version 4, whose file has only its elements; 8 bytes each in memory


class MatFileError(ValueError):
    """A file that is not a MAT file, is damaged, or holds no network; the message names the file."""


def read(path: str | os.PathLike[str], lazy: Collection[str] = ()) -> dict[str, Any]:
    """The variables of a MAT file, of version 4, 5, 6, 7 or 7.3.

    lazy  names of numeric arrays in a file of version 7.3, such as "/images/data", for which LazyArrays stand in

    Raises FileNotFoundError, IsADirectoryError; MatFileError for a file that is not a MAT file or is damaged.
    """
    path = Path(path)
    with open(path, "rb") as file:
        head = file.read(1024)
    try:
        if HDF5 in (head[:8], head[512:520]):
            from pyconvnet.formats.mat import v73

            return v73.read(path, lazy)
        if len(head) >= 128 and head[126:128] in (b"IM", b"MI"):
            from pyconvnet.formats.mat import v5

            with open(path, "rb") as file:
                return v5.read(file)
        return _version4(path, head)
    except (OSError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise MatFileError(f"{path.name} cannot be read as a MAT file: {visible(str(error))}") from error


def _version4(path: Path, head: bytes) -> dict[str, Any]:
    # A version 4 file starts with a number M O P T in decimal digits: only few are possible.
    kinds = {m * 1000 + p * 10 + t for m in (0, 1) for p in range(6) for t in range(3)}
    orders = [order for order in ("little", "big") if int.from_bytes(head[:4], order) in kinds]
    if len(head) < 20 or not orders:
        raise ValueError(found_instead(head) or "its first bytes are those of no version")
    _check_sizes(path, orders[0])
    import scipy.io

    from pyconvnet.formats.mat.v5 import text

    def plain(value: Any) -> Any:
        if hasattr(value, "tocsc"):
            if value.shape[1] > COLUMNS:
                raise ValueError(
                    f"a sparse matrix has {value.shape[1]} columns, more than {COLUMNS}: the file is damaged"
                )
            return value.tocsc()
        return text(value) if value.dtype.kind == "U" else value.astype(value.dtype.newbyteorder("="), copy=False)

    try:
        values = scipy.io.loadmat(path, chars_as_strings=False)
    except scipy.io.matlab.MatReadError as error:  # which is none of Python's own
        raise ValueError(str(error)) from None
    return {name: plain(value) for name, value in values.items() if not name.startswith("__")}


def _check_sizes(path: Path, order: Any) -> None:
    """Refuse variables that are larger than what stands in the file, before memory is asked for."""
    size, at = path.stat().st_size, 0
    with open(path, "rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(20)
            kind, rows, columns, imaginary, name = (
                int.from_bytes(head[i : i + 4], order, signed=True) for i in range(0, 20, 4)
            )
            if len(head) < 20 or min(kind, rows, columns, name) < 0 or kind // 10 % 10 > 5:
                raise ValueError(f"the variable at byte {at} has no head: the file is damaged")
            holds = rows * columns * (8, 4, 4, 2, 2, 1)[kind // 10 % 10] * (2 if imaginary else 1) + name
            if at + 20 + holds > size:
                raise ValueError(f"the variable at byte {at} must hold {holds} bytes, {size - at - 20} are there")
            at += 20 + holds


def write(path: str | os.PathLike[str], values: dict[str, Any]) -> None:
    """Write variables as a MAT file of version 7 (compressed), whole or not at all; `read` gives the same values.

    A list is written as a cell, of Python numbers as a row, a StructArray as a struct array. An array of strings or of
    objects is written as a cell of its elements, column by column, of one string as that; names that numpy or scipy
    fill up with blanks lose them.
    Raises TypeError for values that a MAT file cannot hold, and
    ValueError for an array over 2 GiB or text with half a character (a lone surrogate), with the place where it stands.
    """
    import scipy.io

    from pyconvnet.formats.mat.encode import matlab_value

    content = {name: matlab_value(value, name) for name, value in values.items()}
    atomic.write(
        path, lambda draft: scipy.io.savemat(draft, content, do_compression=True, long_field_names=True, oned_as="row")
    )
