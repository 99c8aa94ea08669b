"""Ctrl-C that waits until work is where it can go on later."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Whether Ctrl-C came, for the block of `postponed` to ask where it can stop.

    urgent  whether it came a second time; nothing is waited for then
    advice  how to go on later, for messages
    """

    came = urgent = False
    advice = ""


@contextlib.contextmanager
def postponed(until: str, apart: float = 0.0) -> Iterator[Interrupt]:
    """Inside the block a first Ctrl-C (SIGINT) is noted only, a second one raises KeyboardInterrupt at once.

    until  what is finished first, for the line on stderr that answers the first Ctrl-C; "" prints none
    apart  seconds from the first within which another one is the same: launchers pass on what the terminal sends to
           all processes anyway

    A first one that the block does not ask for is raised after it. Nothing changes outside the main thread, which alone
    hears signals, nor where SIGINT has another handler than Python's own.
    """
    interrupt = Interrupt()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupt
        return
    since = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if interrupt.came:
            if time.monotonic() - since >= apart:
                interrupt.urgent = True
                signal.default_int_handler(number, frame)
            return
        interrupt.came, since = True, time.monotonic()
        if until:
            with contextlib.suppress(RuntimeError, OSError):  # it may have come while stderr was being written
                print(f"\nfinishing {until}; Ctrl-C again stops at once", file=sys.stderr, flush=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupt.came:
        raise KeyboardInterrupt
