"""What the training needs of a network: cnn_train and cnn_train_dag each have an adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pyconvnet.records import Struct

Ready = Callable[[tuple[int, ...], Any], None]


class TrainingAdapter(Protocol):
    """A network under training: cnn_train wraps a SimpleNN in one, cnn_train_dag a DagNN."""

    net: Any
    late: bool  # whether reading what `read` gives is to wait for the next batch, as a device still computes it

    @property
    def confusion(self) -> np.ndarray | None:
        """Counts, true x predicted class, since start_set; None where they are not known."""

    def start_set(self) -> None:
        """Forget the running sums of an earlier set of images."""

    def evaluate(self, batch: Any, count: int, train: bool, first: bool, last: bool, ready: Ready | None) -> None:
        """Run a sub-batch of `count` images, the first and last of its batch or not; derivatives add up over them.

        ready  is called with the key and the derivative of parameters that are done with, while others are not
        """

    def placed(self, batch: Any, change: Callable[[Any], Any]) -> Any:
        """The batch with `change` of the arrays that the network computes with; labels stay as they are."""

    def read(self) -> Callable[[], Any]:
        """Start to read what this pass has counted so far; what is returned waits for it, and gives the values."""

    def totals(self, values: Any, num: int) -> list[np.ndarray]:
        """Vectors of numbers that add up over processes, of values of this one, which has seen `num` images."""

    def statistics(self, values: Any, num: int, totals: list[np.ndarray] | None) -> Struct:
        """Objective and errors, per image of `num`, of values that were read, or of the totals of several processes."""

    def parameters(self) -> Iterator[Parameter]:
        """The parameters, the last of the network first, for one step each; der is None where there is none."""

    def weights(self) -> list[Any]:
        """All weights, nested as the solver state is saved."""

    def check(self, batch: Any, train: bool) -> None:
        """Refuse a first batch whose precision or labels cannot be right, and losses that are not means."""

    def images(self, batch: Any) -> list[Any]:
        """The arrays of a batch that layers with weights read: where these are not finite, nothing can be learnt."""

    def diagnose(self, path: Path) -> None:
        """Draw how large the weights, outputs and derivatives are that the last batch left."""

    def finite(self, values: Any) -> bool:
        """Whether the objective is finite in values that were read."""

    def locate_nonfinite(self) -> str:
        """Name the first array in the last batch that is not finite: images, weights or a layer's output."""


class Parameter:
    """One array of weights, with its derivative and rates, and where its solver state is kept."""

    __slots__ = ("der", "fanout", "key", "learningRate", "method", "set", "value", "weightDecay")

    def __init__(
        self,
        key: tuple[int, ...],
        value: Any,
        der: Any,
        learningRate: float,
        weightDecay: float,
        method: str,
        set: Callable[[Any], None],
        fanout: int = 1,
    ) -> None:
        self.key, self.value, self.der = key, value, der
        self.learningRate, self.weightDecay = learningRate, weightDecay
        self.method, self.set, self.fanout = method, set, fanout
