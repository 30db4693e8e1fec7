"""Around every request: ids, security headers, hosts, proxies, odd methods, and errors that tell nothing."""

import json
import logging
from dataclasses import replace

import pytest
from flask import Flask, request
from flask.testing import FlaskClient

from src.app import create_app
from src.wiring import EXTENSION, Adapters
from tests.api.conftest import CheckedClient, MakeApp
from tests.api.nouns import FILES
from tests.factories.accounts import Caller

each = pytest.mark.parametrize
SECRET = "the secret of the planted failure"


class TestHeaders:
    @each("path", ["/", "/livez", "/openapi.json", "/swagger/", "/problems/", "/nothing", FILES])
    def test_every_answer_has_a_strict_policy(self, client: FlaskClient, path: str) -> None:
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"

    def test_answers_of_the_api_are_never_stored(self, client: FlaskClient, operator: Caller) -> None:
        assert operator.get(FILES).headers["Cache-Control"] == "no-store"
        assert client.get(FILES).headers["Cache-Control"] == "no-store"

    def test_hsts_is_sent_over_https_only(self, client: FlaskClient) -> None:
        assert "Strict-Transport-Security" not in client.get("/").headers
        secure = client.get("/", base_url="https://localhost").headers
        assert secure["Strict-Transport-Security"].startswith("max-age=31536000")

    def test_no_answer_names_the_server_s_software(self, client: FlaskClient) -> None:
        assert "Server" not in client.get("/").headers


