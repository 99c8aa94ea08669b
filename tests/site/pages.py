"""What can be seen without a browser: links and their anchors, what a page loads, texts for images."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "link": ("href",),
    "iframe": ("src",),
    "source": ("src", "srcset"),
}
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""")


class Page(HTMLParser):
    """Names that can be linked to, links, what the page loads by itself, images without a text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = {"", "top"}
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.silent: list[str] = []
        self._tag = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        self._tag = tag
        self.ids.update(at[name] for name in ("id", "name") if at.get(name))
        if tag == "a" and "href" in at:
            self.links.append(at["href"])
        for name in _LOADS.get(tag, ()):
            if at.get(name) and not (tag == "link" and at.get("rel") in ("canonical", "license")):
                listed = at[name].split(", ") if name == "srcset" else [at[name]]
                self.loaded += [entry.split()[0] for entry in listed]
        if tag == "img" and not _says_something(at.get("alt", "").strip()):
            self.silent.append(at.get("src", "")[:80])
        self.loaded += _IN_STYLES.findall(at.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._tag == "style":
            self.loaded += _IN_STYLES.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""


def _says_something(alt: str) -> bool:
    """Sphinx gives an image without a text the name of its file."""
    return bool(alt) and not alt.endswith((".png", ".svg", ".jpg", ".gif"))


def faults(folder: Path) -> list[str]:
    """A line for each fault of the pages and styles in a folder."""
    folder = folder.resolve()
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html"))}
    found = [] if pages else [f"{folder}: no page"]
    for path, page in pages.items():
        here = path.relative_to(folder)
        found += [f"{here}: an image without a text: {src}" for src in page.silent]
        found += [f"{here}: {text}" for url in page.loaded for text in _loading(path, url)]
        for url in page.links:
            if not urlsplit(url).scheme:
                target = _target(path, url)
                if not target.is_file() or folder not in target.parents:
                    found.append(f"{here}: a link to nothing: {url}")
                elif target in pages and unquote(urlsplit(url).fragment) not in pages[target].ids:
                    found.append(f"{here}: a link to a place that is not there: {url}")
    for path in sorted(folder.rglob("*.css")):
        urls = _IN_STYLES.findall(path.read_text(encoding="utf-8"))
        found += [f"{path.relative_to(folder)}: {text}" for url in urls for text in _loading(path, url)]
    return found


def _loading(path: Path, url: str) -> list[str]:
    parts = urlsplit(url)
    if parts.scheme == "data" or url.startswith("#"):
        return []
    if parts.scheme or parts.netloc:
        return [f"asks another host: {url}"]
    return [] if _target(path, url).is_file() else [f"loads what is not there: {url}"]


def _target(path: Path, url: str) -> Path:
    relative = unquote(urlsplit(url).path)
    target = path if not relative else (path.parent / relative).resolve()
    return target / "index.html" if target.is_dir() else target
