"""A hub on this computer, as far as downloading files needs one."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


class Hub(ThreadingHTTPServer):
    """Serves ``files``, (repository, name) to content; ``asked`` are its requests: method, name, range.

    ``hold_at``: wait after so many bytes of a file until ``go`` is set. ``lie``: send other bytes than those whose hash
    is told.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.hold_at, self.go = 0, threading.Event()
        self.lie = False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)(\?.*)?", self.path)
        content = self.server.files.get((match[1], match[3])) if match else None
        wanted = self.headers.get("Range") or ""
        self.server.asked.append((self.command, match[3] if match else self.path, wanted))
        if match is None or content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        digest = hashlib.sha256(content).hexdigest()
        start = int(re.findall(r"\d+", wanted)[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        commit = match[2] if re.fullmatch("[0-9a-f]{40}", match[2]) else COMMIT
        headers: dict[str, Any] = {
            "X-Repo-Commit": commit,
            "ETag": f'"{digest}"',
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": len(content),
            "Content-Length": len(content) - start,
        }
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        if with_body:
            self._send(content if not self.server.lie else bytes(len(content)), start)

    def _send(self, content: bytes, start: int) -> None:
        for place in range(start, len(content), 1 << 16):
            if self.server.hold_at and place >= self.server.hold_at:
                self.server.go.wait(60)
            with suppress(OSError):  # the other side has gone
                self.wfile.write(content[place : place + (1 << 16)])

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        hub.go.set()
        hub.shutdown()
        thread.join()
        hub.server_close()
