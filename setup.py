"""Packaging. `compat/` and `models/` stand at the top of the tree, installed as pyconvnet.compat and .models."""

from setuptools import setup

setup(
    packages=[
        "pyconvnet",
        "pyconvnet.backends",
        "pyconvnet.cli",
        "pyconvnet.engine",
        "pyconvnet.networks",
        "pyconvnet.backends.cpu",
        "pyconvnet.backends.cpu.llvm",
        "pyconvnet.backends.reference",
        "pyconvnet.backends.torch",
        "pyconvnet.dagnn",
        "pyconvnet.display",
        "pyconvnet.training",
        "pyconvnet.view",
        "pyconvnet.formats",
        "pyconvnet.formats.caffe",
        "pyconvnet.formats.mat",
        "pyconvnet.formats.onnx",
        "pyconvnet.formats.pytorch",
        "pyconvnet.layers",
        "pyconvnet.ops",
        "pyconvnet.port",
        "pyconvnet.port.runtime",
        "pyconvnet.compat",
        "pyconvnet.compat.matlab",
        "pyconvnet.models",
    ],
    package_dir={
        "pyconvnet.compat": "compat",
        "pyconvnet.compat.matlab": "compat/matlab",
        "pyconvnet.models": "models",
    },
    package_data={"": ["*.pyi"], "pyconvnet": ["py.typed"], "pyconvnet.models": ["*.mat", "*.png", "*.txt"]},
)
