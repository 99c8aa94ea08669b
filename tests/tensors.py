"""Devices that tests run on: PyTorch tensors on the CPU, and with `pytest -m gpu` on the GPU there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pyconvnet as pcn

PLACES = ["torch:cpu", pytest.param("gpu", marks=pytest.mark.gpu)]


def require(device: str) -> str:
    """The device, or the test is skipped: without PyTorch, or without a GPU."""
    if device != "cpu":
        pytest.importorskip("torch")
    if device == "gpu":
        from pyconvnet.backends.torch import places

        if not places.accelerators():
            pytest.skip("there is no GPU that PyTorch can use")
    return device


@pytest.fixture(params=PLACES)
def device(request: pytest.FixtureRequest) -> str:
    """Each of the devices."""
    return require(request.param)


@pytest.fixture
def no_hidden_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors on the CPU may be read by numpy no more than those on a GPU, where it raises."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("numpy was asked for a tensor")

    monkeypatch.setattr(pytest.importorskip("torch").Tensor, "__array__", refuse)


@pytest.fixture
def exact_power() -> Iterator[None]:
    """LRN of numpy arrays has the exact power, as that of tensors."""
    with pcn.local_precision("high"):
        yield


def placed(value: Any, device: str) -> Any:
    """A numpy array on a device, anything else as it is."""
    return pcn.gpuArray(value, device) if isinstance(value, np.ndarray) else value
