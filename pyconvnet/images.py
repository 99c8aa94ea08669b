"""Image files to arrays and back, as MATLAB's imread and imwrite do. Needs Pillow: pip install 'pyconvnet[image]'."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pyconvnet import atomic
from pyconvnet.arrays import size_text

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm", ".webp")  # of images in folders
ALPHA = {"LA": "L", "La": "L", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB"}


def imread(path: str | os.PathLike[str], indexed: bool = False) -> Any:
    """
    imread(path) -> A                       H x W (grey) or H x W x 3 (RGB): uint8 or uint16, logical if 1 bit per pixel
    imread(path, indexed=True) -> X, map    of an image with a palette: X H x W uint8, colours counted from 0;
                                            map M x 3 double, 0..1

    The first image of the file; its alpha channel is dropped, and the camera's orientation (EXIF) is not applied. An
    image with a palette becomes RGB: MATLAB's imread returns X there, which needs its map. Images of
    floating-point numbers are single, whole numbers beyond 16 bits int32. Colours of 16 bits are read whole from PNG
    files; of TIFF and interlaced PNG files Pillow gives the upper 8 bits, which warns.

    Raises FileNotFoundError, and ValueError for files that are not images or have pixels of another kind; both
    name the file.
    """
    Image = pillow("imread")
    name = os.fspath(path)
    try:
        with Image.open(name) as picture:
            # Pillow drops the lower half of 16-bit colours without a word; before load it says how they are stored.
            deep = not picture.mode.startswith("I") and any(";16" in str(tile[3]) for tile in picture.tile)
            picture.load()
    except FileNotFoundError:
        raise FileNotFoundError(f"imread: there is no file {name!r}") from None
    except IsADirectoryError:
        raise ValueError(f"imread: {name!r} is a folder") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise ValueError(f"imread: {name!r} cannot be read as an image: {e}") from e
    if deep and _is_png16(name):
        return _deep(name)
    if deep:
        warnings.warn(
            f"imread: {name!r} has colours of 16 bits; only the upper 8 are read: a PNG file, not interlaced, is "
            "read whole",
            stacklevel=2,
        )
    if indexed:
        if picture.mode != "P":
            raise ValueError(f"imread: {name!r} has no palette (it is {picture.mode}); leave indexed out")
        colours = np.array(picture.getpalette("RGB"), np.float64).reshape(-1, 3)
        return np.array(picture), colours / 255
    return _pixels(name, picture)


def imwrite(A: np.ndarray, path: str | os.PathLike[str], quality: int = 75) -> None:
    """Write an image; the ending of the path says the format.

    A        H x W, H x W x 1 or H x W x 3: uint8, uint16 (grey only), logical (one bit per pixel); or single or double
             in 0..1, which become uint8 = 255 A, rounded and clipped, as in MATLAB
    quality  of JPEG, 0..100
    """
    Image = pillow("imwrite")
    name, A = os.fspath(path), np.asarray(A)
    if A.ndim == 3 and A.shape[2] == 1:
        A = A[:, :, 0]
    if not A.size or A.ndim not in (2, 3) or (A.ndim == 3 and A.shape[2] != 3):
        raise ValueError(f"imwrite: A must be H x W or H x W x 3 for {name!r}, got {size_text(A.shape)}")
    if A.dtype.kind == "f":
        A = np.floor(np.clip(np.nan_to_num(A), 0, 1) * 255 + 0.5).astype(np.uint8)
    if A.dtype not in (bool, np.uint8, np.uint16) or (A.ndim == 3 and A.dtype != np.uint8):
        raise TypeError(
            f"imwrite: A must be uint8, single or double, or for grey images uint16 or logical; got {A.dtype}, "
            f"{size_text(A.shape)} for {name!r}"
        )
    picture = Image.fromarray(np.ascontiguousarray(A))
    format = format_of(name)
    options = {"quality": quality} if format == "JPEG" else {}
    try:
        encoded = io.BytesIO()  # into a file Pillow writes past Python, and does not notice that the disk is full
        picture.save(encoded, format, **options)
        atomic.write(name, encoded.getvalue())
    except (OSError, ValueError, KeyError) as e:
        raise ValueError(f"imwrite: cannot write {name!r}: {getattr(e, 'strerror', None) or e}") from e


def format_of(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format in which imwrite writes a path; ValueError where its ending says none."""
    Image = pillow("imwrite")
    ending = os.path.splitext(path)[1].lower()
    format = Image.registered_extensions().get(ending)
    if format not in Image.SAVE:
        raise ValueError(f"imwrite: cannot write {os.fspath(path)!r}: unknown file extension: {ending}")
    return format


