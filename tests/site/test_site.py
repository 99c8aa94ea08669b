"""The check of the site finds what it is for: one fault on each of these pages."""

from __future__ import annotations

import pytest

from tests.site import browser, pages
from tests.site.__main__ import main

HEAD = '<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width"><title>t</title>'
needs_chromium = pytest.mark.skipif(not browser.FOUND, reason="Chromium is not installed")


def site(folder, body="", **files):
    (folder / "index.html").write_text(f"{HEAD}<h1 id=top-of-it>Title</h1>{body}")
    (folder / "other.html").write_text(f'{HEAD}<p id=here>Text</p><a href="index.html#top-of-it">up</a>')
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_a_whole_site_has_no_faults(tmp_path, capsys):
    folder = site(
        tmp_path, '<a href="other.html#here">a</a><a href="https://example.org/">b</a><p style="color: red">c'
    )
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.endswith("2 pages, 0 faults\n")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="missing.html">a</a>', "a link to nothing: missing.html"),
        ('<a href="../elsewhere.html">a</a>', "a link to nothing: ../elsewhere.html"),
        ('<a href="other.html#gone">a</a>', "a link to a place that is not there: other.html#gone"),
        ('<a href="#gone">a</a>', "a link to a place that is not there: #gone"),
        ('<img alt=picture src="gone.png">', "loads what is not there: gone.png"),
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "an image without a text"),
        ('<img alt="a/b.png" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "an image without a text"),
        ('<script src="https://example.org/a.js"></script>', "asks another host: https://example.org/a.js"),
        ("<style>@import 'https://example.org/a.css';</style>", "asks another host: https://example.org/a.css"),
        ('<link rel=stylesheet href="style.css">', "style.css: asks another host: https://example.org/f.woff2"),
    ],
)
def test_faults_that_need_no_browser(tmp_path, body, fault):
    found = pages.faults(site(tmp_path, body, style_css="@font-face { src: url(https://example.org/f.woff2) }"))
    assert any(fault in line for line in found)
    assert len(found) == 1 or "style.css" not in body


@needs_chromium
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>console.error('something is wrong')</script>", "index.html: something is wrong"),
        ("<script>nothing.at.all</script>", "index.html: ReferenceError: nothing is not defined"),
        ("<p style='width: 600px'>wide", "index.html: 608 pixels wide on a phone of 375: p"),
        ("<script>fetch('http://127.0.0.1:9/')</script>", "index.html: asks another host: http://127.0.0.1:9/"),
    ],
)
def test_faults_that_chromium_sees(tmp_path, capsys, body, fault):
    assert main([str(site(tmp_path, body))]) == 1
    assert fault in capsys.readouterr().out


@needs_chromium
def test_a_search_that_finds_nothing_is_a_fault(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tests.site.__main__.SEARCHED_FOR", 0.2)
    site(tmp_path, search_html=f"{HEAD}<ul id=search-results></ul>")
    assert main([str(tmp_path)]) == 1
    assert "the search for 'convolution' finds nothing" in capsys.readouterr().out
