"""vl_imreadjpeg against MatConvNet's, on its images where they are there, and its options on images of our own."""

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from pyconvnet import rng
from pyconvnet.compat.cropresize import WIDTHS, crop_box
from pyconvnet.compat.imreadjpeg import vl_imreadjpeg

SHARED = Path(__file__).parents[2].parent / "shared"
FIXTURE = SHARED / "reference" / "imread" / "vl_imreadjpeg.mat"


def cases():
    if not FIXTURE.exists():
        return []
    return [c[0, 0] for c in scipy.io.loadmat(FIXTURE, struct_as_record=False)["cases"].ravel()]


def plain(value):
    return str(value.item()) if value.dtype.kind == "U" else value


@pytest.mark.skipif(not FIXTURE.exists(), reason="MatConvNet's images are not here")
@pytest.mark.parametrize(
    "case", cases(), ids=lambda c: f"{c.file[0]}-{'-'.join(str(plain(o)) for o in c.options.ravel())}"
)
def test_images_equal_matconvnets(case):
    path = str(SHARED / "images" / "jpeg" / case.file[0])
    options = [plain(o) for o in case.options.ravel()]
    if not case.y.size:
        with pytest.warns(UserWarning, match="could not read image .*CMYK"):
            assert vl_imreadjpeg([path], *options)[0].size == 0
        return
    y = vl_imreadjpeg([path], *options)[0]
    step = int(case.step.item())
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[::step, ::step], case.y, atol=5e-4, rtol=0)


@pytest.fixture
def files(tmp_path):
    """Two colour images, 40 x 60 and 50 x 30, and a grey one, 32 x 32; PNG, so that pixels are known."""
    random = np.random.default_rng(0)
    paths = []
    for i, shape in enumerate([(40, 60, 3), (50, 30, 3), (32, 32)]):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(random.integers(0, 256, shape).astype(np.uint8)).save(paths[-1])
    return paths


def pixels(path):
    x = np.asarray(Image.open(path)).astype(np.float32)
    return x.reshape(*x.shape[:2], -1)


def test_without_options_images_are_their_pixels(files):
    for path, x in zip(files, vl_imreadjpeg(files)):
        np.testing.assert_array_equal(x, pixels(path))


@pytest.mark.parametrize("method", WIDTHS)
def test_a_resized_flat_image_stays_flat(tmp_path, method):
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "a.png")
    for size in ([16, 20], [90, 70]):
        x = vl_imreadjpeg([tmp_path / "a.png"], "Resize", size, "Interpolation", method)[0]
        assert x.shape == (*size, 3)
        np.testing.assert_allclose(x, 90, rtol=1e-6)


def test_one_number_resizes_the_shorter_side(files):
    assert [x.shape for x in vl_imreadjpeg(files, resize=20)] == [(20, 30, 3), (33, 20, 3), (20, 20, 1)]


def test_bicubic_shrinks_by_three_as_by_any_other_factor(tmp_path):
    x = np.add.outer(np.arange(60), np.arange(60)).astype(np.uint8)
    Image.fromarray(x).save(tmp_path / "a.png")
    y = vl_imreadjpeg([tmp_path / "a.png"], resize=(20, 20), interpolation="bicubic")[0]
    np.testing.assert_allclose(y[4:-4, 4:-4, 0], x[1::3, 1::3][4:-4, 4:-4], atol=1e-3)


def test_packing_makes_one_array_of_three_channels(files):
    x = vl_imreadjpeg(files, "Pack", "Resize", [8, 9])
    assert x.shape == (8, 9, 3, 3)
    one = vl_imreadjpeg(files, resize=(8, 9))
    np.testing.assert_array_equal(x[..., 1], one[1])
    np.testing.assert_array_equal(x[..., 2], np.repeat(one[2], 3, axis=2))


def test_averages_are_subtracted_as_number_colour_or_image(files):
    x = vl_imreadjpeg(files, resize=(8, 9))
    for average in (7, [1, 2, 3], np.random.default_rng(0).random((8, 9, 3)).astype(np.float32)):
        y = vl_imreadjpeg(files, resize=(8, 9), subtractAverage=average)
        np.testing.assert_allclose(y[0], x[0] - np.float32(average), atol=1e-4)
    assert y[2].shape == (8, 9, 3)
    np.testing.assert_allclose(vl_imreadjpeg(files[2:], subtractAverage=[5, 6, 7])[0], pixels(files[2]) - 5)


