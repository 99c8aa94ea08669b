"""MatConvNet's image loader: read, crop, resize and jitter many images, in threads and ahead of time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyconvnet import devices, rng
from pyconvnet.arrays import is_empty
from pyconvnet.compat.cropresize import WIDTHS, crop_box, resize_along
from pyconvnet.images import pillow, read_single
from pyconvnet.options import matlab_options
from pyconvnet.values import as_array, flag, number, path_text

FN = "vl_imreadjpeg"


@matlab_options(flags=("prefetch", "pack", "gpu", "flip", "verbose"))
def vl_imreadjpeg(
    files: Sequence[str | os.PathLike[str]],
    *,
    numThreads: int = 1,
    prefetch: bool = False,
    pack: bool = False,
    resize: Any = None,
    gpu: bool | str = False,
    cropLocation: str = "center",
    cropAnisotropy: Any = (1, 1),
    cropSize: Any = (1, 1),
    flip: bool = False,
    subtractAverage: Any = 0,
    brightness: Any = 0,
    contrast: float = 0,
    saturation: float = 0,
    interpolation: str = "bilinear",
    verbose: bool = False,
) -> Any:
    """
    vl_imreadjpeg(files) -> images            a list: H x W x 3 or, of grey images, H x W x 1; float32, 0..255
    vl_imreadjpeg(files, pack=True) -> x      one array, H x W x 3 x N; needs resize=(H, W), grey images get 3 channels
    vl_imreadjpeg(files, prefetch=True)       returns None at once; reading goes on. The next call with the same files,
                                              and with the same options or none, waits for them and returns them

    A file that cannot be read gives a warning and an empty array (0 x 0) in the list, whether others can be read or
    not; with pack, a ValueError. Images in CMYK cannot. All formats that Pillow knows are read, as models.preprocess
    reads them: grey, RGB and palette images of 1, 8 or 16 bits and of single, an alpha channel dropped, as 0..255.

    Options are keywords, or MATLAB's names and flags: vl_imreadjpeg(files, 'Resize', [224 224], 'Pack').

    numThreads      images are read by that many threads
    resize          (height, width) of the result; or a number, the size of its shorter side
    cropSize        (least, largest) part of the image's sides that a crop takes, 0..1; or one number for both
    cropLocation    "center", or "random" within the image
    cropAnisotropy  (least, largest) change of aspect, drawn for each image; or one number for both. 1 keeps the aspect,
                    so that crops of another shape than the image leave some of it out; 0 stretches to the image's shape
    flip            mirror left and right, every other image on average
    subtractAverage
                    a number, three numbers (RGB), or an H x W x 3 image of the size that resize says
    brightness      3 x 3 matrix B: B w is added to an image's pixels, w normally distributed, three numbers; or the
                    diagonal of B, as three numbers or one
    contrast        0..1: for each image C is drawn from 1 - contrast .. 1 + contrast
    saturation      0..1: likewise S
    interpolation   "bilinear", "box", "bicubic", "lanczos2", "lanczos3"
    gpu             True, or the name of a device (see pyconvnet.devices): the result is put there
    verbose         print the size of every image, of its crop and of the result

    The average image is subtracted first; then, for each pixel, z = C x + (1 - C) mean(x) - average + B w, and
    S z + (1 - S) mean of z's channels is returned. A grey image has one mean, one average (the first) and one shift.
    Random numbers are those of pyconvnet.rng, whatever the threads do: drawn in the order of the files, or in training
    from a generator for each image, where there is one file per image of the batch.

    MatConvNet 1.0-beta25 spoils bicubic when an odd whole number is the factor of shrinking (it drops the weights after
    the first that is zero), and puts brightness given as one or three numbers into wrong elements of B; this does not.

    Raises TypeError for files that are not a list of names, ValueError for options that do not fit.
    Source: MatConvNet, vl_imreadjpeg.
    """
    wanted = gpu if isinstance(gpu, str) else "gpu" if flag(f"{FN}: gpu", gpu) else "cpu"
    device = devices.full_name(FN, wanted) if wanted else "cpu"
    if isinstance(files, (str, bytes, os.PathLike)):
        raise TypeError(f"{FN}: files must be a list of file names, got one: {files!r}; write [{files!r}]")
    if not isinstance(files, Iterable):
        raise TypeError(f"{FN}: files must be a list of file names, got {type(files).__name__}")
    names = [path_text(f"{FN}: files", f) for f in files]
    options = _options(
        pack, resize, cropLocation, cropAnisotropy, cropSize, flip, subtractAverage, brightness, contrast, saturation,
        interpolation,
    )  # fmt: skip
    threads = number(f"{FN}: numThreads", numThreads, "a whole number", lambda n: n % 1 == 0)
    batch = _Prefetched.claim(names, options) or _Batch(names, options, max(int(threads), 1))
    if flag(f"{FN}: prefetch", prefetch):
        _Prefetched.batch = batch
        return None
    return devices.move(FN, batch.result(verbose), device)


@dataclass(frozen=True)
class _Options:
    """The checked options that determine the result; equal ones give images of the same kind."""

    pack: bool = False
    resize: tuple[int, ...] = ()
    random: bool = False
    anisotropy: tuple[float, float] = (1.0, 1.0)
    size: tuple[float, float] = (1.0, 1.0)
    flip: bool = False
    average: tuple[float, ...] = (0.0, 0.0, 0.0)
    averageImage: bytes = b""
    brightness: tuple[float, ...] = (0.0,) * 9
    contrast: float = 0.0
    saturation: float = 0.0
    interpolation: str = "bilinear"


def _options(
    pack: Any,
    resize: Any,
    location: Any,
    anisotropy: Any,
    size: Any,
    flip: Any,
    average: Any,
    brightness: Any,
    contrast: Any,
    saturation: Any,
    method: Any,
) -> _Options:
    resize = () if is_empty(resize) else as_array(resize).ravel()
    if len(resize) > 2 or not all(isinstance(v, np.number) and 1 <= v < np.inf for v in resize):
        raise ValueError(f"{FN}: resize must be the shorter side, or (height, width), from 1; got {tuple(resize)}")
    resize = tuple(int(v) for v in resize)
    pack, flip = flag(f"{FN}: pack", pack), flag(f"{FN}: flip", flip)
    if pack and len(resize) != 2:
        raise ValueError(f"{FN}: pack needs images of one size: give resize=(height, width)")
    if not isinstance(location, str) or location.lower() not in ("center", "random"):
        raise ValueError(f"{FN}: cropLocation must be 'center' or 'random', got {location!r}")
    anisotropy = _interval("cropAnisotropy", anisotropy, np.inf)
    size = _interval("cropSize", size, 1)
    contrast, saturation = (
        number(f"{FN}: {name}", value, "a number in 0..1", lambda v: 0 <= v <= 1)
        for name, value in (("contrast", contrast), ("saturation", saturation))
    )
    B, average = _numbers("brightness", brightness), _numbers("subtractAverage", average).astype(np.float32)
    if B.size not in (1, 3, 9):
        raise ValueError(f"{FN}: brightness must be 1, 3 or 3 x 3 numbers, got {B.size}")
    B = B.reshape(3, 3) if B.size == 9 else np.diag(np.broadcast_to(B.ravel(), 3))
    if not isinstance(method, str) or method.lower() not in WIDTHS:
        raise ValueError(f"{FN}: interpolation must be one of {', '.join(WIDTHS)}; got {method!r}")
    image = b""
    if average.size not in (1, 3):
        if len(resize) != 2 or average.shape != (*resize, 3):
            raise ValueError(
                f"{FN}: subtractAverage must be 1 or 3 numbers, or an image of the size resize=(height, width), "
                f"x 3; got an array of size {average.shape} with resize={resize or None}"
            )
        average, image = np.zeros(3, np.float32), np.ascontiguousarray(average).tobytes()
    average = np.broadcast_to(average.ravel(), 3)
    return _Options(
        pack=pack,
        resize=resize,
        random=location.lower() == "random",
        anisotropy=anisotropy,
        size=size,
        flip=flip,
        average=tuple(map(float, average)),
        averageImage=image,
        brightness=tuple(B.ravel()),
        contrast=contrast,
        saturation=saturation,
        interpolation=method.lower(),
    )


def _numbers(name: str, value: Any) -> np.ndarray:
    a = as_array(value)
    if a.dtype.kind not in "biuf":
        raise TypeError(f"{FN}: {name} must be numbers, got {type(value).__name__}: {value!r}")
    return a.astype(float)


def _interval(name: str, value: Any, top: float) -> tuple[float, float]:
    pair = _numbers(name, value).ravel()
    if pair.size not in (1, 2) or not 0 <= pair[0] <= pair[-1] <= top:
        raise ValueError(f"{FN}: {name} must be a number or (least, largest) in 0..{top:g}, got {value!r}")
    return float(pair[0]), float(pair[-1])


class _Batch:
    """Images being read. All random numbers are drawn at once, so that threads do not change the result."""

    def __init__(self, names: list[str], options: _Options, threads: int) -> None:
        self.names, self.options = names, options
        pillow(FN)
        sources = rng.streams(len(names)) or [rng.generator()] * len(names)
        draws = [np.concatenate([draw.random(7), draw.standard_normal(3)]) for draw in sources]
        pool = ThreadPoolExecutor(threads, thread_name_prefix=FN)
        self.images: list[Future] = [pool.submit(_read, n, options, d) for n, d in zip(names, draws)]
        pool.shutdown(wait=False)

    def result(self, verbose: bool) -> Any:
        images = []
        for name, future in zip(self.names, self.images):
            image, note = future.result()
            if verbose:
                print(f"{name:>20s}: {note}")
            if image is None and self.options.pack:
                raise ValueError(f"{FN}: could not read image {name!r} because {note}")
            if image is None:
                warnings.warn(f"{FN}: could not read image {name!r} because {note}", stacklevel=4)
                image = np.empty((0, 0), np.float32)
            images.append(image)
        if not self.options.pack:
            return images
        return np.stack(images, axis=3) if images else np.empty((*self.options.resize, 3, 0), np.float32)


class _Prefetched:
    """The one batch that was asked for ahead of time."""

    batch: _Batch | None = None

    @classmethod
    def claim(cls, names: list[str], options: _Options) -> _Batch | None:
        """Remove the batch; return it if it is of these files and made with these options, or no options are given."""
        batch, cls.batch = cls.batch, None
        if batch and batch.names == names and options in (batch.options, _Options()):
            return batch
        return None


def _read(name: str, o: _Options, draws: np.ndarray) -> tuple[np.ndarray | None, str]:
    """The image and its sizes in words; or None and why it could not be read."""
    try:
        x = read_single(name)
    except (OSError, ValueError) as e:
        return None, str(e).removeprefix("imread: ").replace(f"{name!r} ", "it ", 1)
    out = _output_size(x.shape[:2], o.resize)
    top, left, height, width = crop_box(x.shape[:2], out, o.anisotropy, o.size, o.random, draws)
    y = resize_along(x, 0, out[0], height, top, o.interpolation)
    y = resize_along(y, 1, out[1], width, left, o.interpolation)
    if o.flip and draws[4] > 0.5:
        y = y[:, ::-1]
    y = _colours(y, o, draws)
    sizes = f"{x.shape[0]} x {x.shape[1]} x {x.shape[2]}, crop {height} x {width} at ({top}, {left}) -> {y.shape}"
    return y, sizes


def _output_size(size: tuple[int, int], resize: tuple[int, ...]) -> tuple[int, int]:
    if len(resize) != 1:
        return (resize[0], resize[1]) if resize else size
    scale = max(resize[0] / size[1], resize[0] / size[0])
    height, width = (max(1, int(np.floor(scale * n + 0.5))) for n in size)
    return height, width


def _colours(y: np.ndarray, o: _Options, draws: np.ndarray) -> np.ndarray:
    outputs = 3 if o.pack or o.averageImage else y.shape[2]
    if o.averageImage:
        y = y - np.frombuffer(o.averageImage, np.float32).reshape(*y.shape[:2], 3)
    S, C = (1 + d * (2 * z - 1) for d, z in ((o.saturation, draws[5]), (o.contrast, draws[6])))
    B = np.reshape(o.brightness, (3, 3))[:outputs, :outputs]
    # A grey image stays grey when it is packed: all its channels take the shift of the first.
    shift = (B @ draws[7 : 7 + outputs] - o.average[:outputs])[: y.shape[2]]
    if C != 1:
        shift = shift + (1 - C) * y.mean(axis=(0, 1), dtype=np.float64)
        y = np.float32(C) * y
    if shift.any():
        y = y + shift.astype(np.float32)
    if S != 1:
        y = np.float32(S) * y + np.float32(1 - S) * y.mean(axis=2, keepdims=True)
    return np.ascontiguousarray(np.broadcast_to(y, (*y.shape[:2], outputs)))