def image_files(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """The images in a folder by the endings of their names, sorted; hidden ones are left out.

    recursive  also those in its folders

    Raises OSError where there is no such folder.
    """
    found = []
    for entry in Path(folder).iterdir():
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            found += [entry] if entry.suffix.lower() in ENDINGS else []
        elif recursive and not entry.is_symlink():  # a link may lead back up
            found += image_files(entry, True)
    return sorted(found)


def read_single(path: str | os.PathLike[str]) -> np.ndarray:
    """
    read_single(path) -> x      x: H x W x 1 (grey) or H x W x 3 (RGB), single, 0..255

    An image file as the input of networks: single(imread(name)). Raises as they do, with the file's name.
    """
    A = imread(path)
    if A.dtype == np.int32:
        raise ValueError(
            f"imread: {os.fspath(path)!r} holds whole numbers of 32 bits, whose range of brightness is not known: "
            "save it with 16 bits or as floating-point numbers"
        )
    return single(A)


def single(A: np.ndarray, fn: str = "single") -> np.ndarray:
    """H x W x C in single precision, 0..255, of H x W or H x W x C: uint8 as it is, uint16 / 257, logical times 255,
    single and double as they are. TypeError, in the name of `fn`, for another type.
    """
    x = A.reshape(*A.shape[:2], -1)
    if x.dtype == np.uint16:
        return x.astype(np.float32) / np.float32(257)
    if x.dtype == bool:
        return x.astype(np.float32) * np.float32(255)
    if x.dtype in (np.uint8, np.float32, np.float64):
        return x.astype(np.float32)
    raise TypeError(f"{fn}: image must be uint8, uint16, logical, single or double, got {A.dtype}")


def pillow(fn: str) -> Any:
    """The module PIL.Image, or an ImportError that says how to get it."""
    try:
        from PIL import Image
    except ImportError as e:
        raise ImportError(f"{fn}: reading and writing images needs Pillow: pip install 'pyconvnet[image]'") from e
    return Image


def _is_png16(name: str) -> bool:
    """Whether it is a PNG file that `decode` can read: not an interlaced one."""
    with open(name, "rb") as file:
        head = file.read(29)
    return head.startswith(b"\x89PNG") and head[28:] == b"\0"


def _deep(name: str) -> np.ndarray:
    from pyconvnet.compat.png16 import decode

    try:
        with open(name, "rb") as file:
            return decode(file.read())[:, :, :3]
    except ValueError as error:
        raise ValueError(f"imread: {name!r} has colours of 16 bits: {error}; save it with 8") from None


def _pixels(name: str, picture: Any) -> np.ndarray:
    mode = picture.mode
    if mode in ("P", "PA"):
        return np.array(picture.convert("RGB"))
    if mode in ALPHA:
        return np.array(picture.convert(ALPHA[mode]))
    if mode in ("1", "L", "RGB", "F"):
        return np.array(picture)
    if mode.startswith("I"):
        A = np.array(picture)
        # Older releases of Pillow hold 16 bits in 32.
        return A.astype(np.uint16) if mode != "I" or (A.min() >= 0 and A.max() <= 65535) else A
    raise ValueError(f"imread: {name!r} holds {mode} pixels; images must be grey, RGB or palette: convert it first")
