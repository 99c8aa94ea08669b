"""Sums over the processes that train together: of derivatives, while the backward pass goes on, and of statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from pyconvnet import backends
from pyconvnet.training.team import Team

PIECE = 1 << 22  # bytes


class _Piece:
    """A stretch of the derivatives that is added up by one call."""

    def __init__(self, like: Any) -> None:
        self.like, self.size, self.waiting = like, 0, 0
        self.flat: Any = None
        self.wait: Callable[[], None] | None = None


class _Place:
    """Where the derivative of one parameter lies."""

    def __init__(self, piece: _Piece, shape: tuple[int, ...]) -> None:
        self.piece, self.start, self.shape, self.filled = piece, piece.size, shape, False
        piece.size += math.prod(shape)

    def view(self) -> Any:
        return self.piece.flat[self.start : self.start + math.prod(self.shape)]


class DerivativeSum:
    """Adds up derivatives over the processes, in pieces of a few MB, in the order in which backward finishes them.

    All processes make the same calls in the same order, also one that had no image in a batch. Which parameters have
    a derivative at all is agreed on once, after the first batch; its derivatives go the same way as later ones.
    """

    def __init__(self, team: Team) -> None:
        self.team = team
        self.pieces: list[_Piece] = []
        self.places: dict[tuple[int, ...], _Place] = {}
        self.started = 0
        self.found: list[Any] = []

    def ready(self, key: tuple[int, ...], der: Any) -> None:
        """Take the derivative of a parameter that no further layer adds to."""
        place = self.places.get(key)
        if place is None or place.filled or der is None:
            return
        place.view()[:] = der.reshape(-1)
        self._fill(place)

    def start(self, parameters: Iterable[Any], mine: bool) -> None:
        """Add up what `ready` was not given either; mine: whether this process had any image."""
        found = list(parameters)
        if self.team.size == 1:
            self.found = [p for p in found if p.der is not None]
            return
        if not self.places:
            self._agree(found, mine)
        self.found = [p for p in found if p.key in self.places]
        for p in self.found:
            place = self.places[p.key]
            if not place.filled:
                place.view()[:] = p.der.reshape(-1) if mine and p.der is not None else 0
                self._fill(place)

    def finish(self) -> list[Any]:
        """The parameters that have a derivative, each with the sum."""
        for piece in self.pieces:
            if piece.wait is not None:
                piece.wait()
                piece.wait = None
        for p in self.found if self.pieces else ():
            place = self.places[p.key]
            p.der, place.filled = place.view().reshape(place.shape), False
            place.piece.waiting += 1
        self.started = 0
        return self.found

    def _agree(self, parameters: list[Any], mine: bool) -> None:
        there = self.team.sum(np.array([mine and p.der is not None for p in parameters], float))
        for p in (p for p, any_has in zip(parameters, there) if any_has):
            last, like = self.pieces[-1] if self.pieces else None, p.value
            if last is None or last.like.dtype != like.dtype or last.size * like.dtype.itemsize >= PIECE:
                self.pieces.append(last := _Piece(like))
            self.places[p.key] = _Place(last, tuple(like.shape))
            last.waiting += 1
        for piece in self.pieces:
            piece.flat = backends.of(piece.like).zeros((piece.size,), piece.like)

    def _fill(self, place: _Place) -> None:
        place.filled = True
        place.piece.waiting -= 1
        while self.started < len(self.pieces) and not self.pieces[self.started].waiting:
            piece = self.pieces[self.started]
            piece.wait = self.team.start_sum(piece.flat)
            self.started += 1


class NumberSum:
    """Adds up a few vectors of numbers; a process without images so far may not know how long they are."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.lengths: list[int] = []

    def start(self, vectors: list[np.ndarray]) -> Callable[[], list[np.ndarray]]:
        """Begin to add up; the function that comes back waits for the sums."""
        if not self.lengths:
            self.lengths = [int(n) for n in self.team.largest(np.array([v.size for v in vectors], float))]
        flat = np.concatenate([np.pad(v, (0, n - v.size)) for v, n in zip(vectors, self.lengths)])
        wait = self.team.start_sum(flat)

        def sums() -> list[np.ndarray]:
            wait()
            return np.split(flat, np.cumsum(self.lengths)[:-1])

        return sums


def confusion(team: Team, counts: np.ndarray | None) -> np.ndarray | None:
    """The confusion matrix of all processes; None where none has one."""
    if team.size == 1:
        return counts
    size = int(team.largest(np.array([0 if counts is None else len(counts)]))[0])
    if not size:
        return None
    own = np.zeros((0, 0)) if counts is None else counts
    total = team.sum(np.pad(own, [(0, size - n) for n in own.shape]))
    return total.astype(np.int64 if counts is None else counts.dtype)


def share_weights(team: Team, parameters: Iterable[Any]) -> None:
    """Give all processes the weights of process 0: at first, and where machines that differ round in their own ways."""
    if team.size == 1:
        return
    for p in parameters:
        if p.value is None or not math.prod(p.value.shape):
            continue
        own = p.value.reshape(-1)
        first = team.from_first(backends.of(p.value).copy(own))
        if not bool((first == own).all()):
            p.set(first.reshape(p.value.shape))
