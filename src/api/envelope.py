"""Around every request: its id, its log line, the security headers, and the hosts we answer for."""

import logging
import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from src import logs
from src.api.problems import problem
from src.config import Settings

log = logging.getLogger("src.access")
GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ALWAYS = [*HEADERS.items(), ("Cache-Control", "no-store")]
QUIET = ("/livez", "/readyz", "/metrics")


def register(app: Flask, settings: Settings) -> None:
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]  # as Flask's documentation says
    if settings.allowed_hosts:
        app.config["TRUSTED_HOSTS"] = [*settings.allowed_hosts, "127.0.0.1", "localhost"]
    app.before_request(begin)
    app.after_request(finish)


def begin() -> Response | None:
    """Give the request an id, and refuse odd methods."""
    g.request_id = opened(request.headers.get("X-Request-ID", ""), request.remote_addr or "")
    g.started = time.perf_counter()
    if request.method in ("TRACE", "TRACK", "CONNECT"):
        return problem(405, "method-not-allowed", "Method Not Allowed", "This method is not used here.")
    return None


def opened(given: str, address: str) -> str:
    """The request's id, in a thread that has answered others before."""
    structlog.contextvars.clear_contextvars()
    return named(given, address)


def named(given: str, address: str) -> str:
    """The request's id: the caller's, when it looks like one. All lines of the log carry it from now on."""
    request_id = given if GOOD_ID.fullmatch(given) else secrets.token_hex(16)
    logs.bind(request_id=request_id, address=address)
    return request_id


def finish(answer: Response) -> Response:
    given = {name.lower() for name in answer.headers.keys()}  # noqa: SIM118  not a dict
    added = headers_of(g.get("request_id"), is_secure=request.is_secure)
    answer.headers.extend((name, value) for name, value in added if name.lower() not in given)
    if "request_id" in g:
        seconds = time.perf_counter() - g.started
        note(method=request.method, path=_path_to_log(), status=answer.status_code, seconds=seconds)
    return answer


def headers_of(request_id: str | None, *, is_secure: bool) -> list[tuple[str, str]]:
    """What every answer says, unless it says otherwise."""
    added = [*ALWAYS]
    if is_secure:
        added.append(("Strict-Transport-Security", "max-age=31536000; includeSubDomains"))
    if request_id is not None:
        added.append(("X-Request-ID", request_id))
    return added


def note(*, method: str, path: str, status: int, seconds: float) -> None:
    """The line that tells of a request."""
    level = logging.DEBUG if path in QUIET else logging.INFO
    if log.isEnabledFor(level):
        fields = {"method": method, "path": path, "status": status, "ms": round(seconds * 1000, 1)}
        log.log(level, "request", extra=fields)


def _path_to_log() -> str:
    """Whoever has a signed link may use it: it stays out of the log."""
    rule = request.url_rule
    return rule.rule if rule is not None and "token" in rule.arguments else request.path
