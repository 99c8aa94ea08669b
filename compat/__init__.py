if __name__ != "pyconvnet.compat":
    raise ImportError(
        f"this folder is the package pyconvnet.compat; it was imported as {__name__!r}: import pyconvnet.compat"
    )

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """Its modules: pyconvnet.compat.matlab ..."""
    try:
        return import_module("." + name, __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
