"""The processes that train one network: what they add up, and what process 0 tells the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import numpy as np

BEAT, SILENCE = 2.0, 20.0  # seconds between signs of life; without one for so long, a process counts as lost
GATHERING = timedelta(minutes=30)  # until all have started; imports and compiling take their time
# A process may be busy for long, with a checkpoint or a plot; whether it lives is told by its signs of life.
PATIENCE = timedelta(days=1)


class Lost(ConnectionError):
    """Another of the processes that train together has ended."""


class Team:
    """One process that trains by itself; Processes is several of them.

    rank  number of this process, from 0; size  how many there are
    """

    rank, size = 0, 1

    def start_sum(self, x: Any) -> Callable[[], None]:
        """Begin to add up a flat array over the processes, in place; the function that comes back waits for the end."""
        return lambda: None

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sums of numbers over the processes."""
        return values

    def largest(self, values: np.ndarray) -> np.ndarray:
        """The largest of each number over the processes."""
        return values

    def from_first(self, x: Any) -> Any:
        """The flat array of process 0, in all of them."""
        return x

    def tell(self, content: bytes | None) -> bytes | None:
        """Bytes that process 0 has, or None, in all of them."""
        return content

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in all of them."""
        return [value]

    def in_turn(self, call: Callable[[], None]) -> None:
        """Call in process 0 first, then in the others."""
        call()


class Processes(Team):
    """The processes of torch.distributed's group. Arrays are numpy's, or tensors on a device of this process."""

    def __init__(self, fn: str, watch: Watch | None = None) -> None:
        import torch
        import torch.distributed as dist

        self.fn, self.watch, self.torch, self.dist = fn, watch, torch, dist
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # A group of the user's own may know GPUs only.
        self.device = "cuda" if dist.get_backend() == "nccl" else None

    def start_sum(self, x: Any) -> Callable[[], None]:
        # Sums only: gloo's average is silently wrong (pytorch issue 162338).
        return self._start(self.dist.all_reduce, x, op=self.dist.ReduceOp.SUM)

    def sum(self, values: np.ndarray) -> np.ndarray:
        out = np.array(values, float)
        self.start_sum(out)()
        return out

    def largest(self, values: np.ndarray) -> np.ndarray:
        out = np.array(values, float)
        self._start(self.dist.all_reduce, out, op=self.dist.ReduceOp.MAX)()
        return out

    def from_first(self, x: Any) -> Any:
        self._start(self.dist.broadcast, x, src=0)()
        return x

    def tell(self, content: bytes | None) -> bytes | None:
        size = self.from_first(np.array([-1 if content is None else len(content)]))
        if size[0] < 0:
            return None
        data = np.zeros(size[0], np.uint8) if self.rank else np.frombuffer(content or b"", np.uint8).copy()
        return self.from_first(data).tobytes()

    def gather(self, value: Any) -> list[Any]:
        self.largest(np.zeros(1))  # once all have it: this wait hears Ctrl-C
        out: list[Any] = [None] * self.size
        try:
            self.dist.all_gather_object(out, value)
        except RuntimeError as error:
            raise self._lost() from error
        return out

    def in_turn(self, call: Callable[[], None]) -> None:
        if self.rank == 0:
            call()
        self.largest(np.zeros(1))
        if self.rank:
            call()

    def _start(self, call: Callable[..., Any], x: Any, **options: Any) -> Callable[[], None]:
        given = self.torch.from_numpy(x) if isinstance(x, np.ndarray) else x
        # gloo knows no other devices than these
        tensor = given if given.device.type in ("cpu", "cuda") else given.cpu()
        if self.device is not None:
            tensor = given.to(self.device)
        try:
            work = call(tensor, async_op=True, **options)
        except RuntimeError as error:
            raise self._lost() from error

        def wait() -> None:
            self._wait(work, tensor)
            if tensor is not given:
                given.copy_(tensor)

        return wait

    def _wait(self, work: Any, tensor: Any) -> None:
        """Wait as Python does, so that Ctrl-C is heard, and for living processes only."""
        began = time.monotonic()
        try:
            while tensor.device.type == "cpu" and not work.is_completed():
                if self.watch is not None and self.watch.alarm(began):
                    raise self._lost()
                time.sleep(5e-5)
            work.wait()
        except RuntimeError as error:
            raise self._lost() from error

    def _lost(self) -> Lost:
        said = self.watch.reason() if self.watch is not None else ""
        said = said or f"one of the other {self.size - 1} processes has died or cannot be reached"
        return Lost(f"{self.fn}: {said}; process {self.rank} of {self.size} ends, too")


class Watch(Thread):
    """Tells the other processes that this one lives, and notices when the next one does not, or when any has failed."""

    def __init__(self, store: Any, rank: int, size: int) -> None:
        super().__init__(name="pyconvnet watch", daemon=True)
        self.store, self.rank, self.size = store, rank, size
        self.trouble = ""
        self.silent = False  # whether a process is out of reach, and may never answer
        self.told = time.monotonic()
        self.ended = Event()

    def run(self) -> None:
        after = (self.rank + 1) % self.size
        heard, seen = time.monotonic(), 0
        while not self.ended.wait(BEAT):
            try:
                self.store.add(f"alive {self.rank}", 1)
                beats = self.store.add(f"alive {after}", 0)
                self.trouble = self.trouble or self._failure()
            except RuntimeError:  # torch's DistStoreError, DistNetworkError
                self._unreachable()
                return
            self.told = now = time.monotonic()
            if beats != seen:
                heard, seen = now, beats
            elif now - heard > SILENCE and not self.trouble:
                self.failed(f"nothing has been heard of process {after} for {SILENCE:.0f} s", silent=True)

    def _unreachable(self) -> None:
        self.trouble, self.silent = "the process that keeps the addresses of all cannot be reached", True

    def alarm(self, since: float) -> bool:
        """Whether there is trouble, for who has waited for others since that time."""
        # The store waits for an answer for ever, and holds up its thread.
        if not self.trouble and time.monotonic() - max(self.told, since) > SILENCE + BEAT:
            self._unreachable()
        return bool(self.trouble)

    def failed(self, reason: str, silent: bool = False) -> None:
        """Tell all processes why the training ends."""
        self.trouble, self.silent = self.trouble or reason, self.silent or silent
        try:
            if time.monotonic() - self.told < SILENCE:
                self.store.compare_set("failed", "", f"{int(silent)}{reason}")
        except RuntimeError:
            pass  # whoever keeps the addresses is gone, which all will notice

    def _failure(self) -> str:
        if not self.store.check(["failed"]):
            return ""
        text = self.store.get("failed").decode()
        self.silent = self.silent or text[0] == "1"
        return text[1:]

    def reason(self) -> str:
        """Why the training has to end, if that is known."""
        try:
            return self.trouble or self._failure()
        except RuntimeError:
            return ""

    def end(self) -> None:
        """Send no more signs of life."""
        self.ended.set()
        self.join(BEAT)
