"""Registering, logging in, refreshing, logging out, and changing a password."""

import os
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest
from argon2 import PasswordHasher as Argon2
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from src.models import Account, TokenFamily
from src.services.passwords import NOBODYS_HASH, PasswordHasher
from src.wiring import Services, services
from tests.api.conftest import Change
from tests.factories.accounts import PASSWORD, Accounts, Caller

AUTH = "/api/v1/auth"
NEW = "another horse with another battery"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refreshed(client: FlaskClient, token: str) -> TestResponse:
    return client.post(f"{AUTH}/refresh", json={"refresh": token})


def successor_in(answer: TestResponse) -> str:
    claims: dict[str, Any] = jwt.decode(answer.json["refresh"], options={"verify_signature": False})
    return str(claims["ref"])


def slug(answer: TestResponse) -> str:
    return str(answer.json["type"]).removeprefix("/problems/")


class TestRegister:
    def test_a_registered_account_can_use_its_access_token(self, client: FlaskClient) -> None:
        body = {"email": "Ana@Example.org", "password": PASSWORD, "name": "Ana"}
        answer = client.post(f"{AUTH}/register", json=body)
        assert answer.status_code == 201
        assert answer.json["token"] == answer.json["access"]
        me = client.get(f"{AUTH}/me", headers={"Authorization": f"Token {answer.json['token']}"})
        assert me.json == answer.json["user"]
        assert (me.json["email"], me.json["role"]) == ("ana@example.org", "operator")

    def test_no_answer_ever_has_a_password_in_it(self, client: FlaskClient) -> None:
        answer = client.post(f"{AUTH}/register", json={"username": "ana", "password": PASSWORD})
        assert PASSWORD not in answer.text
        assert "argon2" not in answer.text

    def test_the_role_of_new_accounts_is_a_setting(self, client: FlaskClient, change: Change) -> None:
        change(registration_role="viewer")
        answer = client.post(f"{AUTH}/register", json={"username": "ana", "password": PASSWORD})
        assert answer.json["user"]["role"] == "viewer"

    def test_nobody_can_choose_their_role(self, client: FlaskClient) -> None:
        body = {"username": "ana", "password": PASSWORD, "role": "admin"}
        answer = client.post(f"{AUTH}/register", json=body)
        assert answer.status_code == 400
        assert answer.json["errors"] == [
            {"pointer": "/role", "code": "unknown_field", "message": "Unknown field."}
        ]

    def test_when_it_is_closed_it_is_403_and_makes_nothing(
        self, client: FlaskClient, change: Change, services: Services
    ) -> None:
        change(registration="closed")
        answer = client.post(f"{AUTH}/register", json={"username": "ana", "password": PASSWORD})
        assert (answer.status_code, slug(answer)) == (403, "registration-closed")
        assert services.account_rows.find_by_login_name("ana") is None

    @pytest.mark.parametrize("name", [{"email": "Ana@example.org"}, {"username": "ANA"}])
    def test_a_name_that_is_taken_is_409_in_any_case(self, client: FlaskClient, name: dict[str, str]) -> None:
        taken = {"email": "ana@example.org", "username": "ana", "password": PASSWORD}
        assert client.post(f"{AUTH}/register", json=taken).status_code == 201
        answer = client.post(f"{AUTH}/register", json=name | {"password": PASSWORD})
        assert (answer.status_code, slug(answer)) == (409, "account-exists")

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"password": PASSWORD}, "/email"),
            ({"email": "no address", "password": PASSWORD}, "/email"),
            ({"username": "a@b", "password": PASSWORD}, "/username"),
            ({"username": "ana\n", "password": PASSWORD}, "/username"),
            ({"username": "a" * 65, "password": PASSWORD}, "/username"),
            ({"username": "ana"}, "/password"),
            ({"username": "ana", "password": None}, "/password"),
            ({"username": "ana", "password": 12345678}, "/password"),
            ({"username": "ana", "password": "short77"}, "/password"),
            ({"username": "ana", "password": "p" * 257}, "/password"),
            ({"username": "ana", "password": "password1"}, "/password"),
            ({"username": "ana", "password": "good enough\x00"}, "/password"),
            ({"username": "ana-is-my-name", "password": "Ana-Is-My-Name"}, "/password"),
            ({"username": "ana", "password": PASSWORD, "name": "A\x00na"}, "/name"),
            ({"username": "ana", "password": PASSWORD, "name": "a" * 201}, "/name"),
        ],
    )
    def test_what_makes_no_account_is_400_and_says_where(
        self, client: FlaskClient, body: dict[str, Any], pointer: str
    ) -> None:
        answer = client.post(f"{AUTH}/register", json=body)
        assert answer.status_code == 400
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]

    def test_a_password_of_a_megabyte_is_refused(self, client: FlaskClient) -> None:
        answer = client.post(f"{AUTH}/register", json={"username": "ana", "password": "x" * 1_000_000})
        assert answer.status_code == 400
        answer = client.post(f"{AUTH}/register", json={"username": "ana", "password": "x" * 1_100_000})
        assert answer.status_code == 413


