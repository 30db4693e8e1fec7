"""The front page, the echo, Swagger UI (its assets are our own: no CDN), and the catalogue of problems."""

from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, send_from_directory, url_for

from src.domain.errors import NotFound

ROOT = Path(__file__).resolve().parents[2]
WEB = Path(__file__).resolve().parents[1] / "web"
blp = Blueprint("pages", __name__, template_folder=str(WEB / "templates"))
ONE_HOUR = 3600


@blp.get("/")
def front() -> Response:
    """What this is, and where to go."""
    return jsonify(
        name="Indicators",
        what="Operations data: files in; records, indicators, reports and alerts out.",
        links={
            "documentation": url_for("pages.swagger"),
            "openapi": "/openapi.json",
            "api": "/api/v1",
            "ready": url_for("health.readyz"),
            "problems": url_for("pages.problems"),
        },
    )


@blp.route("/echo", methods=["GET", "POST"])
def echo() -> Response:
    """What you sent, as we understood it: for trying out a client."""
    body: Any = request.get_json() if request.method == "POST" else None
    return jsonify(method=request.method, args=request.args.to_dict(flat=False), json=body)


@blp.get("/swagger/")
def swagger() -> str:
    """The API's documentation, to read and to try."""
    return render_template("swagger.html")


@blp.get("/static/<path:name>")
def static_file(name: str) -> Response:
    """Our own pages' scripts, styles and pictures."""
    answer = send_from_directory(WEB / "static", name, max_age=ONE_HOUR)
    answer.headers["Cache-Control"] = f"public, max-age={ONE_HOUR}"
    return answer


@blp.get("/problems/")
def problems() -> Response:
    """The catalogue of problems, as plain text."""
    return send_from_directory(ROOT / "docs", "problems.md", mimetype="text/plain")


@blp.get("/problems/<slug>")
def one_problem(slug: str) -> Response:
    """One entry of the catalogue: what `type` in a problem document leads to."""
    text = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    for entry in text.split("\n## ")[1:]:
        if entry.partition("\n")[0] == slug:
            return Response(f"## {entry}", mimetype="text/plain")
    raise NotFound("There is no such problem.")
