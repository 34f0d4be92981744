"""An HTTP server on the loopback address, with answers good and bad."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server(ThreadingHTTPServer):
    """Serves `content` under /good, /good-unsized, /cut and nothing else."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.requests: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.strip("/")
        self.server.requests.append(name)
        content = self.server.content
        if name not in {"good", "good-unsized", "cut"}:
            self.send_error(404)
            return
        self.send_response(200)
        if name != "good-unsized":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name == "cut" else content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Run a server in a thread."""
    with Server(content) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
