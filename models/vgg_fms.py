"""VGG-F, VGG-M and VGG-S: fast, medium and slow, 8 layers.

Chatfield, Simonyan, Vedaldi and Zisserman, Return of the devil in the details, arXiv:1405.3531.
"""

from __future__ import annotations

from typing import Any

from pyconvnet.models.imagenet import ImageNet
from pyconvnet.models.layer_records import row


def vgg_f(**options: Any) -> Any:
    """VGG-F: 224 x 224 x 3 images, 1000 classes, 61 million parameters. Options: `models.imagenet.ImageNet`."""
    net = ImageNet((224, 224, 3), 256, **options)
    net.conv("1", 11, 11, 3, 64, stride=4).norm("1").pool("1", 3, 2, row(0, 1, 0, 1))
    net.conv("2", 5, 5, 64, 256, pad=2).norm("2").pool("2", 3, 2)
    net.conv("3", 3, 3, 256, 256, pad=1)
    net.conv("4", 3, 3, 256, 256, pad=1)
    net.conv("5", 3, 3, 256, 256, pad=1).pool("5", 3, 2)
    net.fc("6", 6, 6, 256, 4096)
    net.fc("7", 1, 1, 4096, 4096)
    return net.classify("8", 4096)


def vgg_m(*, bottleneck: int = 4096, **options: Any) -> Any:
    """VGG-M: 224 x 224 x 3 images, 1000 classes, 103 million parameters. Options: `models.imagenet.ImageNet`.

    bottleneck  outputs of the last layer but one: 4096, or 1024 in VGG-M-1024
    """
    net = ImageNet((224, 224, 3), 196, **options)
    net.conv("1", 7, 7, 3, 96, stride=2).norm("1").pool("1", 3, 2)
    net.conv("2", 5, 5, 96, 256, stride=2, pad=1).norm("2").pool("2", 3, 2, row(0, 1, 0, 1))
    net.conv("3", 3, 3, 256, 512, pad=1)
    net.conv("4", 3, 3, 512, 512, pad=1)
    net.conv("5", 3, 3, 512, 512, pad=1).pool("5", 3, 2)
    net.fc("6", 6, 6, 512, 4096)
    net.fc("7", 1, 1, 4096, bottleneck)
    return net.classify("8", bottleneck)


def vgg_m_1024(**options: Any) -> Any:
    """VGG-M with 1024 outputs before the classifier."""
    return vgg_m(bottleneck=1024, **options)


def vgg_s(**options: Any) -> Any:
    """VGG-S: 224 x 224 x 3 images, 1000 classes, 103 million parameters. Options: `models.imagenet.ImageNet`."""
    net = ImageNet((224, 224, 3), 128, **options)
    net.conv("1", 7, 7, 3, 96, stride=2).norm("1").pool("1", 3, 3, row(0, 2, 0, 2))
    net.conv("2", 5, 5, 96, 256).norm("2").pool("2", 2, 2, row(0, 1, 0, 1))
    net.conv("3", 3, 3, 256, 512, pad=1)
    net.conv("4", 3, 3, 512, 512, pad=1)
    net.conv("5", 3, 3, 512, 512, pad=1).pool("5", 3, 3, row(0, 1, 0, 1))
    net.fc("6", 6, 6, 512, 4096)
    net.fc("7", 1, 1, 4096, 4096)
    return net.classify("8", 4096)
