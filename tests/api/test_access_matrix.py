"""Every route and everyone who should not come in, from the url map: a new route is in it by itself."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from src.api import outside_ids
from src.api.registration import RESOURCES
from src.domain.roles import SCOPES, Policy, Role
from src.services.logins import Grant
from src.wiring import services
from tests.api.nouns import (
    a_delivery,
    a_file,
    a_job,
    a_recipe,
    a_report,
    a_rules,
    a_schedule,
    an_alert_subscription,
    an_api_key,
    an_import,
    an_operation,
)
from tests.factories.accounts import Accounts, Caller
from tests.ground import Ground, app, connection, ground

__all__ = ["app", "connection", "ground"]

# What an owner has, by the name that it has in the routes.
OWNED: dict[str, Callable[[Caller], Any]] = {
    "delivery_id": a_delivery,
    "file_id": lambda caller: a_file(caller)["id"],
    "import_id": lambda caller: an_import(caller)["id"],
    "job_id": lambda caller: a_job(caller, kind="import"),
    "schedule_id": lambda caller: a_schedule(caller)["id"],
    "subscription_id": lambda caller: an_alert_subscription(caller)["id"],
    "report_id": lambda caller: a_report(caller)["id"],
    "rules_id": lambda caller: a_rules(caller)["id"],
    "version": lambda caller: 1,  # of what the caller has
    "key_id": lambda caller: an_api_key(caller)["id"],
    "operation_id": lambda caller: an_operation(caller)["id"],
    "recipe_id": lambda caller: a_recipe(caller)["id"],
}
# What belongs to nobody, and is there for everyone whose role is high enough.
SHARED = frozenset(("alert_id", "alert_rule_id", "atendimento_id", "client_id", "version", "view"))
# Answers of those who may, when the thing is not in the state for it, or the request has no body.
ADDRESSED = frozenset(
    (
        "not-profiled",
        "job-not-retryable",
        "import-not-in-this-state",
        "no-file",
        "delivery-not-resendable",
        "no-input-file",
        "report-not-ready",
        "bad-rules",
        "rules-version-not-found",
    )
)
# What is sent where a body is looked at before the thing it is about.
BODIES = {"POST /api/v1/recipes/<uuid:recipe_id>/versions": {"steps": [{"operation": "dedup"}]}}
# What only administrators can address: the role protects it.
ADMINISTERED = frozenset(("account_id",))


class Route(NamedTuple):
    method: str
    rule: str
    arguments: tuple[str, ...]
    policy: Policy

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"

    def path(self, **values: object) -> str:
        path = self.rule
        for argument in self.arguments:
            (place,) = re.findall(rf"<[^<>]*\b{argument}>", path)
            unknown = 2**62 if place.startswith("<int") else uuid4()
            path = path.replace(place, str(values.get(argument, unknown)))
        return path


def routes() -> Iterator[Route]:
    """The routes of the API, from an url map like the application's."""
    app = Flask("matrix", static_folder=None)
    outside_ids.register(app)
    for resource in RESOURCES:
        app.register_blueprint(resource.blp)
    for rule in app.url_map.iter_rules():
        yield from (
            route_of(app, rule, method) for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        )


def route_of(app: Flask, rule: Rule, method: str) -> Route:
    policy: Policy = app.view_functions[rule.endpoint].policy
    return Route(method, rule.rule, tuple(sorted(rule.arguments)), policy)


ALL = list(routes())
PROTECTED = [route for route in ALL if route.policy.role is not None]
OF_OWNERS = [route for route in PROTECTED if set(route.arguments) - ADMINISTERED - SHARED]
OF_ALL = [route for route in PROTECTED if set(route.arguments) & SHARED]
RANKED = [
    (route, role)
    for route in PROTECTED
    for role in Role
    if route.policy.role and not role.covers(route.policy.role)
]
FOR_KEYS = [route for route in PROTECTED if route.policy.scope]
FOR_PEOPLE = [route for route in PROTECTED if not route.policy.scope]

each = pytest.mark.parametrize


@dataclass(frozen=True)
class Town:
    """Those who knock at every door, and what one of them owns."""

    people: dict[str, Grant]
    keys: dict[str, str]
    owned: dict[str, Any]


@pytest.fixture(scope="module")
def town(ground: Ground) -> Town:
    """Made once for all routes: an account of each role, with a login, and such as may not come in any more."""
    with ground.open() as there:
        accounts = Accounts(there)
        people = {str(role): accounts.grant(role) for role in Role}
        people |= {name: accounts.grant("operator") for name in ("owner", "other")}
        people |= {name: accounts.grant("admin") for name in ("logged out", "disabled")}
        with services() as s:
            s.family_rows.revoke_all(people["logged out"].account.id, "logged out")
            s.account_rows.get(people["disabled"].account.id).is_disabled = True
        admin, owner = (accounts.speaking_for(people[name]) for name in (str(Role.ADMIN), "owner"))
        revoked = an_api_key(admin, *SCOPES)
        admin.delete(f"/api/v1/api-keys/{revoked['id']}")
        keys = {"revoked": revoked["key"], "all": an_api_key(admin, *SCOPES)["key"]}
        for scope in SCOPES:
            keys[f"all but {scope}"] = an_api_key(admin, *(one for one in SCOPES if one != scope))["key"]
        return Town(people, keys, {name: make(owner) for name, make in OWNED.items()})


@pytest.fixture
def callers(town: Town, app: Flask) -> Callable[[str], Caller]:
    """Someone of the town, with tokens that have not expired."""
    return lambda name: Accounts(app).speaking_for(town.people[name])


