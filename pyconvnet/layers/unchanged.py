"""Tells whether layers still have the properties that they had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pyconvnet.layers.base import Layer

last_change = [object()]  # another one whenever a property of any layer is set: to ask each layer takes 70 us


class Unchanged:
    """Tells whether layers still have the properties that they had; False for those that it cannot watch: of users'
    classes, and with dicts."""

    def __init__(self, blocks: Sequence[Layer]) -> None:
        self.blocks = list(blocks)
        self.last_change, self.versions = last_change[0], [block._version for block in self.blocks]
        fields = [getattr(block, name) for block in self.blocks if block._built_in for name in block._fields]
        self.lists = [(value, list(value)) for value in fields if isinstance(value, list)]  # may be edited in place
        self.arrays = [(value, value.copy()) for value in fields if isinstance(value, np.ndarray)]
        self.watched = all(block._built_in for block in blocks) and not any(isinstance(v, dict) for v in fields)

    def __bool__(self) -> bool:
        now = last_change[0]
        if now is not self.last_change and [block._version for block in self.blocks] == self.versions:
            self.last_change = now
        return (
            self.watched
            and now is self.last_change
            and all([value == copy for value, copy in self.lists])
            and all([np.array_equal(value, copy) for value, copy in self.arrays])
        )
