"""The trained networks that MatConvNet offers for download, by name."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyconvnet.options import did_you_mean

MIRRORS = ("https://www.vlfeat.org/matconvnet/models",)
# MD5 sums that MatConvNet publishes (its manual's page on pretrained models, section "File checksums")
PUBLISHED: dict[str, str | None] = {
    "fast-rcnn-caffenet-pascal07-dagnn": "9dcc29b03edb5b136fda31fcd59bd025",
    "fast-rcnn-vgg16-pascal07-dagnn": "961f997d7ff922f1ff6b7b20ad677a4c",
    "fast-rcnn-vggm1k-pascal07-dagnn": "f09a662aef88ac4c23d294eb1fb6f385",
    "imagenet-caffe-alex": "b5152a54bf61100a8ed61827c76e7d08",
    "imagenet-caffe-ref": "675dd47906d34f4d9a70fc44210d3804",
    "imagenet-googlenet-dag": "97f4e1aa9ad6ed33fd325835710c5092",
    "imagenet-matconvnet-alex": "0998b7f66bd8dcbb78a3e75aaa6127f3",
    "imagenet-matconvnet-vgg-f": "790e116ec817a58960b103514891fdbf",
    "imagenet-matconvnet-vgg-m": "7e07705fc60c178ee3d2c09dab33acf3",
    "imagenet-matconvnet-vgg-s": "82d5705d292714d0d6581a834485705b",
    "imagenet-matconvnet-vgg-verydeep-16": "89a117515f66c3d7b0eb9d0516c65141",
    "imagenet-resnet-50-dag": "d72aa76a8ddf8bd96e405ac0ba827724",
    "imagenet-resnet-101-dag": "16ff04c36c7bd33510e4a81db6dc764b",
    "imagenet-resnet-152-dag": "f399bef82f5bcaf290d07ccc818833d7",
    "imagenet-vgg-f": "3513562d28089bd965cc050cbf8597a6",
    "imagenet-vgg-m": "29294d5f62578c96a3533859514235f2",
    "imagenet-vgg-m-128": "3a8dc312a44a99d21ad43e8d96a8590f",
    "imagenet-vgg-m-1024": "1410d01878346f911e991dd0c1bb983b",
    "imagenet-vgg-m-2048": "087ec812e0a09980bd934e2e7ba157f6",
    "imagenet-vgg-s": "dbe23da22e82078debda75842b16d5fa",
    "imagenet-vgg-verydeep-16": "f72d927587ca4c97fbd165ec9cb9997f",
    "imagenet-vgg-verydeep-19": "106118b7cf60435e6d8e04f6a6dc3657",
    "pascal-fcn32s-dag": "a1331885ec72a0721e51ac9d16262a48",
    "pascal-fcn16s-dag": "2e49dd427829cdbc08a0154f994687d7",
    "pascal-fcn8s-dag": "0eeb6a4bc819616ea66f88a3db878983",
    "pascal-fcn8s-tvg-dag": "b0f7bd5833b555c6241dd0c05897ca41",
    "vgg-face": "3d6cd504bf9c98af4a561aad059565d1",
}
# The SimpleNN of release 1.0-beta16, in its older format, which code of that time reads by position. No sums were
# published; the one of VGG-VD-19 is in many repositories that use the file.
PUBLISHED |= {
    f"beta16/{name}": None for name in PUBLISHED if name.startswith(("imagenet-caffe", "imagenet-vgg", "vgg-face"))
}
PUBLISHED["beta16/imagenet-vgg-verydeep-19"] = "8ee3263992981a1d26e73b3ca028a123"


def published_names() -> list[str]:
    """The names of the networks that `pretrained` and `fetch` know."""
    return list(PUBLISHED)


def models_folder() -> Path:
    """Where fetched networks are: PYCONVNET_MODELS, else a folder of the system's caches."""
    if chosen := os.environ.get("PYCONVNET_MODELS"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    else:
        cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
        cache = cache if cache.is_absolute() else Path.home() / ".cache"
    return cache / "pyconvnet" / "models"


def fetch(
    name: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    mirrors: str | Sequence[str] | None = None,
    progress: bool = True,
) -> Path:
    """The file of a network that MatConvNet offers, which is fetched unless it is there: fetch("imagenet-vgg-f")

    folder    where the file is or goes; None: `models_folder()`, which the variable PYCONVNET_MODELS can say
    mirrors   addresses of folders with NAME.mat, asked one after the other in place of www.vlfeat.org: of web servers,
              file://, or a path; None: those in the variable PYCONVNET_MIRRORS, with blanks or commas between
    progress  a bar, on a terminal where tqdm is installed

    A download that breaks off goes on where it broke, also in another call. The file is there whole, with the MD5 that
    MatConvNet publishes, or not at all. Names with "beta16/" are of networks in the format of that release, most of
    which have no published sum and are not checked, which warns.

    Raises ValueError for an unknown name, with the nearest known one, and OSError where no mirror gives the file, with
    what each answered and which file to put where by other means.
    """
    from pyconvnet.download import download

    if name not in PUBLISHED:
        hint = did_you_mean(str(name), PUBLISHED, f"there are {', '.join(PUBLISHED)}")
        raise ValueError(f"models.fetch: no published network {name!r}; {hint}")
    target, md5 = path_of(name, folder), PUBLISHED[name]
    if md5 is None and not target.exists():
        warnings.warn(f"models.fetch: there is no published MD5 of {name}, so it is not checked", stacklevel=2)
    try:
        return download([f"{base}/{name}.mat" for base in _mirrors(mirrors)], target, md5, progress)
    except OSError as error:
        if target.exists() or error.errno is not None:
            raise
        sum_ = f" (MD5 {md5})" if md5 else ""
        raise OSError(
            f"models.fetch: {name} could not be fetched: {error}. Without access to the web, put {target.name}{sum_} "
            f"into {target.parent}, or set PYCONVNET_MODELS to the folder that has it"
        ) from None


def pretrained(
    name: str,
    *,
    folder: str | os.PathLike[str] | None = None,
    mirrors: str | Sequence[str] | None = None,
    progress: bool = True,
) -> Any:
    """A trained network that MatConvNet offers, fetched if need be: pretrained("imagenet-vgg-verydeep-16")

    A SimpleNN, or a DagNN for names with "dag". folder, mirrors, progress and errors: `fetch`. A file that is there
    already is loaded as it is.
    """
    from pyconvnet.formats import load

    here = path_of(name, folder) if name in PUBLISHED else None
    return load(here if here and here.exists() else fetch(name, folder=folder, mirrors=mirrors, progress=progress))


def path_of(name: str, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where the file of a published network is, once it is there."""
    return (models_folder() if folder is None else Path(folder)) / f"{name}.mat"


def _mirrors(given: str | Sequence[str] | None) -> list[str]:
    if given is None:
        given = os.environ.get("PYCONVNET_MIRRORS", "").replace(",", " ").split() or MIRRORS
    bases = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    return [base.rstrip("/") if "://" in str(base) else Path(base).resolve().as_uri() for base in bases]
