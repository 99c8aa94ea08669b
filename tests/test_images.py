"""Reading and writing image files."""

import builtins
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pyconvnet.images import imread, imwrite


def random(shape, dtype=np.uint8, high=256):
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 7), np.uint8), ((5, 7, 3), np.uint8), ((5, 7), np.uint16), ((5, 7), bool)]
)
def test_what_was_written_is_read_back(tmp_path, shape, dtype):
    A = random(shape, dtype, {np.uint16: 65536, bool: 2}.get(dtype, 256))
    imwrite(A, tmp_path / "a.png")
    B = imread(tmp_path / "a.png")
    assert B.dtype == A.dtype
    np.testing.assert_array_equal(B, A)


def test_single_and_double_are_written_as_255_times(tmp_path):
    imwrite(np.array([[-1, 0.5, 0.1, 2, np.nan]]), tmp_path / "a.png")
    np.testing.assert_array_equal(imread(tmp_path / "a.png"), [[0, 128, 26, 255, 0]])
    imwrite(np.full((2, 3, 1), 0.2, np.float32), tmp_path / "a.png")
    np.testing.assert_array_equal(imread(tmp_path / "a.png"), np.full((2, 3), 51))


def test_a_palette_becomes_colours_or_indices_with_their_map(tmp_path):
    colours = [(255, 0, 0), (0, 51, 0), (0, 0, 255)]
    picture = Image.frombytes("P", (2, 2), bytes([0, 1, 2, 1]))
    picture.putpalette([v for c in colours for v in c])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(imread(tmp_path / "a.png")[0], colours[:2])
    X, cmap = imread(tmp_path / "a.png", indexed=True)
    np.testing.assert_array_equal(X, [[0, 1], [2, 1]])
    np.testing.assert_array_equal(cmap[:3], np.array(colours) / 255)
    imwrite(random((2, 2)), tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b.png' has no palette"):
        imread(tmp_path / "b.png", indexed=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_alpha_channel_is_dropped(tmp_path, channels):
    A = random((4, 6, channels + 1))
    Image.fromarray(A).save(tmp_path / "a.png")
    np.testing.assert_array_equal(imread(tmp_path / "a.png"), np.squeeze(A[:, :, :channels]))


def test_the_cameras_orientation_is_left_alone(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # to be shown turned by 90 degrees
    Image.fromarray(random((4, 6, 3))).save(tmp_path / "a.jpg", exif=exif)
    assert imread(tmp_path / "a.jpg").shape == (4, 6, 3)


def test_a_jpeg_of_a_smooth_image_stays_near_it(tmp_path):
    A = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    imwrite(A, tmp_path / "a.jpg", quality=95)
    assert np.abs(imread(tmp_path / "a.jpg").astype(int) - A).max() <= 3


def png16(pixels, kinds):
    """A PNG file of 16 bits per colour; row i is stored with filter type kinds[i % len(kinds)]."""
    h, w, c = pixels.shape
    step = 2 * c
    rows = pixels.astype(">u2").tobytes()
    rows = np.frombuffer(rows, np.uint8).reshape(h, w * step).astype(int)
    out = b""
    for i in range(h):
        line, above = rows[i], rows[i - 1] if i else np.zeros(w * step, int)
        left = np.concatenate([np.zeros(step, int), line[:-step]])
        corner = np.concatenate([np.zeros(step, int), above[:-step]])
        guess = left + above - corner
        distance = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.take_along_axis(np.stack([left, above, corner]), distance.argmin(axis=0)[None], 0)[0]
        kind = kinds[i % len(kinds)]
        stored = line - [0 * line, left, above, (left + above) // 2, paeth][min(kind, 4)]
        out += bytes([kind]) + (stored % 256).astype(np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", w, h, 16, {3: 2, 4: 6}[c], 0, 0, 0)
    half = len(out) // 2
    packed = zlib.compress(out)
    parts = [(b"IHDR", header), (b"IDAT", packed[:half]), (b"IDAT", packed[half:]), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kinds", [[0], [1], [2], [3], [4], [4, 1, 3, 0, 2]])
def test_colours_of_16_bits_keep_all_of_them(tmp_path, channels, kinds):
    A = random((7, 9, channels), np.uint16, 65536)
    (tmp_path / "a.png").write_bytes(png16(A, kinds))
    got = imread(tmp_path / "a.png")
    assert got.dtype == np.uint16 and np.array_equal(got, A[:, :, :3])


def test_broken_colours_of_16_bits_are_refused(tmp_path):
    data = png16(random((7, 9, 3), np.uint16, 65536), [0, 7])
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.png'"):
        imread(tmp_path / "a.png")


def test_what_is_no_image_is_refused_with_its_name(tmp_path):
    (tmp_path / "note.png").write_text("no image")
    with pytest.raises(ValueError, match=r"note.png' cannot be read"):
        imread(tmp_path / "note.png")
    with pytest.raises(FileNotFoundError, match=r"no file .*gone.png"):
        imread(tmp_path / "gone.png")
    with pytest.raises(ValueError, match="is a folder"):
        imread(tmp_path)
    Image.frombytes("CMYK", (4, 4), random((4, 4, 4)).tobytes()).save(tmp_path / "c.jpg")
    with pytest.raises(ValueError, match=r"c.jpg' holds CMYK"):
        imread(tmp_path / "c.jpg")
    imwrite(random((40, 40, 3)), tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"cut.jpg' cannot be read"):
        imread(tmp_path / "cut.jpg")


def test_what_no_file_holds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got 2x2x4"):
        imwrite(random((2, 2, 4)), tmp_path / "a.png")
    with pytest.raises(TypeError, match="got uint16, 2x2x3"):
        imwrite(random((2, 2, 3), np.uint16), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"cannot write .*a.word"):
        imwrite(random((2, 2)), tmp_path / "a.word")


def test_without_pillow_the_error_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"imread: .* pip install pyconvnet\[image\]"):
        imread("a.png")
