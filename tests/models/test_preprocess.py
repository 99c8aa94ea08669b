"""models.preprocess against the steps of MatConvNet's examples, written out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pyconvnet as pcn
from pyconvnet.compat.imreadjpeg import vl_imreadjpeg
from pyconvnet.compat.matlab import imresize, rgb2gray
from pyconvnet.models.preprocess import preprocess
from pyconvnet.records import Struct

SHARED = Path(__file__).parents[2].parent / "shared"


def network(**normalization):
    return Struct(layers=[], meta=Struct(normalization=Struct(normalization)))


def size(*values):
    return np.array([values], np.uint8)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (45, 60, 3)).astype(np.uint8)


def test_the_quick_start_stretches_and_subtracts_the_average_image(image):
    average = np.random.default_rng(1).random((20, 24, 3)).astype(np.float32) * 100
    x = preprocess(network(imageSize=size(20, 24, 3), averageImage=average), image)
    assert x.shape == (20, 24, 3, 1)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[..., 0], imresize(image.astype(np.float32), [20, 24]) - average)


@pytest.mark.parametrize("average", [np.array([[1], [2], [3]]), np.array([[1, 2, 3]]), np.array([[[1, 2, 3.0]]])])
def test_an_average_colour_may_lie_in_any_direction(image, average):
    x = preprocess(network(imageSize=size(45, 60, 3), averageImage=average.astype(np.uint8)), image)
    np.testing.assert_array_equal(x[..., 0], image.astype(np.float32) - np.float32([1, 2, 3]))


def test_an_average_may_be_one_number_or_nothing(image):
    kept = image.astype(np.float32)
    x = preprocess(network(imageSize=size(45, 60, 3), averageImage=np.array([[7.0]])), image)
    np.testing.assert_array_equal(x[..., 0], kept - 7)
    x = preprocess(network(imageSize=size(45, 60, 3), averageImage=np.zeros((0, 0))), image)
    np.testing.assert_array_equal(x[..., 0], kept)


def test_a_border_is_resized_to_and_cut_off(image):
    # cnn_imagenet_get_batch: the shorter side becomes 20 + 4, the centre is cropped.
    fields = {"imageSize": size(20, 20, 3), "border": size(4, 4), "keepAspect": size(1), "interpolation": "bicubic"}
    x = preprocess(network(**fields), image)
    large = imresize(image.astype(np.float32), 24 / 45, "bicubic")
    assert large.shape == (24, 32, 3)
    np.testing.assert_array_equal(x[..., 0], large[2:22, 6:26])


def test_a_border_without_keeping_the_aspect_stretches_first(image):
    fields = {"imageSize": size(20, 20, 3), "border": size(4, 6), "keepAspect": size(0), "interpolation": "bilinear"}
    large = imresize(image.astype(np.float32), "Scale", [24 / 45, 26 / 60], "Method", "bilinear")
    np.testing.assert_array_equal(preprocess(network(**fields), image)[..., 0], large[2:22, 3:23])


def test_without_a_border_keepaspect_cuts_the_longer_side(image):
    x = preprocess(network(imageSize=size(15, 15, 3), keepAspect=True, interpolation="box"), image)
    np.testing.assert_allclose(x[..., 0], image.reshape(15, 3, 20, 3, 3).mean(axis=(1, 3))[:, 2:17], rtol=1e-5)


@pytest.mark.parametrize("keep", [True, False, None])
def test_a_crop_size_gives_what_vl_imreadjpeg_gives(image, tmp_path, keep):
    Image.fromarray(image).save(tmp_path / "a.png")
    fields = {"imageSize": size(20, 24, 3), "cropSize": np.array([[0.875, 0.875]])}
    fields |= {} if keep is None else {"keepAspect": size(keep)}
    options = {"resize": (20, 24), "cropSize": 0.875, "interpolation": "bicubic", "pack": True}
    theirs = vl_imreadjpeg([tmp_path / "a.png"], cropAnisotropy=0 if keep is False else 1, **options)
    np.testing.assert_array_equal(preprocess(network(**fields), image), theirs)


@pytest.mark.parametrize(
    ("image", "gain"),
    [
        (np.full((3, 3), 200, np.uint8), 200),
        (np.full((3, 3), 65535, np.uint16), 255),
        (np.full((3, 3), True), 255),
        (np.full((3, 3), 0.5), 0.5),
    ],
)
def test_values_become_0_to_255(image, gain):
    x = preprocess(network(), image)
    assert x.dtype == np.float32
    assert x.shape == (3, 3, 1, 1)
    np.testing.assert_array_equal(x, gain)


def test_grey_and_colour_are_turned_into_what_the_network_takes(image):
    grey = image[:, :, 0]
    x = preprocess(network(imageSize=size(45, 60, 3)), grey)
    np.testing.assert_array_equal(x[..., 0], np.repeat(grey[:, :, None], 3, axis=2))
    x = preprocess(network(imageSize=size(45, 60, 1)), image)
    np.testing.assert_array_equal(x[:, :, 0, 0], rgb2gray(image.astype(np.float32)))
    with pytest.raises(ValueError, match="has 3 channels, the network accepts 4"):
        preprocess(network(imageSize=size(45, 60, 4)), image)


def test_without_normalization_the_input_size_counts_and_without_that_nothing_is_resized(image):
    assert preprocess(Struct(meta=Struct(inputSize=size(32, 32, 1, 10))), image).shape == (32, 32, 1, 1)
    assert preprocess(Struct(meta=Struct(inputSize=size(32))), image).shape == (32, 32, 3, 1)
    for net in (Struct(meta=Struct()), Struct(meta=np.zeros((0, 0))), Struct()):
        np.testing.assert_array_equal(preprocess(net, image)[..., 0], image)


def test_the_image_mean_of_old_networks_is_subtracted(image):
    x = preprocess(Struct(meta=Struct(imageMean=np.float32([[107.5]]))), image)
    np.testing.assert_array_equal(x[..., 0], image - np.float32(107.5))


def test_several_images_make_a_batch(image, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    net = network(imageSize=size(20, 20, 3), averageImage=np.float32([[1, 2, 3]]))
    x = preprocess(net, [image, image[:30, :, 0], tmp_path / "a.png", str(tmp_path / "a.png")])
    assert x.shape == (20, 20, 3, 4)
    np.testing.assert_array_equal(x[..., :1], preprocess(net, image))
    np.testing.assert_array_equal(x[..., 3], x[..., 0])
    np.testing.assert_array_equal(preprocess(net, np.stack([image, image], axis=3))[..., 1], x[..., 0])
    with pytest.raises(ValueError, match="30x60x3, 45x60x3"):
        preprocess(network(), [image, image[:30]])


def test_kept_at_its_size_an_image_loses_the_average_colour(image):
    average = np.random.default_rng(1).random((20, 20, 3)).astype(np.float32) * 100
    x = preprocess(network(imageSize=size(20, 20, 3), averageImage=average), image, resize=False)
    np.testing.assert_allclose(x[..., 0], image - average.mean(axis=(0, 1), dtype=float), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"imageSize": size(20, 20, 3), "averageImage": np.zeros((9, 9, 3))},
            "averageImage is 9x9x3, the image 20x20x3",
        ),
        ({"imageSize": np.array([[0, 20, 3]])}, "imageSize must be whole numbers"),
        ({"imageSize": size(20, 20, 3), "cropSize": 1.5}, "cropSize must be"),
        (
            {"imageSize": size(20, 20, 3), "interpolation": "cubical"},
            "method must be one of bicubic, .*, got 'cubical'",
        ),
        (
            {"imageSize": size(20, 20, 3), "cropSize": 0.5, "interpolation": "nearest"},
            "with cropSize net.meta.normalization.interpolation must be one of",
        ),
        ({"imageSize": size(20, 20, 3), "border": np.array([[-4, -4]])}, "border must be"),
    ],
)
def test_a_meta_that_says_the_impossible_is_refused(image, fields, message):
    with pytest.raises(ValueError, match=message):
        preprocess(network(**fields), image)


def test_what_is_no_image_is_refused(image):
    with pytest.raises(TypeError, match="got int64"):
        preprocess(network(), image.astype(np.int64))
    with pytest.raises(TypeError, match="got NoneType"):
        preprocess(network(), None)
    with pytest.raises(ValueError, match="empty list"):
        preprocess(network(), [])
    with pytest.raises(ValueError, match="got 3"):
        preprocess(network(), np.zeros(3))


@pytest.mark.parametrize("name", ["vgg-f", "lenet-mnist", "alexnet"])
def test_the_builders_networks_say_how_to_prepare_an_image(image, name):
    from pyconvnet import models

    if name not in models.names():
        pytest.skip(f"no builder of that name among {models.names()}")
    net = models.build(name, init=False)
    target = np.ravel(net.meta.get("normalization", Struct()).get("imageSize", net.meta.inputSize))[:3]
    assert preprocess(net, image).shape == (*target.astype(int), 1)


@pytest.mark.skipif(not (SHARED / "models").exists(), reason="the trained networks are not here")
@pytest.mark.parametrize("name", ["scnn-vgg-style", "dcfnet", "plates-epoch-50", "cifar10-lenet"])
def test_the_meta_of_other_peoples_networks_is_understood(image, name):
    import pyconvnet as pcn

    net = pcn.load(SHARED / "models" / "zoo" / f"{name}.mat")
    x = preprocess(net, image)
    target = net.meta.get("normalization", {}).get("imageSize", net.meta.get("inputSize"))
    assert x.shape == (*np.ravel(target).astype(int)[:3], 1)
    assert np.isfinite(x).all()


def test_where_meta_is_silent_the_first_filters_say_grey_or_colour():
    f = np.ones((3, 3, 1, 2), np.float32)
    net = pcn.SimpleNN(layers=[pcn.Struct(type="conv", weights=[f, np.zeros(2, np.float32)])])
    colour = np.random.default_rng(0).integers(0, 256, (6, 7, 3)).astype(np.uint8)
    assert pcn.models.preprocess(net, colour).shape == (6, 7, 1, 1)
    assert pcn.models.preprocess(pcn.DagNN.fromSimpleNN(net), colour).shape == (6, 7, 1, 1)
    net.layers[0].weights[0] = np.ones((3, 3, 3, 2), np.float32)
    assert pcn.models.preprocess(net, colour[:, :, 0]).shape == (6, 7, 3, 1)
