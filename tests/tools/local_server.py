"""A web server on 127.0.0.1 that behaves as a test tells it to, badly if asked; it never leaves the machine.

A route is a function of the request's handler, and `answer`, `file` and `raw` make the usual ones. Used by
tests/unit/test_data_sources*.py through `load_tool("local_server")`.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Route = Callable[[BaseHTTPRequestHandler], None]


class LocalServer:
    """Serves `routes` (path with query, or path alone → route) and keeps what was asked in `requests`;
    `most_open` is the largest number of requests that waited for an answer at one time.

    A route may be a list of routes: each request takes the next, the last one stays.
    """

    def __init__(self) -> None:
        self.routes: dict[str, Route | list[Route]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.open = self.most_open = 0
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            waiting = False

            def count(self, waiting: bool) -> None:
                with lock:
                    outer.open += waiting - self.waiting
                    outer.most_open = max(outer.most_open, outer.open)
                    self.waiting = waiting

            def do_GET(self) -> None:
                self.count(True)
                outer.requests.append((self.path, dict(self.headers.items())))
                with contextlib.suppress(OSError):
                    outer.route_of(self.path)(self)
                self.count(False)

            def end_headers(self) -> None:
                self.count(False)  # before the visitor can have the answer
                super().end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "LocalServer":
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def route_of(self, path: str) -> Route:
        """The route of a path; 404 for what has none."""
        route = self.routes.get(path) or self.routes.get(path.partition("?")[0]) or answer(404, b"no")
        if isinstance(route, list):
            return route.pop(0) if len(route) > 1 else route[0]
        return route

    def paths(self) -> list[str]:
        """What was asked for, but for robots.txt."""
        return [path for path, _ in self.requests if path != "/robots.txt"]


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Route:
    """A whole answer; `Retry_After="1"` is the header Retry-After."""

    def route(h: BaseHTTPRequestHandler) -> None:
        told = {"Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        h.send_response(status)
        for name, value in told.items():
            if value:
                h.send_header(name, value)
        h.end_headers()
        h.wfile.write(body)

    return route


def file(body: bytes, etag: str = '"v1"', *, stop_after: int | None = None, **headers: str) -> Route:
    """A file with ETag, conditional requests and ranges; `stop_after` bytes the connection breaks."""

    def route(h: BaseHTTPRequestHandler) -> None:
        if h.headers.get("If-None-Match") == etag:
            return answer(304, b"", ETag=etag, Content_Length="")(h)
        asked = re.fullmatch(r"bytes=(\d+)-", h.headers.get("Range", ""))
        start = int(asked[1]) if asked and h.headers.get("If-Range") in (None, etag) else 0
        if start >= len(body) > 0:
            return answer(416, b"", Content_Range=f"bytes */{len(body)}")(h)
        told = {"ETag": etag, "Content_Length": str(len(body) - start), **headers}
        if start:
            told["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start:] if stop_after is None else body[start : start + stop_after]
        return answer(206 if start else 200, part, **told)(h)

    return route


def raw(*pieces: bytes, pause: float = 0.0) -> Route:
    """These bytes and nothing else, with a pause after each."""

    def route(h: BaseHTTPRequestHandler) -> None:
        for piece in pieces:
            h.wfile.write(piece)
            h.wfile.flush()
            time.sleep(pause)
        h.close_connection = True

    return route


def endless(h: BaseHTTPRequestHandler) -> None:
    """A body without end and without length."""
    h.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        h.wfile.write(bytes(1 << 16))
