"""Is the built site whole? Links and their anchors, images with texts, nothing asked of another host; and in headless
Chromium, where there is one: no error in the console, readable at the width of a phone, and the search finds.

    python -m tests.site build/site     a line for each fault; the exit code is 1 if there is one
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlsplit

from tests.site import browser, pages

SEARCHED_FOR = 10  # seconds
_WIDTH = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
_WIDEST = f"""[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > {browser.PHONE})
    .map(e => e.tagName.toLowerCase() + (e.className ? "." + e.className : "")).slice(0, 3).join(", ")"""


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # which browsers ask for by themselves
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def seen(folder: Path) -> Iterator[str]:
    """A line for each fault that Chromium sees."""
    with browser.browser() as tab, ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/"
        for path in sorted(folder.rglob("*.html")):
            here = path.relative_to(folder).as_posix()
            tab.open(base + quote(here))
            width = tab.value(_WIDTH)
            if width > browser.PHONE:
                yield f"{here}: {width} pixels wide on a phone of {browser.PHONE}: {tab.value(_WIDEST)}"
            yield from (f"{here}: {text}" for event in tab.events for text in _fault(event, base))
        if (folder / "search.html").exists():
            tab.open(base + "search.html?q=convolution")
            if not tab.wait('document.querySelectorAll("#search-results li").length > 0', SEARCHED_FOR):
                yield "search.html: the search for 'convolution' finds nothing"
        server.shutdown()


def _fault(event: dict[str, Any], base: str) -> Iterator[str]:
    what = event.get("params", {})
    match event.get("method"):
        case "Runtime.exceptionThrown":
            yield what["exceptionDetails"].get("exception", {}).get("description", what["exceptionDetails"]["text"])
        case "Runtime.consoleAPICalled" if what["type"] in ("error", "assert"):
            yield " ".join(str(a.get("value", a.get("description"))) for a in what["args"])
        case "Log.entryAdded" if what["entry"]["level"] == "error":
            yield f"{what['entry']['text']} {what['entry'].get('url', '')}"
        case "Network.requestWillBeSent":
            url = what["request"]["url"]
            if not url.startswith(base) and urlsplit(url).scheme not in ("data", "blob"):
                yield f"asks another host: {url}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the built site")
    folder = parser.parse_args(argv).folder.resolve()
    found = pages.faults(folder)
    if browser.FOUND:
        found += seen(folder)
    else:
        print("left out: what Chromium sees, which is not installed")
    found = list(dict.fromkeys(found))
    print("\n".join([*found, f"{len(list(folder.rglob('*.html')))} pages, {len(found)} faults"]))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
