"""Reading and writing image files."""

import builtins
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import pyconvnet as pcn
from pyconvnet.images import imread, imwrite, read_single
from pyconvnet.imdb import imdb_from_folders
from pyconvnet.models import preprocess


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
    with pytest.raises(ImportError, match=r"imread: .* pip install 'pyconvnet\[image\]'"):
        imread("a.png")


COLOURS = random((8, 9, 3))
GREY = COLOURS[:, :, 0]
FILES = {  # pixels as Pillow takes them, its mode, and what networks take of them
    "a.png": (COLOURS, None, COLOURS),
    "a.bmp": (COLOURS, None, COLOURS),
    "a.tif": (COLOURS, None, COLOURS),
    "grey.png": (GREY, None, GREY),
    "alpha.png": (np.dstack([COLOURS, GREY]), None, COLOURS),
    "grey-alpha.png": (np.dstack([GREY, GREY[::-1]]), None, GREY),
    "bit.png": (GREY > 100, None, 255.0 * (GREY > 100)),
    "grey16.png": (GREY.astype(np.uint16) * 200, None, GREY * np.float32(200) / np.float32(257)),
    "grey16.tif": (GREY.astype(np.uint16) * 200, None, GREY * np.float32(200) / np.float32(257)),
    "single.tif": (GREY / np.float32(3), None, GREY / np.float32(3)),
    "palette.png": (GREY // 16 * 16, "P", GREY // 16 * 16),
    "palette.gif": (GREY // 16 * 16, "P", GREY // 16 * 16),
}


def network(channels):
    filters = np.zeros((3, 3, channels, 1), np.float32)
    return pcn.SimpleNN(layers=[{"type": "conv", "weights": [filters, np.zeros((1, 1), np.float32)]}])


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_image_is_read_by_one_rule(tmp_path, name):
    pixels, mode, expected = FILES[name]
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(tmp_path / name)
    x = read_single(tmp_path / name)
    assert x.dtype == np.float32 and x.ndim == 3
    if mode:  # its palette is one of colours
        expected = np.repeat(expected[:, :, None], 3, axis=2)
    expected = np.float32(expected).reshape(*expected.shape[:2], -1)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(pcn.vl_imreadjpeg([tmp_path / name])[0], x)
    np.testing.assert_array_equal(preprocess(network(x.shape[2]), tmp_path / name)[..., 0], x)
    np.testing.assert_array_equal(preprocess(network(x.shape[2]), imread(tmp_path / name))[..., 0], x)
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / name).rename(tmp_path / "set" / "cat" / name)
    np.testing.assert_array_equal(imdb_from_folders(tmp_path / "set").images.data[..., 0], x)


REFUSED = {
    "cmyk.jpg": (Image.frombytes("CMYK", (4, 4), bytes(64)), "holds CMYK pixels"),
    "lab.tif": (Image.frombytes("LAB", (4, 4), bytes(48)), "holds LAB pixels"),
    "deep.tif": (Image.fromarray(GREY.astype(np.int32) * 1000), "holds whole numbers of 32 bits"),
}


@pytest.mark.parametrize("name", [*REFUSED, "cut.jpg", "gone.png"])
def test_what_one_reader_refuses_all_refuse_in_one_line(tmp_path, name):
    picture, said = REFUSED.get(
        name, (None, {"cut.jpg": "cannot be read as", "gone.png": "there is no file"}.get(name))
    )
    if picture:
        picture.save(tmp_path / name)
    elif name == "cut.jpg":
        Image.fromarray(random((40, 40, 3))).save(tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:900])
    kind = FileNotFoundError if name == "gone.png" else ValueError
    for read in (read_single, lambda path: preprocess(network(3), path)):
        with pytest.raises(kind, match=said) as error:
            read(tmp_path / name)
        assert str(error.value).startswith("imread: ") and name in str(error.value) and "\n" not in str(error.value)
    with pytest.warns(UserWarning, match=said) as warned:
        images = pcn.vl_imreadjpeg([tmp_path / name])
    assert [x.shape for x in images] == [(0, 0)] and len(warned) == 1
    assert str(warned[0].message).count(name) == 1 or name == "gone.png"


def test_a_list_of_which_none_can_be_read_gives_an_empty_array_and_a_warning_for_each(tmp_path):
    with pytest.warns(UserWarning, match="could not read image") as warned:
        images = pcn.vl_imreadjpeg([tmp_path / "a.jpg", tmp_path / "b.jpg"], resize=(4, 4))
    assert [x.shape for x in images] == [(0, 0)] * 2 and len(warned) == 2
    with pytest.raises(ValueError, match="could not read image"):
        pcn.vl_imreadjpeg([tmp_path / "a.jpg"], pack=True, resize=(4, 4))


def test_colours_of_16_bits_that_only_pillow_reads_lose_the_lower_and_say_so(tmp_path):
    A = random((6, 5, 3), np.uint16, 65536)
    raw = A.astype("<u2").tobytes()
    tags = [(256, 5), (257, 6), (258, 16), (259, 1), (262, 2), (273, 8), (277, 3), (278, 6), (279, len(raw))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    entries = entries.replace(struct.pack("<HHII", 258, 4, 1, 16), struct.pack("<HHII", 258, 3, 3, 8 + len(raw)))
    data = struct.pack("<2sHI", b"II", 42, 14 + len(raw)) + raw + struct.pack("<3H", 16, 16, 16)
    (tmp_path / "a.tif").write_bytes(data + struct.pack("<H", len(tags)) + entries + bytes(4))
    with pytest.warns(UserWarning, match=r"a.tif' has colours of 16 bits; only the upper 8 are read"):
        got = imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(got, A >> 8)
    with pytest.warns(UserWarning, match="upper 8"):
        np.testing.assert_array_equal(pcn.vl_imreadjpeg([tmp_path / "a.tif"])[0], np.float32(A >> 8))
