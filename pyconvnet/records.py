"""MATLAB's struct, and a stand-in for values of a file that Python cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pyconvnet.arrays import size_text
from pyconvnet.text import listed, visible


class Struct(dict):
    """A MATLAB struct: fields as attributes or items, in the order they were set.

    >>> layer = Struct(type="conv", stride=1)
    >>> layer.stride = 2
    >>> layer["stride"]
    2
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = listed(self) or "none"
            raise AttributeError(f"no field {name!r}; fields: {known}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no field {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *map(str, self)})

    def __copy__(self) -> Struct:
        return type(self)(self)

    copy = __copy__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{visible(str(k))}={_brief(v)}' for k, v in self.items())})"


class Meta(Struct):
    """The meta of a network: `meta.trainOpts.weightDecay = 1` makes trainOpts first, as MATLAB's assignment does.

    >>> meta = Meta()
    >>> meta.normalization.imageSize = (28, 28, 1)
    >>> meta
    Meta(normalization=Struct(imageSize=(28, 28, 1)))
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name in ("trainOpts", "normalization", "augmentation", "classes"):
            return self.setdefault(name, Struct())
        return super().__getattr__(name)


class StructArray(list):
    """Structs with the same fields, written to a `.mat` file as MATLAB's struct array (1 x n) instead of a cell.

    fields  fields of an empty one: MATLAB's fieldnames accepts a struct array, not a cell
    """

    def __init__(self, items: Iterable[Struct] = (), fields: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.fields = list(self[0] if self else fields)


class Opaque:
    """A value of a `.mat` file that only MATLAB can hold: a function handle, or an object of a class.

    It is kept so that the rest of the file loads, is shown by name, and says what it is when it is called.
    `kind` is "function_handle" or "object", `name` the function's text or the class, `data` its content in the file.
    """

    __slots__ = ("data", "kind", "name")

    def __init__(self, kind: str, name: str, data: Any = None) -> None:
        self.kind, self.name, self.data = kind, name, data

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"this is the MATLAB {self.kind.replace('_', ' ')} {self.name!r} from a .mat file, which cannot be run "
            "here: replace it by a Python function"
        )

    def __repr__(self) -> str:
        return f"Opaque({self.kind} {self.name!r})"


def check_weights(fn: str, layers: Iterable[Any]) -> None:
    """Refuse layers whose weights are not in a list, as other readers of MAT files leave them."""
    for i, record in enumerate(layers, 1):
        weights = record.get("weights") if isinstance(record, dict) else None
        if not isinstance(weights, (list, tuple, type(None))):
            raise TypeError(
                f"{fn}: the weights of layer {i} must be a list of arrays, got {type(weights).__name__}; "
                "vl_simplenn_tidy makes a list of them, pyconvnet.load as well"
            )


def reader_hint(net: Any) -> str:
    """What to do about a value of scipy.io.loadmat that is no network yet; "" for others."""
    return "; pyconvnet.load reads .mat files" if isinstance(net, dict) and "__header__" in net else ""


def plain_text(value: Any) -> Any:
    """Text in numpy's arrays as plain text: names that an array of strings or objects holds as a list of them, column
    by column; an array of one string as str, which is how scipy reads text of one row. Of names in one array blanks at
    their ends go, with which char matrices fill them up. Everything else as it is.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if not kind or kind not in "OSTU":
        return value
    items = value.ravel(order="F").tolist()
    if kind == "O":
        return [plain_text(item) for item in items]
    names = [str(plain_text(item)) for item in items]
    return "".join(names) if len(names) < 2 else [name.rstrip(" \0") for name in names]


def _brief(value: Any) -> str:
    if hasattr(value, "shape") and getattr(value, "size", 0) > 8:
        return f"<{size_text(value.shape)} {value.dtype}>"
    if isinstance(value, list):
        return f"<list of {len(value)}>" if len(value) > 4 else f"[{', '.join(map(_brief, value))}]"
    return repr(value)
