"""Translation of MATLAB experiments to Python: `pyconvnet port FOLDER`, or port(folder, out)."""

from typing import Any


def __getattr__(name: str) -> Any:
    # Translated programs import pyconvnet.port.runtime, which must not need the parser.
    if name in ("port", "read_folder"):
        from pyconvnet.port import folder

        return getattr(folder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["port", "read_folder"]
