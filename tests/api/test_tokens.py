"""JWTs: only complete tokens of the right kind, made with one of our two secrets, are good."""

import base64
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from src.config import Settings
from tests.api.conftest import MakeApp
from tests.factories.accounts import Accounts, Caller

OLD = "the secret of last month, which is long enough"
Claims = dict[str, Any]
Forge = Callable[..., str]
each = pytest.mark.parametrize


@pytest.fixture
def forge(operator: Caller, settings: Settings) -> Forge:
    """Makes a token like the caller's, but for what is said otherwise; None takes a claim away."""

    def make(
        secret: str = settings.jwt_secret, algorithm: str = "HS256", kid: str = "", **claims: Any
    ) -> str:
        header = jwt.get_unverified_header(operator.access)
        whole = read(operator.access) | claims
        present = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(present, secret, algorithm=algorithm, headers={"kid": kid or header["kid"]})

    return make


def read(token: str) -> Claims:
    claims: Claims = jwt.decode(token, options={"verify_signature": False})
    return claims


def me(client: FlaskClient, token: str) -> TestResponse:
    return client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})


def assert_refused(answer: TestResponse) -> None:
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/bad-token")


def test_a_token_forged_with_the_secret_itself_would_be_good(client: FlaskClient, forge: Forge) -> None:
    assert me(client, forge()).status_code == 200


def test_an_access_token_lasts_ten_minutes_and_a_refresh_token_two_weeks(operator: Caller) -> None:
    access, refresh = read(operator.access), read(operator.refresh)
    assert access["exp"] - access["iat"] == 600
    assert refresh["exp"] - refresh["iat"] == 14 * 86_400
    assert jwt.get_unverified_header(operator.access)["alg"] == "HS256"


@each("claim", ["exp", "iat", "jti", "type", "sub", "fam", "iss", "aud"])
def test_a_token_without_a_claim_is_refused(client: FlaskClient, forge: Forge, claim: str) -> None:
    assert_refused(me(client, forge(**{claim: None})))


@each(
    "claims",
    [
        {"exp": 1_700_000_000},
        {"exp": "never"},
        {"nbf": 9_000_000_000},
        {"iat": 9_000_000_000},
        {"iss": "somebody"},
        {"aud": "somebody"},
        {"aud": ["somebody", "else"]},
        {"type": "refresh"},
        {"type": "reset"},
        {"sub": 17},
        {"fam": "no uuid"},
        {"fam": 17},
        {"fam": ["a"]},
        {"jti": ""},
    ],
    ids=str,
)
def test_a_token_with_a_wrong_claim_is_refused(client: FlaskClient, forge: Forge, claims: Claims) -> None:
    assert_refused(me(client, forge(**claims)))


@each("claims", [{"sub": str(uuid4())}, {"fam": str(uuid4())}], ids=["another account", "unknown family"])
def test_a_token_for_another_login_is_refused(client: FlaskClient, forge: Forge, claims: Claims) -> None:
    answer = me(client, forge(**claims))
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/login-ended")


def test_a_refresh_token_is_no_access_token(client: FlaskClient, operator: Caller) -> None:
    assert_refused(me(client, operator.refresh))


@each("algorithm", ["none", "None", "NONE"])
def test_a_token_without_signature_is_refused(client: FlaskClient, operator: Caller, algorithm: str) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode()
    payload = operator.access.split(".")[1]
    assert_refused(me(client, f"{header.rstrip('=')}.{payload}."))


@each("algorithm", ["HS512", "HS384"])
def test_another_algorithm_is_refused_even_with_our_secret(
    client: FlaskClient, forge: Forge, algorithm: str, settings: Settings
) -> None:
    with pytest.warns(jwt.InsecureKeyLengthWarning) if algorithm == "HS512" else nullcontext():
        token = forge(settings.jwt_secret, algorithm)
    assert_refused(me(client, token))


def test_another_secret_is_refused(client: FlaskClient, forge: Forge) -> None:
    assert_refused(me(client, forge("a secret that nobody here has ever seen")))


@each("place", range(0, 300, 37))
def test_a_tampered_token_is_refused(client: FlaskClient, operator: Caller, place: int) -> None:
    token = operator.access
    other = "A" if token[place] != "A" else "B"
    assert_refused(me(client, token[:place] + other + token[place + 1 :]))


@each("kid", ["unknown", "../../etc/passwd", "' OR 1=1 --"])
def test_an_unknown_key_id_does_not_help_a_wrong_secret(client: FlaskClient, forge: Forge, kid: str) -> None:
    assert_refused(me(client, forge("a secret that nobody here has ever seen", kid=kid)))


@each("header", [{"kid": 17}, {"kid": ["a"]}, {"kid": None}])
def test_a_key_id_that_is_no_text_is_no_error_of_ours(
    client: FlaskClient, operator: Caller, header: Claims
) -> None:
    whole = {"alg": "HS256", "typ": "JWT"} | header
    text = base64.urlsafe_b64encode(json.dumps(whole).encode()).decode().rstrip("=")
    assert_refused(me(client, ".".join([text, *operator.access.split(".")[1:]])))


@each("token", ["", "a", "a.b", "a.b.c.d", ".", "..", "ä.ö.ü", "e30.e30.e30", "a" * 8_000])
def test_what_is_no_token_is_refused(client: FlaskClient, token: str) -> None:
    answer = client.get(
        "/api/v1/auth/me", headers={"Authorization": f"Bearer {token}".encode().decode("latin-1")}
    )
    assert answer.status_code == 401


@each("header", ["Basic YTpi", "Bearer", "Bearer ", "", "Digest x", "\t"])
def test_another_kind_of_authorization_is_none(client: FlaskClient, header: str) -> None:
    answer = client.get("/api/v1/auth/me", headers={"Authorization": header})
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/not-logged-in")


@each("scheme", ["Bearer", "bearer", "BEARER", "Token", "token"])
def test_both_schemes_are_taken_in_any_case(client: FlaskClient, operator: Caller, scheme: str) -> None:
    answer = client.get("/api/v1/auth/me", headers={"Authorization": f"{scheme} {operator.access}"})
    assert answer.status_code == 200


def test_after_a_rotation_tokens_of_the_previous_secret_are_good_and_new_ones_are_not_made_with_it(
    make_app: MakeApp, settings: Settings, operator: Caller
) -> None:
    rotated = make_app(jwt_secret=OLD, jwt_secret_previous=settings.jwt_secret)
    client = rotated.test_client()
    assert me(client, operator.access).status_code == 200
    fresh = client.post("/api/v1/auth/refresh", json={"refresh": operator.refresh}).json["access"]
    assert jwt.decode(fresh, OLD, algorithms=["HS256"], audience="indicators")["sub"] == str(operator.id)


def test_a_token_that_was_good_is_refused_once_it_has_expired(client: FlaskClient, forge: Forge) -> None:
    token = forge(exp=int(time.time()) + 1)
    while me(client, token).status_code == 200:
        time.sleep(0.2)
    assert_refused(me(client, token))


def test_when_the_previous_secret_is_gone_so_are_its_tokens(make_app: MakeApp, operator: Caller) -> None:
    assert_refused(me(make_app(jwt_secret=OLD).test_client(), operator.access))


def test_a_token_of_another_service_with_the_same_secret_is_refused(
    app: Flask, accounts: Accounts, settings: Settings
) -> None:
    claims = read(accounts.caller().access) | {"iss": "other", "aud": "other"}
    assert_refused(me(app.test_client(), jwt.encode(claims, settings.jwt_secret, algorithm="HS256")))
