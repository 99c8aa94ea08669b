"""AlexNet."""

from __future__ import annotations

from typing import Any

from pyconvnet.models.imagenet import ImageNet


def alexnet(**options: Any) -> Any:
    """AlexNet: 227 x 227 x 3 images, 1000 classes, 61 million parameters. Options: `models.imagenet.ImageNet`.

    Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012.
    """
    net = ImageNet((227, 227, 3), 256, **options)
    net.conv("1", 11, 11, 3, 96, stride=4).norm("1").pool("1", 3, 2)
    net.conv("2", 5, 5, 48, 256, pad=2).norm("2").pool("2", 3, 2)
    net.conv("3", 3, 3, 256, 384, pad=1)
    net.conv("4", 3, 3, 192, 384, pad=1)
    net.conv("5", 3, 3, 192, 256, pad=1).pool("5", 3, 2)
    net.fc("6", 6, 6, 256, 4096)
    net.fc("7", 1, 1, 4096, 4096)
    return net.classify("8", 4096)
