"""Every route says who may use it; what is for everybody is listed here, by name."""

from flask import Flask

from tests.architecture import rules

FOR_EVERYBODY = frozenset(
    (
        "/",
        "/echo",
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/swagger/",
        "/static/<path:name>",
        "/problems/",
        "/problems/<slug>",
    )
)


def test_every_route_has_a_policy(session_app: Flask) -> None:
    assert rules.routes_without_policy(session_app, FOR_EVERYBODY) == []


def test_the_list_of_public_routes_names_nothing_that_is_gone(session_app: Flask) -> None:
    assert {rule.rule for rule in session_app.url_map.iter_rules()} >= FOR_EVERYBODY


def test_a_planted_route_without_policy_is_found() -> None:
    app = Flask("planted", static_folder=None)
    app.add_url_rule("/planted", view_func=lambda: "")
    assert rules.routes_without_policy(app, FOR_EVERYBODY) == ["/planted (<lambda>)"]
