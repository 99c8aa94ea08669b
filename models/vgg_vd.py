"""VGG-VD: very deep networks of 3 x 3 convolutions.

Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556.
"""

from __future__ import annotations

from typing import Any

from pyconvnet.models.imagenet import ImageNet


def vgg_vd_16(**options: Any) -> Any:
    """VGG-VD-16: 224 x 224 x 3 images, 1000 classes, 138 million parameters. Options: `models.imagenet.ImageNet`."""
    return _very_deep((2, 2, 3, 3, 3), 32, options)


def vgg_vd_19(**options: Any) -> Any:
    """VGG-VD-19: 224 x 224 x 3 images, 1000 classes, 144 million parameters. Options: `models.imagenet.ImageNet`."""
    return _very_deep((2, 2, 4, 4, 4), 24, options)


def _very_deep(depths: tuple[int, ...], batchSize: int, options: dict[str, Any]) -> Any:
    net = ImageNet((224, 224, 3), batchSize, **options)
    c = 3
    for stage, (depth, k) in enumerate(zip(depths, (64, 128, 256, 512, 512)), start=1):
        for i in range(1, depth + 1):
            net.conv(f"{stage}_{i}", 3, 3, c, k, pad=1)
            c = k
        net.pool(str(stage), 2, 2)
    net.fc("6", 7, 7, 512, 4096)
    net.fc("7", 1, 1, 4096, 4096)
    return net.classify("8", 4096)
