"""The standard networks of MatConvNet's examples, ready to train or to look at; and small trained ones, as .mat files.

>>> from pyconvnet import models
>>> net = models.build("lenet", batchNormalization=True, seed=0)
"""

if __name__ != "pyconvnet.models":
    raise ImportError(
        f"this folder is the package pyconvnet.models; it was imported as {__name__!r}: import pyconvnet.models"
    )

from pyconvnet.models.alexnet import alexnet
from pyconvnet.models.catalogue import build, names
from pyconvnet.models.fast_rcnn import fast_rcnn
from pyconvnet.models.fcn import fcn
from pyconvnet.models.googlenet import googlenet
from pyconvnet.models.inception import inception
from pyconvnet.models.lenet import lenet_cifar, lenet_mnist, ocr
from pyconvnet.models.nin import nin
from pyconvnet.models.preprocess import preprocess
from pyconvnet.models.pretrained import fetch, models_folder, pretrained, published_names
from pyconvnet.models.resnet import resnet
from pyconvnet.models.spatial_transformer import spatial_transformer
from pyconvnet.models.vgg_fms import vgg_f, vgg_m, vgg_m_1024, vgg_s
from pyconvnet.models.vgg_vd import vgg_vd_16, vgg_vd_19

__all__ = [
    "alexnet",
    "build",
    "fast_rcnn",
    "fcn",
    "fetch",
    "googlenet",
    "inception",
    "lenet_cifar",
    "lenet_mnist",
    "models_folder",
    "names",
    "nin",
    "ocr",
    "preprocess",
    "pretrained",
    "published_names",
    "resnet",
    "spatial_transformer",
    "vgg_f",
    "vgg_m",
    "vgg_m_1024",
    "vgg_s",
    "vgg_vd_16",
    "vgg_vd_19",
]
