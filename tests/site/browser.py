"""Headless Chromium by its DevTools protocol, over two pipes: no port, no further package."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = next(filter(None, map(shutil.which, _NAMES)), None) if os.name == "posix" else None
PHONE = 375  # CSS pixels


class Browser:
    """One tab of Chromium with the width of a phone; `events` has what it told since a page was opened."""

    def __init__(self, process: subprocess.Popen[bytes], down: int, up: int) -> None:
        self._process, self._down, self._up = process, down, up
        self._buffer, self._count, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        size = {"width": PHONE, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._down, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(30)
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            if not select.select([self._up], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium is silent")
            read = os.read(self._up, 1 << 20)
            if not read:
                raise RuntimeError(f"Chromium ended: {self._process.wait()}")
            self._buffer += read
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def open(self, url: str) -> None:
        """Load a page to its end; `events` has what was told meanwhile."""
        self.events = []
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._next(30))
        self.value("document.fonts.ready.then(() => 1)")

    def value(self, expression: str) -> Any:
        got = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return got["result"].get("value")

    def wait(self, expression: str, seconds: float) -> bool:
        """Whether the expression becomes true in that time."""
        until = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser that ends with the block. Its profile is a folder of its own, and goes with it."""
    assert FOUND
    ours, theirs = os.pipe(), os.pipe()  # to Chromium, and from it: its file numbers 3 and 4

    def numbered() -> None:
        copies = [fd for _ in range(5) for fd in (os.dup(ours[0]), os.dup(theirs[1]))][-2:]  # clear of 3 and 4
        os.dup2(copies[0], 3)
        os.dup2(copies[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        flags += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        process = subprocess.Popen(
            [FOUND, *flags, "about:blank"], close_fds=False, preexec_fn=numbered, stderr=subprocess.DEVNULL
        )
        os.close(ours[0])
        os.close(theirs[1])
        try:
            tab = Browser(process, ours[1], theirs[0])
            yield tab
            tab.call("Browser.close")
        finally:
            os.close(ours[1])
            os.close(theirs[0])
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
