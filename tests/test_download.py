"""Fetching from servers on this machine that break off, answer oddly, or send something else."""

import hashlib
import os
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support import python

from pyconvnet import download as downloading
from pyconvnet.download import download

DATA = bytes(range(256)) * 4000  # 1 MB
MD5 = hashlib.md5(DATA).hexdigest()


class Server:
    """A server that answers as `answer(handler)` does; `requests` are the headers of what it was asked."""

    def __init__(self, answer):
        outer = self
        self.requests = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append(dict(self.headers))
                self.close_connection = True
                answer(self)

            def log_message(self, *args):
                pass

            def reply(self, status, body=b"", length=None, **headers):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def part(self, cut=None, tag='"1"', data=DATA):
                """As a good server answers, but for breaking off after `cut` bytes."""
                asked = self.headers.get("Range")
                if asked and self.headers.get("If-Range") == tag:
                    start = int(asked.removeprefix("bytes=").removesuffix("-"))
                    if start >= len(data):
                        return self.reply(416, Content_Range=f"bytes */{len(data)}")
                    rest = data[start:]
                    about = f"bytes {start}-{len(data) - 1}/{len(data)}"
                    return self.reply(206, rest[:cut], len(rest), ETag=tag, Content_Range=about)
                return self.reply(200, data[:cut], len(data), ETag=tag)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/models/net.mat"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@contextmanager
def serving(answer):
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(downloading, "WAIT", 0.01)
    monkeypatch.setattr(downloading, "TIMEOUT", 2.0)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def parts(folder):
    return sorted(p for p in folder.iterdir() if p.suffix == ".part")