@pytest.fixture
def admin(callers: Callable[[str], Caller]) -> Caller:
    return callers("admin")


def named(route: object) -> str:
    return route.name if isinstance(route, Route) else str(route)


def send(app: Flask, route: Route, path: str | None = None, **headers: str) -> TestResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"json": BODIES[route.name]} if route.name in BODIES else {}
    return app.test_client().open(path or route.path(), method=route.method, headers=names, **body)


def slug(answer: TestResponse) -> str:
    return str(answer.json["type"]).removeprefix("/problems/")


def test_the_matrix_has_all_routes_of_the_api(session_app: Flask) -> None:
    served = [rule for rule in session_app.url_map.iter_rules() if rule.rule.startswith(("/api/", "/event"))]
    assert sorted(rule.rule for rule in served) == sorted(route.rule for route in ALL)
    assert len(ALL) > 25


def test_every_argument_of_a_route_is_known_to_the_matrix() -> None:
    arguments = {argument for route in PROTECTED for argument in route.arguments}
    assert arguments == OWNED.keys() | ADMINISTERED | SHARED, "tell the matrix how to make the new noun"


def test_keys_can_be_made_for_every_route_that_keys_may_use_and_for_nothing_else() -> None:
    assert {route.policy.scope for route in FOR_KEYS} == set(SCOPES)


def test_only_administrators_address_what_has_no_owner() -> None:
    routes = [route for route in ALL if set(route.arguments) & ADMINISTERED]
    assert {route.policy.role for route in routes} == {Role.ADMIN}


@each("route", PROTECTED, ids=named)
def test_without_a_token_it_is_401(client: Any, app: Flask, route: Route) -> None:
    answer = send(app, route)
    assert (answer.status_code, slug(answer)) == (401, "not-logged-in")


@each("credential", ["Bearer garbage", "Token a.b.c", "Bearer ind_unknown"])
@each("route", PROTECTED, ids=named)
def test_with_a_garbage_token_it_is_401(app: Flask, route: Route, credential: str) -> None:
    answer = send(app, route, Authorization=credential)
    assert (answer.status_code, slug(answer)) == (
        401,
        "bad-api-key" if "ind_" in credential else "bad-token",
    )


@each("person", ["logged out", "disabled"])
@each("route", PROTECTED, ids=named)
def test_with_a_revoked_token_or_a_disabled_account_it_is_401(
    app: Flask, callers: Callable[[str], Caller], route: Route, person: str
) -> None:
    answer = send(app, route, **callers(person).headers)
    assert (answer.status_code, slug(answer)) == (401, "login-ended")


@each("route", FOR_KEYS, ids=named)
def test_with_a_revoked_key_it_is_401(app: Flask, town: Town, route: Route) -> None:
    answer = send(app, route, X_API_Key=town.keys["revoked"])
    assert (answer.status_code, slug(answer)) == (401, "bad-api-key")


@each(("route", "role"), RANKED, ids=named)
def test_with_too_low_a_role_it_is_403(
    app: Flask, callers: Callable[[str], Caller], route: Route, role: Role
) -> None:
    answer = send(app, route, **callers(role).headers)
    assert (answer.status_code, slug(answer)) == (403, "role-too-low")


@each("route", OF_OWNERS, ids=named)
def test_what_belongs_to_another_account_is_404(
    app: Flask, town: Town, callers: Callable[[str], Caller], route: Route
) -> None:
    path, other = route.path(**town.owned), callers("other")
    answer = send(app, route, path, **other.headers)
    unknown = send(app, route, **other.headers)
    assert (answer.status_code, unknown.status_code) == (404, 404)
    assert told(answer) == told(unknown), "it does not tell whether there is such a thing"


@each("route", OF_OWNERS, ids=named)
def test_what_belongs_to_another_account_is_there_for_administrators(
    app: Flask, town: Town, admin: Caller, route: Route
) -> None:
    answer = send(app, route, route.path(**town.owned), **admin.headers)
    assert answer.status_code < 400 or slug(answer) in ADDRESSED, answer.text


@each("route", FOR_KEYS, ids=named)
def test_an_api_key_without_the_scope_is_403(app: Flask, town: Town, route: Route) -> None:
    answer = send(app, route, X_API_Key=town.keys[f"all but {route.policy.scope}"])
    assert (answer.status_code, slug(answer)) == (403, "scope-missing")


@each("route", FOR_PEOPLE, ids=named)
def test_an_api_key_is_403_where_only_people_may_go(app: Flask, town: Town, route: Route) -> None:
    answer = send(app, route, X_API_Key=town.keys["all"])
    assert (answer.status_code, slug(answer)) == (403, "scope-missing")


@each("route", [route for route in ALL if route.policy.role is None], ids=named)
def test_a_public_route_does_not_mind_a_bad_token(app: Flask, route: Route) -> None:
    with_token, without = send(app, route, Authorization="Bearer garbage"), send(app, route)
    assert told(with_token) == told(without)


@each("value", ["abc", "1e99", "0", str(UUID(int=0)) + "0"])
@each("route", [route for route in OF_OWNERS + OF_ALL if route.method != "PUT"], ids=named)
def test_an_id_that_is_none_is_404(app: Flask, admin: Caller, route: Route, value: str) -> None:
    path = route.path(**dict.fromkeys(route.arguments, value))
    assert send(app, route, path, **admin.headers).status_code == 404


def told(answer: TestResponse) -> dict[str, Any]:
    return {name: value for name, value in answer.json.items() if name != "instance"}
