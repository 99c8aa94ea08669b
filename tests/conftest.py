"""Makes tests/support.py importable as `support` under any import mode; hypothesis tries the same cases every time."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("PYCONVNET_QUIET", "1")  # tests look at what is on stderr, and kernels may be compiled meanwhile
sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _own_layers(monkeypatch):
    """Layer classes that a test defines are forgotten after it."""
    from pyconvnet.layers import registry

    monkeypatch.setattr(registry, "_BY_TYPE", dict(registry._BY_TYPE))
    monkeypatch.setattr(registry, "_BY_BLOCK", dict(registry._BY_BLOCK))


@pytest.fixture
def default_sigint():
    """Python's own handler of Ctrl-C, which a program in the background of a shell does not have; it must be back."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)