def test_a_center_crop_takes_the_middle(files):
    x = vl_imreadjpeg(files[:1], resize=(20, 20), cropSize=0.5, interpolation="box")[0]
    np.testing.assert_allclose(x, pixels(files[0])[10:30, 20:40], atol=1e-4)


def test_zero_anisotropy_stretches_the_whole_image():
    draws = np.full(4, 0.3)
    assert crop_box((40, 60), (20, 20), (0, 0), (1, 1), False, draws) == (0, 0, 40, 60)
    assert crop_box((40, 60), (20, 20), (1, 1), (1, 1), False, draws) == (0, 10, 40, 40)


def test_random_crops_lie_within_the_image_and_their_drawn_limits():
    generator = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        top, left, h, w = crop_box((40, 60), (20, 20), (0.5, 2), (0.3, 0.9), True, generator.random(4))
        assert 0 <= top <= 40 - h
        assert 0 <= left <= 60 - w
        assert 0.48 <= w / h <= 2.1
        assert max(h / 40, w / 60) <= 0.91
        seen.add((top, left))
    assert len(seen) > 100


def test_flip_mirrors_about_half_of_the_images(files):
    rng.seed(0)
    images = vl_imreadjpeg(files[:1] * 40, "Flip")
    x = pixels(files[0])
    flipped = [np.array_equal(y, x[:, ::-1]) for y in images]
    assert all(f or np.array_equal(y, x) for f, y in zip(flipped, images))
    assert 8 < sum(flipped) < 32


def test_contrast_keeps_the_mean_of_each_channel_and_scales_about_it(files):
    x, y = pixels(files[0]), vl_imreadjpeg(files[:1], contrast=0.5)[0]
    np.testing.assert_allclose(y.mean(axis=(0, 1)), x.mean(axis=(0, 1)), rtol=1e-4)
    ratio = (y - y.mean(axis=(0, 1))) / (x - x.mean(axis=(0, 1)))
    assert ratio.std() < 1e-2
    assert 0.5 <= ratio.mean() <= 1.5


def test_saturation_keeps_the_mean_of_each_pixel(files):
    x, y = pixels(files[0]), vl_imreadjpeg(files[:1], saturation=1)[0]
    np.testing.assert_allclose(y.mean(axis=2), x.mean(axis=2), atol=1e-3)
    assert np.abs(y - x).max() > 1
    np.testing.assert_allclose(vl_imreadjpeg(files[2:], saturation=1)[0], pixels(files[2]), atol=1e-4)


def test_brightness_shifts_colours_along_the_matrix(files):
    x = pixels(files[0])
    B = np.outer([1.0, 2.0, -3.0], [1, 1, 1])
    shift = vl_imreadjpeg(files[:1], brightness=B)[0] - x
    np.testing.assert_allclose(shift / shift[0, 0, 0], np.broadcast_to([1, 2, -3], x.shape), atol=1e-3)
    shift = vl_imreadjpeg(files[:1], brightness=[0, 5, 0])[0] - x
    assert np.all(shift[:, :, [0, 2]] == 0)
    assert np.all(shift[:, :, 1] != 0)


def test_a_packed_grey_image_stays_grey_under_every_jitter(files):
    options = {"brightness": 20, "contrast": 0.5, "saturation": 0.5, "subtractAverage": [1, 2, 3]}
    x = vl_imreadjpeg(files[2:], pack=True, resize=(32, 32), **options)
    np.testing.assert_array_equal(x[:, :, 0], x[:, :, 1])
    np.testing.assert_array_equal(x[:, :, 0], x[:, :, 2])


def test_the_number_of_threads_changes_nothing(files):
    options = {"resize": (8, 8), "flip": True, "cropSize": (0.3, 1), "cropLocation": "random", "brightness": 9}
    results = []
    for threads in (1, 4):
        rng.seed(3)
        results.append(vl_imreadjpeg(files * 5, numThreads=threads, **options))
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


