"""What the head of a request means: nearly always it is, byte by byte, that of the request before."""

import re
from collections.abc import Callable
from wsgiref.types import WSGIEnvironment

from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from gunicorn.workers.gthread import TConn

MOST = 1_024
REQUEST_ID = re.compile(rb"\r\nX-Request-ID: ([A-Za-z0-9._-]{1,64})(?=\r\n)", re.IGNORECASE)


class Heads:
    """Reads each once; `plain` says of an environment what is to be known, or that it is not plain."""

    def __init__(self, plain: Callable[[WSGIEnvironment], WSGIEnvironment | None]) -> None:
        self._plain = plain
        self._known: dict[tuple[str, bytes], WSGIEnvironment | None] = {}

    def environ(self, conn: TConn, address: str, head: bytes) -> WSGIEnvironment | None:
        """None: it is not plain. The request's id, which proxies give anew to each, is put in afterwards."""
        given = REQUEST_ID.search(head, 1)  # behind the first line, which must be a request
        key = address, head if given is None else head[: given.start()] + head[given.end() :]
        if key not in self._known:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = self._read(conn, key[1])
        environ = self._known[key]
        if environ is None or given is None:
            return environ
        is_twice = "HTTP_X_REQUEST_ID" in environ
        return None if is_twice else environ | {"HTTP_X_REQUEST_ID": given[1].decode()}

    def _read(self, conn: TConn, head: bytes) -> WSGIEnvironment | None:
        """As gunicorn reads it. None: it is not plain, or faulty, which gunicorn is to say."""
        try:
            request = Request(conn.cfg, IterUnreader([head]), conn.client, req_number=2)
            is_odd = any(name in ("EXPECT", "UPGRADE") for name, _ in request.headers)
            if is_odd or request.version != (1, 1) or request.should_close():
                return None
            _, environ = wsgi.create(request, conn.sock, conn.client, conn.server, conn.cfg)
        except Exception:  # noqa: BLE001  whatever it is, it comes again where it is answered
            return None
        return self._plain(environ)
