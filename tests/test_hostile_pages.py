"""No page that pyconvnet writes runs what a stranger put into a name, or asks for anything."""

import html
import http.server
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser

import hostile
import pytest

from pyconvnet.text import visible

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
TAGS = """html head meta title style body main h1 h2 p section pre table thead tbody caption tr th td details summary br
    div figure img image svg metadata rdf:rdf cc:work dc:type dc:date dc:format dc:creator cc:agent dc:title
    defs g path use clippath rect text""".split()
ATTRIBUTES = {
    "lang": "en",
    "charset": "utf-8",
    "http-equiv": "Content-Security-Policy",
    "name": "referrer|viewport",
    "href": None,
    "src": r"data:image/png;base64,[\w+/=]*",
    "rdf:resource": r"http://purl\.org/dc/dcmitype/StillImage",
    "xlink:href": r"#[\w-]+|data:image/png;base64,[\s\w+/=]*",
    "style": r"(?!.*url\().*",
}


@pytest.fixture(scope="module", params=["simplenn", "dagnn", "folds"])
def page(request, tmp_path_factory):
    """The report of an experiment full of such names."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("PIL")
    from pyconvnet.report import report

    folder = tmp_path_factory.mktemp("let") / "<img src=x onerror=alert(1)>"
    if request.param == "folds":
        hostile.experiment(folder, hostile.simplenn())
        (folder / "net-epoch-1.mat").unlink()
        hostile.experiment(folder / "fold-1", hostile.dagnn())
        hostile.experiment(folder / "fold-<svg onload=alert(1)>", hostile.simplenn())
    else:
        hostile.experiment(folder, getattr(hostile, request.param)())
    return report(folder)


class Reader(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = set(), set(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= set(attrs)

    def handle_data(self, data):
        self.texts.append(data)


def check(text):
    read = Reader(text)
    assert read.tags <= set(TAGS)
    for name, value in read.attributes:
        assert not name.startswith("on")
        wanted = ATTRIBUTES.get(name, r"[^<>\"]*")
        assert wanted is not None and re.fullmatch(wanted, value or ""), (name, value)
        assert "javascript:" not in (value or "").lower()
    assert not [c for c in text if c not in "\n\t" and visible(c) != c]
    return read


def test_names_are_text_of_the_report(page):
    text = page.read_text(encoding="utf-8")
    read = check(text)
    shown = "".join(read.texts)
    assert all(visible(name)[:150] in shown for name in hostile.NAMES[:20])
    assert visible(hostile.NAMES[-1]) in shown
    policy = re.search(r"Content-Security-Policy content=\"([^\"]*)\"", text)[1]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert text.index("Content-Security-Policy") < text.index("<title>")


@pytest.mark.parametrize("make", [hostile.simplenn, hostile.dagnn])
def test_names_are_text_of_the_table_in_a_notebook(make):
    text = make()._repr_html_()
    read = check(text)
    assert all(visible(name) in "".join(read.texts) for name in hostile.NAMES)


@pytest.mark.parametrize(
    "content, said",
    [
        ("[1]", "must hold a JSON object, got list"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"confusion": [1]}', "confusion is not what a training writes there"),
        ('{"confusion": {"val": [["<b>"]]}}', "confusion is not"),
        ('{"confusion": {"val": [[1, 2]]}}', "confusion is not"),
        ('{"options": "x"}', "options is not"),
    ],
)
def test_a_broken_training_json_is_one_clear_error(tmp_path, content, said):
    from pyconvnet.report import report

    folder = hostile.experiment(tmp_path / "exp", hostile.simplenn(["a", "b", "c", "d", "e"]))
    (folder / "training.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        report(folder)


@pytest.fixture
def server():
    """A server that keeps which addresses it is asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        asked: list = []

        def do_GET(self):
            self.asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        made.asked = Handler.asked
        yield made
        made.shutdown()


def opened(path, tmp_path):
    """The page as it is after a browser has run what there is to run."""
    quiet = "quic background-networking component-update sync gpu".split()
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--no-first-run", "--no-proxy-server"),
            *(f"--disable-{what}" for what in quiet),
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=2000",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        timeout=120,
    )
    return done.stdout.decode("utf-8", "replace")


def ran(dom):
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    return f'<body class="{hostile.RAN}"' in dom or (found is not None and hostile.RAN in found[1])


def at(server, text):
    """With the server's address in place of the one that names have."""
    return text.replace("127.0.0.1:9/", f"127.0.0.1:{server.server_port}/")


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium")
def test_a_browser_runs_nothing_in_the_report_and_asks_for_nothing(page, server, tmp_path):
    copy = tmp_path / "report.html"
    copy.write_text(at(server, page.read_text(encoding="utf-8")), encoding="utf-8")
    dom = opened(copy, tmp_path)
    assert "Network" in dom or "Cross-validation" in dom
    assert not ran(dom) and not server.asked


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium")
def test_the_policy_of_the_report_holds_where_names_are_not_escaped(page, server, tmp_path):
    raw = at(server, "".join(name for name in hostile.MARKUP if "refresh" not in name))
    policy = re.search(r"<meta http-equiv=Content-Security-Policy [^>]*>", page.read_text(encoding="utf-8"))[0]
    for head, runs in (("", True), (policy, False)):
        (tmp_path / "raw.html").write_text(f"<!doctype html><meta charset=utf-8>{head}<title>t</title><body>{raw}")
        server.asked.clear()
        dom = opened(tmp_path / "raw.html", tmp_path)
        assert html.unescape(dom) and ran(dom) is runs and bool(server.asked) is runs
