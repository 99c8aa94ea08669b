"""What MATLAB's programs ask of their surroundings: files, figures, time."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet.records import Struct


def load(path: str, *names: str) -> Struct:
    """load('file.mat', 'a', 'b'): a Struct of the file's variables, all of them unless named."""
    from pyconvnet.formats.mat import matfile

    path = path if Path(path).exists() or Path(path).suffix else path + ".mat"
    found = matfile.read(path)
    names = tuple(n for n in names if not n.startswith("-"))
    return Struct({name: found[name] for name in names} if names else found)


def save(path: str, *variables: Any) -> None:
    """save('file.mat', 'a', a, 'b', b): names and values, or one Struct of them."""
    from pyconvnet.formats.mat import matfile

    values = variables[0] if len(variables) == 1 else dict(zip(variables[::2], variables[1::2]))
    values = {name: v.saveobj() if hasattr(v, "saveobj") else v for name, v in values.items()}
    matfile.write(path if Path(path).suffix else path + ".mat", values)


def imread(path: str) -> np.ndarray:
    """The pixels of an image."""
    from pyconvnet import images

    return images.imread(path)


def imwrite(image: Any, path: str, *_: Any) -> None:
    """Write an image; values in single or double are 0..1, logical 0 and 1."""
    from pyconvnet import images
    from pyconvnet.compat import matlab as ml

    images.imwrite(ml.im2uint8(np.asarray(image)), path)


def delete(*paths: str) -> None:
    """Remove files; a name may have *."""
    for path in paths:
        folder, pattern = os.path.split(path)
        for name in os.listdir(folder or "."):
            if fnmatch.fnmatch(name, pattern):
                os.remove(os.path.join(folder, name))


def isdir(path: str) -> bool:
    """Whether a folder exists."""
    return os.path.isdir(path)


def isfile(path: str) -> bool:
    """Whether a file exists."""
    return os.path.isfile(path)


isfolder = isdir


def filesep() -> str:
    """What separates folders in names of files."""
    return os.sep


def ispc() -> bool:
    """Whether this is Windows."""
    return os.name == "nt"


def isunix() -> bool:
    """Whether this is not Windows."""
    return os.name != "nt"


def vl_rootnn() -> str:
    """The folder that data of examples are in: here the one that relative names start from."""
    return "."


def pwd() -> str:
    """The folder that relative names start from."""
    return os.getcwd()


def _plots() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError("figures need matplotlib: pip install 'pyconvnet[plot]'") from None
    return plt


def figure(*number: Any) -> Any:
    """A figure of matplotlib."""
    return _plots().figure(*(int(n) for n in number[:1] if not isinstance(n, str)))


def clf(*_: Any) -> None:
    """Clear the figure."""
    _plots().clf()


def close(*_: Any) -> None:
    """Close all figures."""
    _plots().close("all")


def subplot(rows: Any, columns: Any, at: Any) -> Any:
    """One of several axes, counted from 1 row by row."""
    return _plots().subplot(int(rows), int(columns), int(np.ravel(at)[0]))


vl_tightsubplot = subplot


def plot(*arguments: Any) -> Any:
    """Lines; 'name', value pairs are those of matplotlib's Line2D in small letters."""
    plain: list[Any] = [np.ravel(a) if not isinstance(a, str) else a for a in arguments]
    options: dict[str, Any] = {}
    while len(plain) >= 3 and isinstance(plain[-2], str) and plain[-2].isalpha() and len(plain[-2]) > 4:
        v, name = plain.pop(), plain.pop()
        options[name.lower()] = v.item() if np.size(v) == 1 and not isinstance(v, str) else v
    return _plots().plot(*plain, **options)


def imagesc(image: Any, *_: Any) -> Any:
    """An image, its values stretched over all colours."""
    return _plots().imshow(np.squeeze(image), aspect="auto")


def imshow(image: Any, *_: Any) -> Any:
    """An image; grey where it has one channel."""
    return _plots().imshow(np.squeeze(image), cmap="gray")


image = imshow


def axis(*arguments: Any) -> None:
    """axis off, axis equal, axis image, axis([x0 x1 y0 y1])."""
    for a in arguments:
        _plots().axis(a if a in ("off", "on", "equal", "tight", "image", "square") else np.ravel(a).tolist())


def hold(*_: Any) -> None:
    """matplotlib always holds."""


colormap = colorbar = drawnow = more = format = clc = hold


def grid(*_: Any) -> None:
    """Lines behind a plot."""
    _plots().grid(True)


def title(text: str, *_: Any) -> None:
    """Text above the axes."""
    _plots().title(text)


def xlabel(text: str, *_: Any) -> None:
    """Text below the x axis."""
    _plots().xlabel(text)


def ylabel(text: str, *_: Any) -> None:
    """Text beside the y axis."""
    _plots().ylabel(text)


def xlim(*limits: Any) -> None:
    """Limits of the x axis."""
    _plots().xlim(*np.ravel(limits[0]).tolist())


def ylim(*limits: Any) -> None:
    """Limits of the y axis."""
    _plots().ylim(*np.ravel(limits[0]).tolist())


def legend(*names: Any) -> None:
    """Names of the lines."""
    texts = [t for n in names for t in (n if isinstance(n, list) else [n]) if isinstance(t, str)]
    _plots().legend([t for t in texts if t.lower() not in ("location", "northeast", "best", "southwest")])


def print_(*arguments: Any) -> None:
    """print(fig, 'file.pdf', '-dpdf'): writes the figure."""
    from pyconvnet import view

    path = next((a for a in arguments if isinstance(a, str) and not a.startswith("-")), None)
    if path:
        view.save(_plots().gcf(), path if Path(path).suffix else path + ".pdf", dpi=100)