def test_prefetched_images_are_those_of_the_options_they_were_asked_for_with(files):
    rng.seed(1)
    assert vl_imreadjpeg(files, "Prefetch", "Resize", [8, 8], "Flip", "NumThreads", 2) is None
    early = vl_imreadjpeg(files)
    rng.seed(1)
    for a, b in zip(early, vl_imreadjpeg(files, resize=(8, 8), flip=True)):
        np.testing.assert_array_equal(a, b)
    assert vl_imreadjpeg(files)[0].shape == (40, 60, 3), "the batch is given out once"
    vl_imreadjpeg(files, "Prefetch", "Resize", [8, 8])
    assert vl_imreadjpeg(files, resize=(5, 5))[0].shape == (5, 5, 3), "other options are not passed over"
    vl_imreadjpeg(files, "Prefetch", "Resize", [8, 8])
    assert vl_imreadjpeg(files[:2])[0].shape == (40, 60, 3), "nor are other files"


def test_reading_leaves_no_threads_behind(files):
    vl_imreadjpeg(files, numThreads=3)
    for thread in threading.enumerate():
        if thread.name.startswith("vl_imreadjpeg"):
            thread.join(5)
            assert not thread.is_alive()


def test_a_file_that_cannot_be_read_is_empty_with_a_warning_and_stops_a_pack(files):
    with pytest.warns(UserWarning, match=r"could not read image 'gone.jpg' because"):
        images = vl_imreadjpeg([files[0], "gone.jpg"])
    assert images[0].shape == (40, 60, 3)
    assert images[1].size == 0
    with pytest.raises(ValueError, match=r"could not read image 'gone.jpg'"):
        vl_imreadjpeg([files[0], "gone.jpg"], pack=True, resize=(4, 4))


def test_images_are_put_on_a_device(files):
    torch = pytest.importorskip("torch")
    options = {"pack": True, "resize": (8, 9)}
    x = vl_imreadjpeg(files[:2], gpu="torch:cpu", **options)
    assert isinstance(x, torch.Tensor) and x.dtype == torch.float32
    np.testing.assert_array_equal(x.numpy(), vl_imreadjpeg(files[:2], **options))
    assert all(isinstance(y, torch.Tensor) for y in vl_imreadjpeg(files[:2], gpu="torch:cpu"))


def test_verbose_prints_sizes_and_crops(files, capsys):
    vl_imreadjpeg(files[:1], "Verbose", "Resize", [20, 20])
    assert "40 x 60 x 3, crop 40 x 40 at (0, 10) -> (20, 20, 3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpu": "moon"}, "the device must be 'cpu', 'gpu'"),
        ({"pack": True}, "pack needs"),
        ({"pack": True, "resize": 8}, "pack needs"),
        ({"resize": [1, 2, 3]}, "resize must be"),
        ({"resize": 0}, "resize must be"),
        ({"cropSize": 1.5}, r"cropSize must be .* 0\.\.1"),
        ({"cropSize": (0.9, 0.1)}, "cropSize"),
        ({"cropAnisotropy": -1}, "cropAnisotropy"),
        ({"cropLocation": "corner"}, "'center' or 'random'"),
        ({"contrast": 2}, "contrast must be"),
        ({"saturation": -1}, "saturation must be"),
        ({"brightness": [1, 2]}, "brightness must be"),
        ({"interpolation": "nearest"}, "interpolation must be"),
        ({"subtractAverage": np.zeros((4, 4, 3))}, "subtractAverage must be"),
        ({"subtractAverage": np.zeros((4, 4, 3)), "resize": (4, 5)}, "subtractAverage must be"),
        ({"numThreads": 1.5}, "numThreads"),
        ({"numThread": 1}, "did you mean 'numThreads'"),
    ],
)
def test_wrong_options_are_refused_by_name(files, options, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            vl_imreadjpeg(files, **options)


def test_one_name_instead_of_a_list_is_refused():
    with pytest.raises(TypeError, match="a list of file names"):
        vl_imreadjpeg(Path("a.jpg"))
