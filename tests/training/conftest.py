"""The devices that tests run on."""

from tensors import device, exact_power, no_hidden_copies  # noqa: F401