class TestRequestId:
    @each("given", ["0123abcd", "a-b_c.d-EF12", "x" * 64])
    def test_a_good_one_is_taken_over(self, client: FlaskClient, given: str) -> None:
        answer = client.get("/nothing", headers={"X-Request-ID": given})
        assert answer.headers["X-Request-ID"] == given
        assert answer.json["instance"] == f"urn:request:{given}"

    @each("given", ["", "short", "x" * 65, "with space inside", "<script>alert(1)</script>", "ümlautümlaut"])
    def test_any_other_is_replaced(self, client: FlaskClient, given: str) -> None:
        sent = given.encode().decode("latin-1")
        found = client.get("/", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
        assert found != sent
        assert len(found) == 32

    def test_each_request_has_another(self, client: FlaskClient) -> None:
        assert client.get("/").headers["X-Request-ID"] != client.get("/").headers["X-Request-ID"]


class TestMethods:
    @each("method", ["TRACE", "TRACK", "CONNECT"])
    @each("path", ["/", "/echo", FILES, "/nothing"])
    def test_odd_methods_are_405_and_echo_nothing(self, client: FlaskClient, method: str, path: str) -> None:
        answer = client.open(path, method=method, headers={"X-Secret": SECRET})
        assert answer.status_code == 405
        assert SECRET not in answer.text

    def test_a_method_that_is_not_for_this_address_is_405_and_names_the_others(
        self, client: FlaskClient
    ) -> None:
        answer = client.put(FILES)
        assert (answer.status_code, answer.json["type"]) == (405, "/problems/method-not-allowed")
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


@pytest.fixture(scope="module")
def choosy(session_app: Flask) -> FlaskClient:
    """One application is asked for all names: it takes longer to make than to ask."""
    present: Adapters = session_app.extensions[EXTENSION]
    hosts = ("ops.example.org", ".internal.example")
    app = create_app(adapters=replace(present, settings=replace(present.settings, allowed_hosts=hosts)))
    app.testing = True
    app.test_client_class = CheckedClient
    return app.test_client()


class TestHosts:
    @each(
        "host",
        ["ops.example.org", "ops.example.org:8080", "web.internal.example", "127.0.0.1:7012", "localhost"],
    )
    def test_ours_are_answered_for(self, choosy: FlaskClient, host: str) -> None:
        assert choosy.get("/", headers={"Host": host}).status_code == 200

    @each(
        "host", ["evil.example", "ops.example.org.evil.example", "xops.example.org", "10.0.0.1", "a b", "@"]
    )
    @each("path", ["/", FILES, "/nothing"])
    def test_foreign_ones_are_refused(self, choosy: FlaskClient, host: str, path: str) -> None:
        answer = choosy.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/bad-request")

    def test_without_the_setting_any_is_answered_for(self, client: FlaskClient) -> None:
        assert client.get("/", headers={"Host": "whatever.example"}).status_code == 200


class TestProxies:
    FORWARDED = {
        "X-Forwarded-For": "6.6.6.6, 10.1.1.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "a.example",
    }

    def seen(self, app: Flask) -> str:
        """Who the application takes the caller for."""
        found: list[str] = []
        app.before_request(lambda: found.append(f"{request.remote_addr} {request.scheme}"))
        app.test_client().get("/", headers=self.FORWARDED)
        return found[0]

    def test_what_strangers_say_of_themselves_is_ignored(self, make_app: MakeApp) -> None:
        assert self.seen(make_app()) == "127.0.0.1 http"

    def test_one_trusted_proxy_tells_the_address_of_its_client(self, make_app: MakeApp) -> None:
        assert self.seen(make_app(trusted_proxies=1)) == "10.1.1.1 https"

    def test_of_two_trusted_proxies_the_outer_one_does(self, make_app: MakeApp) -> None:
        assert self.seen(make_app(trusted_proxies=2)) == "6.6.6.6 http"


class TestFailures:
    @pytest.fixture
    def broken(self, make_app: MakeApp) -> Flask:
        """An application with views that fail."""
        app = make_app()

        def fail() -> str:
            raise RuntimeError(SECRET)

        def recurse() -> str:
            return recurse()

        app.add_url_rule("/planted/fail", view_func=fail)
        app.add_url_rule("/planted/recurse", view_func=recurse)
        return app

    def test_an_error_of_ours_tells_its_id_and_nothing_else(
        self, broken: Flask, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            answer = broken.test_client().get("/planted/fail", headers={"X-Request-ID": "find-me-again"})
        assert (answer.status_code, answer.json["type"]) == (500, "/problems/internal-error")
        assert answer.json["instance"] == "urn:request:find-me-again"
        for word in (SECRET, "RuntimeError", "Traceback", ".py"):
            assert word not in answer.text
        assert SECRET in caplog.text

    def test_running_out_of_stack_is_taken_for_a_request_that_nests_too_deeply(self, broken: Flask) -> None:
        assert broken.test_client().get("/planted/recurse").status_code == 400

    def test_an_unknown_address_is_a_problem_too(self, client: FlaskClient) -> None:
        for path in ("/nothing", "/api/v1/nothing", "/api/v2/files", "/../etc/passwd", "/%00"):
            answer = client.get(path)
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found")

    def test_the_client_of_these_tests_would_notice_an_answer_that_is_none(self, make_app: MakeApp) -> None:
        app = make_app()
        app.add_url_rule("/planted", view_func=lambda: ("broken", 500))
        client = app.test_client()
        assert isinstance(client, CheckedClient)
        with pytest.raises(AssertionError):
            client.get("/planted")


class TestAccessLog:
    def test_a_line_tells_method_path_status_and_nothing_secret(
        self, client: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="src.access"):
            client.get("/nothing?token=hidden", headers={"Authorization": "Bearer hidden"})
        (line,) = [record for record in caplog.records if record.name == "src.access"]
        assert (line.method, line.path, line.status) == ("GET", "/nothing", 404)  # type: ignore[attr-defined]  # extra
        assert "hidden" not in json.dumps(vars(line), default=str)

    def test_a_signed_link_stays_out_of_it(
        self, client: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="src.access"):
            client.get("/api/v1/downloads/hidden")
        (line,) = [record for record in caplog.records if record.name == "src.access"]
        assert line.path == "/api/v1/downloads/<token>"  # type: ignore[attr-defined]  # extra
        assert "hidden" not in json.dumps(vars(line), default=str)

    def test_health_checks_do_not_fill_the_log(
        self, client: FlaskClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, logger="src.access"):
            client.get("/livez")
        assert [record for record in caplog.records if record.name == "src.access"] == []