def files(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def test_a_file_comes_whole_and_nothing_else_stays(tmp_path):
    with serving(lambda h: h.part()) as server:
        assert download([server.url], tmp_path / "a" / "net.mat", MD5) == tmp_path / "a" / "net.mat"
        download([server.url], tmp_path / "a" / "net.mat", MD5)
    assert (tmp_path / "a" / "net.mat").read_bytes() == DATA and files(tmp_path / "a") == ["net.mat"]
    assert len(server.requests) == 1 and server.requests[0]["User-Agent"].startswith("pyconvnet/")


def test_it_goes_on_where_the_connection_broke(tmp_path):
    with serving(lambda h: h.part(cut=300_000)) as server:
        download([server.url], tmp_path / "net.mat", MD5)
    assert (tmp_path / "net.mat").read_bytes() == DATA
    asked = [r.get("Range") for r in server.requests]
    assert asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert server.requests[1]["If-Range"] == '"1"'


def test_another_call_goes_on_too(tmp_path):
    def first(h):
        h.part(cut=400_000 if not h.headers.get("Range") else 0)

    with serving(first) as server:
        with pytest.raises(OSError, match=f"{server.url}: the connection broke after 400000 of 1024000 bytes"):
            download([server.url], tmp_path / "net.mat", MD5)
        (part,) = parts(tmp_path)
        assert part.stat().st_size == 400_000 and not (tmp_path / "net.mat").exists()
        server.http.RequestHandlerClass.do_GET = lambda h: (server.requests.append(dict(h.headers)), h.part())
        server.requests.clear()
        download([server.url], tmp_path / "net.mat", MD5)
    assert [r["Range"] for r in server.requests] == ["bytes=400000-"] and files(tmp_path) == ["net.mat"]


def test_it_outlives_a_server_that_restarts(tmp_path, monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    handler = Server(lambda h: h.part())
    handler.close()

    def later():
        time.sleep(0.3)
        server = ThreadingHTTPServer(("127.0.0.1", port), handler.http.RequestHandlerClass)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    threading.Thread(target=later, daemon=True).start()
    monkeypatch.setattr(downloading, "WAIT", 0.2)
    assert download([f"http://127.0.0.1:{port}/net.mat"], tmp_path / "net.mat", MD5).read_bytes() == DATA


@pytest.mark.parametrize(
    "odd",
    [
        lambda h: h.reply(200, DATA, ETag='"1"'),  # the whole file, though a part was asked for
        lambda h: h.part(tag='"2"'),  # another version of it
        lambda h: h.reply(206, DATA[100:], ETag='"1"', Content_Range=f"bytes 100-{len(DATA) - 1}/{len(DATA)}"),
        lambda h: h.reply(206, DATA[400_000:], ETag='"1"', Content_Range="pixels 1-2/3"),
        lambda h: h.reply(206, DATA[400_000:], ETag='"1"'),
        lambda h: h.reply(206, b"x" * 624_000, ETag='"2"', Content_Range=f"bytes 400000-{len(DATA) - 1}/{len(DATA)}"),
        lambda h: h.reply(206, b"x" * 624_000, ETag='"1"', Content_Range=f"bytes 400000-{len(DATA) - 1}/{len(DATA)}"),
        lambda h: h.reply(416),
        lambda h: h.reply(416, Content_Range="bytes */7"),
    ],
)
def test_an_odd_answer_to_a_request_for_the_rest_starts_over(tmp_path, odd):
    def answer(h):
        if h.headers.get("Range"):
            odd(h)
        elif len(server.requests) == 1:
            h.part(cut=400_000)
        else:
            h.reply(200, DATA, ETag='"3"')

    with serving(answer) as server:
        download([server.url], tmp_path / "net.mat", MD5)
    assert (tmp_path / "net.mat").read_bytes() == DATA and files(tmp_path) == ["net.mat"]
    assert server.requests[1]["Range"] == "bytes=400000-"


def test_a_draft_that_is_whole_only_needs_its_name(tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with serving(lambda h: h.part()) as server:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(downloading.atomic, "rename", interrupted)
            download([server.url], tmp_path / "net.mat", MD5)
        assert parts(tmp_path)[0].stat().st_size == len(DATA)
        download([server.url], tmp_path / "net.mat", MD5)
    assert server.requests[-1]["Range"] == f"bytes={len(DATA)}-" and (tmp_path / "net.mat").read_bytes() == DATA


def test_without_a_tag_or_date_a_broken_download_starts_over(tmp_path):
    def answer(h):
        h.reply(200, DATA[: 400_000 if len(server.requests) == 1 else None], len(DATA))

    with serving(answer) as server:
        download([server.url], tmp_path / "net.mat", MD5)
    assert [r.get("Range") for r in server.requests] == [None, None]


def test_a_date_serves_where_the_tag_is_weak(tmp_path):
    date = "Fri, 10 Mar 2017 10:00:00 GMT"

    def answer(h):
        if h.headers.get("Range"):
            about = f"bytes 400000-{len(DATA) - 1}/{len(DATA)}"
            return h.reply(206, DATA[400_000:], Content_Range=about)
        return h.reply(200, DATA[:400_000], len(DATA), ETag='W/"1"', Last_Modified=date)

    with serving(answer) as server:
        download([server.url], tmp_path / "net.mat", MD5)
    assert server.requests[1]["If-Range"] == date


@pytest.mark.parametrize(
    "bad, message",
    [
        (lambda h: h.reply(404), "404 Not Found"),
        (lambda h: h.reply(403), "403 Forbidden"),
        (lambda h: h.reply(503), "503 Service Unavailable"),
        (lambda h: h.reply(204), "204 No Content"),
        (lambda h: h.reply(206, DATA, Content_Range=f"bytes 0-{len(DATA) - 1}/{len(DATA)}"), "206 Partial Content"),
        (lambda h: h.reply(200, DATA[:-1] + b"x", ETag='"1"'), "its MD5 is .* rather than " + MD5),
        (lambda h: h.reply(200, b"<!DOCTYPE html><p>log in"), "it is a web page"),
        (lambda h: h.reply(200, DATA, 1000, ETag='"1"'), "its MD5 is"),
        (lambda h: h.reply(200, DATA[:10], "many"), "its MD5 is"),
        (
            lambda h: h.reply(302, Location="file:///etc/passwd"),
            "file:///etc/passwd. is not allowed",
        ),
        (lambda h: h.reply(302, Location="ftp://127.0.0.1/net.mat"), "redirection to ftp"),
        (lambda h: h.reply(302, Location=h.path), "302"),
        (lambda h: h.wfile.write(b"nonsense\r\n\r\n"), "nonsense"),
        (lambda h: None, "without response"),
    ],
)
def test_the_next_mirror_is_asked_where_one_does_not_have_the_file(tmp_path, bad, message):
    with serving(bad) as first, serving(lambda h: h.part()) as second:
        with pytest.raises(OSError, match=message) as failed:
            download([first.url], tmp_path / "net.mat", MD5)
        assert first.url in str(failed.value) and "root:" not in str(failed.value)
        assert not (tmp_path / "net.mat").exists()
        download([first.url, second.url], tmp_path / "net.mat", MD5)
    assert (tmp_path / "net.mat").read_bytes() == DATA and files(tmp_path) == ["net.mat"]


def test_more_bytes_than_were_said_are_fetched_if_the_sum_is_right(tmp_path):
    def answer(h):  # says 2 MB, has 1 MB
        if h.headers.get("Range"):
            return h.reply(416, Content_Range=f"bytes */{len(DATA)}")
        return h.reply(200, DATA, 2 * len(DATA), ETag='"1"')

    with serving(answer) as server:
        download([server.url], tmp_path / "net.mat", MD5)
    assert (tmp_path / "net.mat").read_bytes() == DATA


def test_a_stream_without_an_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "LARGEST", 5_000_000)

    def endless(h):
        h.send_response(200)
        h.end_headers()
        while True:
            h.wfile.write(DATA)

    with serving(endless) as server, pytest.raises(OSError, match="does not end after"):
        download([server.url], tmp_path / "net.mat", MD5)
    assert files(tmp_path) == []


def test_a_silent_server_is_not_waited_for_forever(tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "TIMEOUT", 0.1)
    with serving(lambda h: time.sleep(1)) as server, pytest.raises(OSError, match=r"timed out|TimeoutError"):
        download([server.url], tmp_path / "net.mat", MD5)
    assert len(server.requests) == downloading.TRIES


def test_files_of_this_machine_are_mirrors_too(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "net.mat").write_bytes(DATA)
    missing, there = (tmp_path / name / "net.mat" for name in ("nowhere", "mirror"))
    download([missing.as_uri(), there.as_uri()], tmp_path / "to" / "net.mat", MD5)
    assert (tmp_path / "to" / "net.mat").read_bytes() == DATA


def test_an_address_that_is_none_is_said(tmp_path):
    with pytest.raises(OSError, match="unknown url type"):
        download(["models/net.mat"], tmp_path / "net.mat")


def test_a_file_that_is_there_is_checked_and_kept(tmp_path):
    (tmp_path / "net.mat").write_bytes(b"of the user's own")
    with pytest.raises(OSError, match=r"net\.mat: its MD5 is .*; move it away to fetch the file"):
        download(["http://127.0.0.1:9/net.mat"], tmp_path / "net.mat", MD5)
    assert (tmp_path / "net.mat").read_bytes() == b"of the user's own"
    assert files(tmp_path) == ["net.mat"]


def test_a_full_disk_is_said_as_it_is_and_no_other_mirror_is_asked(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloading.os, "fsync", full)
    with serving(lambda h: h.part()) as server, pytest.raises(OSError, match="No space left") as failed:
        download([server.url, server.url], tmp_path / "net.mat", MD5)
    assert failed.value.errno == 28 and len(server.requests) == 1


@pytest.mark.skipif(os.name == "nt", reason="of POSIX locks")
def test_of_two_processes_one_fetches_and_the_other_waits(tmp_path):
    def slow(h):
        h.send_response(200)
        h.send_header("Content-Length", str(len(DATA)))
        h.send_header("ETag", '"1"')
        h.end_headers()
        for i in range(0, len(DATA), 100_000):
            h.wfile.write(DATA[i : i + 100_000])
            time.sleep(0.15)

    code = (
        "import sys; from pathlib import Path; from pyconvnet.download import download\n"
        "print(download([sys.argv[1]], Path(sys.argv[2]), sys.argv[3]))"
    )
    with serving(slow) as server:
        done = []
        runs = [
            threading.Thread(target=lambda: done.append(python(code, server.url, tmp_path / "net.mat", MD5)))
            for _ in range(3)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    assert [d.returncode for d in done] == [0, 0, 0], [d.stderr for d in done]
    assert len(server.requests) == 1 and (tmp_path / "net.mat").read_bytes() == DATA
    assert any("waiting for another process" in d.stderr for d in done) and files(tmp_path) == ["net.mat"]


def test_a_killed_process_leaves_what_the_next_one_needs(tmp_path):
    def stalling(h):
        if h.headers.get("Range"):
            return h.part()
        h.send_response(200)
        h.send_header("Content-Length", str(len(DATA)))
        h.send_header("ETag", '"1"')
        h.end_headers()
        h.wfile.write(DATA[:600_000])
        h.wfile.flush()
        time.sleep(5)

    code = (
        "import os, sys, threading, time; from pathlib import Path; from pyconvnet.download import download\n"
        "threading.Timer(1.0, os._exit, (9,)).start()\n"
        "download([sys.argv[1]], Path(sys.argv[2]), sys.argv[3])"
    )
    with serving(stalling) as server:
        assert python(code, server.url, tmp_path / "net.mat", MD5).returncode == 9
        came = parts(tmp_path)[0].stat().st_size
        assert 0 < came <= 600_000
        download([server.url], tmp_path / "net.mat", MD5)
    assert server.requests[-1]["Range"] == f"bytes={came}-" and (tmp_path / "net.mat").read_bytes() == DATA
