"""The front page, the echo, Swagger UI, static files, and the catalogue of problems."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.architecture.tree import ROOT

each = pytest.mark.parametrize


def test_the_front_page_leads_everywhere(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.json["name"] == "Indicators"
    for name in ("documentation", "openapi", "ready", "problems"):
        assert client.get(answer.json["links"][name]).status_code == 200, name


class TestEcho:
    @each("body", [{"a": [1, 2.5, None, True, "ä"]}, [], "text", 7, {"deep": {"er": {}}}])
    def test_json_comes_back_as_it_was_understood(self, client: FlaskClient, body: Any) -> None:
        answer = client.post("/echo?x=1&x=2&y=", json=body)
        assert answer.json == {"method": "POST", "args": {"x": ["1", "2"], "y": [""]}, "json": body}

    def test_get_echoes_the_query(self, client: FlaskClient) -> None:
        assert client.get("/echo?a=b").json == {"method": "GET", "args": {"a": ["b"]}, "json": None}

    @each(
        "body",
        [
            "",
            "{",
            "{'a': 1}",
            '{"a": NaN}',
            '{"a": Infinity}',
            '{"a": 1e400}',
            '{"a": 1, "a": 2}',
            '{"x": {"a": 1, "b": 2, "a": 1}}',
            '[{"a": 1, "\\u0061": 2}]',
            '{"a": "\\ud800"}',
            '{"a": 01}',
            '{"a": 1,}',
            "[" * 300 + "]" * 300,
            "[" * 100_000 + "]" * 100_000,
            '{"a":' * 50_000 + "1" + "}" * 50_000,
            "9" * 5_000,
            "\ufeff{}",
            "{} {}",
        ],
        ids=lambda body: body[:20],
    )
    @each("path", ["/echo", "/api/v1/auth/login"])
    def test_what_is_no_plain_json_is_400(self, client: FlaskClient, path: str, body: str) -> None:
        answer = client.post(
            path, data=body.encode("utf-8", "surrogatepass"), content_type="application/json"
        )
        assert answer.status_code == 400

    def test_bytes_that_are_no_text_are_400(self, client: FlaskClient) -> None:
        answer = client.post("/echo", data=b'{"a": "\xff"}', content_type="application/json")
        assert answer.status_code == 400

    def test_depth_has_a_limit_that_no_sensible_request_meets(self, client: FlaskClient) -> None:
        assert (
            client.post("/echo", data="[" * 100 + "]" * 100, content_type="application/json").status_code
            == 200
        )

    @each("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""])
    def test_another_content_type_is_refused(self, client: FlaskClient, kind: str) -> None:
        assert client.post("/echo", data="{}", content_type=kind).status_code == 415
        answer = client.post("/api/v1/auth/login", data="{}", content_type=kind)
        assert answer.status_code == 400
        assert "Content-Type: application/json" in answer.json["detail"]

    @each(
        "kind",
        ["application/json; charset=utf-8", "application/problem+json", "application/merge-patch+json"],
    )
    def test_any_kind_of_json_will_do(self, client: FlaskClient, kind: str) -> None:
        assert client.post("/echo", data="{}", content_type=kind).status_code == 200

    def test_a_body_of_more_than_a_megabyte_is_413(self, client: FlaskClient) -> None:
        answer = client.post("/echo", data='"' + "x" * 2**20 + '"', content_type="application/json")
        assert (answer.status_code, answer.json["type"]) == (413, "/problems/request-entity-too-large")

    def test_no_body_at_all_names_what_is_missing(self, client: FlaskClient) -> None:
        answer = client.post("/api/v1/auth/login")
        assert answer.status_code == 400
        assert {fault["code"] for fault in answer.json["errors"]} == {"required"}


class TestSwagger:
    def test_the_page_takes_scripts_and_styles_from_here_only(self, client: FlaskClient) -> None:
        page = client.get("/swagger/")
        assert page.headers["Content-Type"].startswith("text/html")
        sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert sources
        assert not re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=", page.text)
        for source in (source for source in sources if not source.startswith("data:")):
            assert source.startswith("/static/"), source
            answer = client.get(source)
            assert answer.status_code == 200, source
            assert "max-age=3600" in answer.headers["Cache-Control"]

    def test_without_the_slash_it_leads_there(self, client: FlaskClient) -> None:
        answer = client.get("/swagger")
        assert (answer.status_code, answer.headers["Location"]) == (308, "http://localhost/swagger/")

    @each(
        "name",
        [
            "nothing.js",
            "../templates/swagger.html",
            "..%2f..%2fapp.py",
            "%2e%2e/%2e%2e/app.py",
            "swagger",
            "%00",
            "..",
        ],
    )
    def test_nothing_but_static_files_can_be_had(self, client: FlaskClient, name: str) -> None:
        assert client.get(f"/static/{name}").status_code == 404

    def test_a_static_file_is_not_sent_twice(self, client: FlaskClient) -> None:
        first = client.get("/static/swagger/start.js")
        again = client.get("/static/swagger/start.js", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


class TestProblems:
    def test_the_catalogue_is_the_document(self, client: FlaskClient) -> None:
        assert client.get("/problems/").text == (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")

    def test_the_type_of_a_problem_leads_to_its_entry(self, client: FlaskClient) -> None:
        kind = client.get("/api/v1/files").json["type"]
        answer = client.get(kind)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith("## not-logged-in\n")
        assert "not-profiled" not in answer.text

    @each("slug", ["unknown", "not", "Problems", "%0A", "not-logged-in%0A"])
    def test_an_unknown_one_is_404(self, client: FlaskClient, slug: str) -> None:
        assert client.get(f"/problems/{slug}").status_code == 404