class TestLogIn:
    @pytest.mark.parametrize("name", [{"email": "ANA@example.org"}, {"username": "Ana"}, {"email": "ana"}])
    def test_by_email_or_username_in_any_case(self, client: FlaskClient, name: dict[str, str]) -> None:
        account = {"email": "ana@example.org", "username": "ana", "password": PASSWORD}
        client.post(f"{AUTH}/register", json=account)
        answer = client.post(f"{AUTH}/login", json=name | {"password": PASSWORD})
        assert answer.status_code == 200
        assert client.get(f"{AUTH}/me", headers=bearer(answer.json["access"])).status_code == 200

    def test_an_unknown_name_cannot_be_told_from_a_wrong_password(
        self, client: FlaskClient, operator: Caller
    ) -> None:
        wrong = client.post(f"{AUTH}/login", json={"email": operator.email, "password": "not the password"})
        unknown = client.post(f"{AUTH}/login", json={"email": "nobody@example.org", "password": PASSWORD})
        long = client.post(f"{AUTH}/login", json={"email": operator.email, "password": "x" * 300})
        assert wrong.status_code == unknown.status_code == long.status_code == 401
        bodies = [(answer.json or {}) | {"instance": ""} for answer in (wrong, unknown, long)]
        assert bodies[0] == bodies[1] == bodies[2]
        assert [set(answer.headers.keys()) for answer in (wrong, unknown)] == [set(wrong.headers.keys())] * 2

    def test_for_an_unknown_name_a_hash_is_checked_all_the_same(
        self, client: FlaskClient, change: Change
    ) -> None:
        class Counting(PasswordHasher):
            checked: list[str | None] = []

            def matches(self, password: str, hashed: str | None) -> bool:
                self.checked.append(hashed)
                return super().matches(password, hashed)

        change(hasher=Counting())
        client.post(f"{AUTH}/login", json={"email": "nobody@example.org", "password": PASSWORD})
        assert Counting.checked == [None]
        assert not PasswordHasher().is_outdated(NOBODYS_HASH), "it costs what a real one costs"

    def test_a_disabled_account_is_refused_like_a_wrong_password(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        services.account_rows.get(operator.id).is_disabled = True
        services.session.flush()
        answer = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert (answer.status_code, slug(answer)) == (401, "wrong-credentials")

    @pytest.mark.parametrize("body", [{"password": PASSWORD}, {"email": "", "password": PASSWORD}])
    def test_without_a_name_it_is_400(self, client: FlaskClient, body: dict[str, str]) -> None:
        answer = client.post(f"{AUTH}/login", json=body)
        assert answer.status_code == 400
        assert answer.json["errors"][0]["pointer"] == "/email"

    def test_a_password_hashed_with_older_settings_is_hashed_anew(
        self, client: FlaskClient, operator: Caller, services: Services, change: Change
    ) -> None:
        change(hasher=PasswordHasher())
        old = Argon2(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
        services.account_rows.get(operator.id).password_hash = old
        services.session.flush()
        answer = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert answer.status_code == 200
        new = services.session.scalar(select(Account.password_hash).where(Account.id == operator.id))
        assert new != old
        assert not PasswordHasher().is_outdated(str(new))
        assert PasswordHasher().matches(PASSWORD, new)

    def test_a_damaged_hash_lets_nobody_in(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        services.account_rows.get(operator.id).password_hash = "nonsense"
        services.session.flush()
        answer = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert answer.status_code == 401

    def test_with_too_many_at_once_it_is_503_and_says_when_to_come_back(
        self, client: FlaskClient, operator: Caller, change: Change, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hasher = PasswordHasher()
        change(hasher=hasher)
        monkeypatch.setattr("src.services.passwords.PATIENCE", 0.05)
        with ExitStack() as busy:
            for _ in range(os.cpu_count() or 1):
                busy.enter_context(hasher._slot())
            answer = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert (answer.status_code, slug(answer)) == (503, "too-many-logins")
        again = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert again.status_code == 200


class TestThrottle:
    @pytest.fixture
    def ana(self, operator: Caller) -> Caller:
        return operator

    def wrong(self, client: FlaskClient, email: str, address: str = "10.0.0.1") -> TestResponse:
        return self.attempt(client, email, "not the password", address)

    def attempt(
        self, client: FlaskClient, email: str, password: str, address: str = "10.0.0.1"
    ) -> TestResponse:
        body, environ = {"email": email, "password": password}, {"REMOTE_ADDR": address}
        return client.post(f"{AUTH}/login", json=body, environ_overrides=environ)

    def set_row(self, services: Services, assignments: str) -> None:
        services.session.execute(text(f"UPDATE login_throttle SET {assignments}"))

    def wait_seconds(self, services: Services) -> float | None:
        found = services.session.scalar(
            text("SELECT extract(epoch FROM blocked_until - updated_at) FROM login_throttle")
        )
        return None if found is None else round(float(found))

    def test_from_the_fifth_wrong_password_on_each_doubles_the_wait(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        waits = []
        for _ in range(8):
            assert self.wrong(client, ana.email).status_code == 401
            waits.append(self.wait_seconds(services))
            self.set_row(services, "blocked_until = NULL")
        assert waits == [None, None, None, None, 1, 2, 4, 8]

    def test_the_wait_has_an_end(self, client: FlaskClient, ana: Caller, services: Services) -> None:
        self.wrong(client, ana.email)
        self.set_row(services, "failures = 1000")
        self.wrong(client, ana.email)
        assert self.wait_seconds(services) == 900

    def test_meanwhile_even_the_right_password_is_429_with_the_wait(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        self.wrong(client, ana.email)
        self.set_row(services, "blocked_until = clock_timestamp() + interval '100 seconds'")
        answer = self.attempt(client, ana.email, PASSWORD)
        assert (answer.status_code, slug(answer)) == (429, "login-blocked")
        assert 90 < int(answer.headers["Retry-After"]) <= 100

    def test_neighbours_are_blocked_with_it_and_others_are_not(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        self.wrong(client, ana.email)
        self.set_row(services, "blocked_until = clock_timestamp() + interval '100 seconds'")
        assert self.attempt(client, ana.email, PASSWORD, "10.0.0.200").status_code == 429
        assert self.attempt(client, ana.email, PASSWORD, "10.0.1.1").status_code == 200

    def test_networks_of_version_6_and_odd_addresses_are_told_apart(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        for address in ("2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:2::1", "somewhere"):
            self.wrong(client, ana.email, address)
        rows = services.session.execute(text("SELECT network, failures FROM login_throttle ORDER BY network"))
        assert [tuple(row) for row in rows] == [
            ("2001:db8:1::/56", 2),
            ("2001:db8:2::/56", 1),
            ("unknown", 1),
        ]

    def test_other_accounts_can_log_in_from_there(
        self, client: FlaskClient, ana: Caller, accounts: Accounts, services: Services
    ) -> None:
        self.wrong(client, ana.email)
        self.set_row(services, "blocked_until = clock_timestamp() + interval '100 seconds'")
        assert self.attempt(client, accounts.caller().email, PASSWORD).status_code == 200

    def test_names_that_nobody_has_are_blocked_alike(self, client: FlaskClient, services: Services) -> None:
        self.wrong(client, "nobody@example.org")
        self.set_row(services, "failures = 9")
        assert self.wrong(client, "nobody@example.org").status_code == 401
        assert self.wrong(client, "nobody@example.org").status_code == 429

    def test_a_success_forgets_the_failures(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        self.wrong(client, ana.email)
        assert self.attempt(client, ana.email, PASSWORD).status_code == 200
        assert services.session.scalar(text("SELECT count(*) FROM login_throttle")) == 0

    def test_a_day_later_the_count_begins_anew(
        self, client: FlaskClient, ana: Caller, services: Services
    ) -> None:
        self.wrong(client, ana.email)
        self.set_row(services, "failures = 9, updated_at = clock_timestamp() - interval '25 hours'")
        self.wrong(client, ana.email)
        assert services.session.scalar(text("SELECT failures FROM login_throttle")) == 1
        assert self.wait_seconds(services) is None

    def test_a_name_with_a_nul_in_it_is_400(self, client: FlaskClient) -> None:
        assert self.wrong(client, "a\x00b").status_code == 400


def reuses(services: Services) -> int:
    """How often the audit trail says that a used refresh token came back."""
    found = services.session.scalar(text("SELECT count(*) FROM audit WHERE action = 'login.reuse-detected'"))
    assert found is not None
    return found


class TestRefresh:
    def test_it_gives_new_tokens_that_work(self, client: FlaskClient, operator: Caller) -> None:
        answer = refreshed(client, operator.refresh)
        assert answer.status_code == 200
        assert answer.json["refresh"] != operator.refresh
        assert client.get(f"{AUTH}/me", headers=bearer(answer.json["access"])).status_code == 200

    def test_a_lost_answer_can_be_had_again_for_ten_seconds(
        self, client: FlaskClient, operator: Caller
    ) -> None:
        first, again = refreshed(client, operator.refresh), refreshed(client, operator.refresh)
        assert again.status_code == 200
        assert successor_in(first) == successor_in(again)
        assert refreshed(client, again.json["refresh"]).status_code == 200

    def test_after_ten_seconds_a_used_token_ends_the_login(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        first = refreshed(client, operator.refresh)
        past = func.clock_timestamp() - text("interval '1 second'")
        services.session.execute(update(TokenFamily).values(previous_until=past))
        answer = refreshed(client, operator.refresh)
        assert (answer.status_code, slug(answer)) == (401, "refresh-rejected")
        assert refreshed(client, first.json["refresh"]).status_code == 401
        assert client.get(f"{AUTH}/me", headers=bearer(first.json["access"])).status_code == 401

    def test_the_grace_is_for_the_last_token_only(self, client: FlaskClient, operator: Caller) -> None:
        first = refreshed(client, operator.refresh).json
        second = refreshed(client, first["refresh"]).json
        assert refreshed(client, operator.refresh).status_code == 401
        ended = client.get(f"{AUTH}/me", headers=bearer(second["access"]))
        assert (ended.status_code, slug(ended)) == (401, "login-ended")

    def test_the_grace_lasts_ten_seconds(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        refreshed(client, operator.refresh)
        left = services.session.scalar(
            text("SELECT extract(epoch FROM previous_until - clock_timestamp()) FROM token_family")
        )
        assert left is not None
        assert 0 < left <= 10

    def test_reuse_is_noted_in_the_trail(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        first = refreshed(client, operator.refresh).json
        refreshed(client, first["refresh"])
        refreshed(client, operator.refresh)
        refreshed(client, operator.refresh)
        assert reuses(services) == 1

    @pytest.mark.parametrize("change", ["expires_at = now() - interval '1 s'", "revoked_at = now()"])
    def test_a_login_that_is_over_cannot_be_refreshed(
        self, client: FlaskClient, operator: Caller, services: Services, change: str
    ) -> None:
        services.session.execute(text(f"UPDATE token_family SET {change}"))
        assert refreshed(client, operator.refresh).status_code == 401
        assert reuses(services) == 0

    def test_a_disabled_account_cannot_refresh(
        self, client: FlaskClient, operator: Caller, services: Services
    ) -> None:
        services.account_rows.get(operator.id).is_disabled = True
        services.session.flush()
        assert refreshed(client, operator.refresh).status_code == 401
        assert reuses(services) == 0

    def test_an_access_token_is_no_refresh_token(self, client: FlaskClient, operator: Caller) -> None:
        answer = refreshed(client, operator.access)
        assert (answer.status_code, slug(answer)) == (401, "bad-token")


class TestLogOut:
    def test_it_ends_this_login_and_no_other(self, client: FlaskClient, operator: Caller) -> None:
        other = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD}).json
        assert operator.post(f"{AUTH}/logout").status_code == 204
        assert operator.get(f"{AUTH}/me").status_code == 401
        assert refreshed(client, operator.refresh).status_code == 401
        assert client.get(f"{AUTH}/me", headers=bearer(other["access"])).status_code == 200


class TestPassword:
    def test_a_new_password_ends_all_other_logins(self, client: FlaskClient, operator: Caller) -> None:
        other = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD}).json
        body = {"current": PASSWORD, "new": NEW}
        assert operator.post(f"{AUTH}/password", json=body).status_code == 204
        assert operator.get(f"{AUTH}/me").status_code == 200
        assert client.get(f"{AUTH}/me", headers=bearer(other["access"])).status_code == 401
        for password, status in ((PASSWORD, 401), (NEW, 200)):
            answer = client.post(f"{AUTH}/login", json={"email": operator.email, "password": password})
            assert answer.status_code == status

    def test_one_that_is_changed_while_it_is_compared_lets_nobody_in(self, operator: Caller) -> None:
        with services() as s:
            attempt = s.logins.begin(operator.email, "192.0.2.0/24")
            s.accounts.reset_password(s.account_rows.get(operator.id))
        with services() as s:
            assert s.logins.end(attempt, PASSWORD, is_right=True) is None

    @pytest.mark.parametrize("current", ["not the password", "x" * 300])
    def test_without_the_present_one_it_is_401_and_nothing_changes(
        self, client: FlaskClient, operator: Caller, current: str
    ) -> None:
        answer = operator.post(f"{AUTH}/password", json={"current": current, "new": NEW})
        assert (answer.status_code, slug(answer)) == (401, "wrong-credentials")
        again = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert again.status_code == 200

    def test_a_weak_one_is_400_and_nothing_changes(self, client: FlaskClient, operator: Caller) -> None:
        answer = operator.post(f"{AUTH}/password", json={"current": PASSWORD, "new": "12345678"})
        assert (answer.status_code, slug(answer)) == (400, "weak-password")
        again = client.post(f"{AUTH}/login", json={"email": operator.email, "password": PASSWORD})
        assert again.status_code == 200


def test_the_caller_of_one_account_cannot_speak_for_another(app: Flask, accounts: Accounts) -> None:
    ana, rui = accounts.caller(), accounts.caller()
    assert UUID(ana.get(f"{AUTH}/me").json["id"]) == ana.id
    assert UUID(replace(ana, access=rui.access).get(f"{AUTH}/me").json["id"]) == rui.id
