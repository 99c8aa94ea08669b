"""Makes tests/support.py importable as `support` under any import mode; hypothesis tries the same cases every time."""

import os
import sys
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("PYCONVNET_QUIET", "1")  # tests look at what is on stderr, and kernels may be compiled meanwhile
sys.path.insert(0, str(Path(__file__).parent))
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
