"""Register, log in, refresh, log out, who am I, change my password."""

from typing import Any

from flask import Response, current_app, json

from src.api import tokens
from src.api.authentication import actor
from src.api.blueprint import PUBLIC, VIEWER, Blueprint
from src.api.rate_limits import limiter, neighbourhood
from src.api.schemas.accounts import (
    ACCOUNT,
    AccountSchema,
    GrantSchema,
    LoginSchema,
    PasswordSchema,
    RefreshSchema,
    RegisterSchema,
)
from src.domain.errors import FieldError, Invalid
from src.domain.roles import Role
from src.services.accounts import RegistrationClosed
from src.services.logins import Grant, RefreshRejected, WrongCredentials
from src.wiring import adapters, services

blp = Blueprint("auth", url_prefix="/api/v1/auth", description="Coming in and going out.")
# Counted together and by address: guessing must not get a budget per name.
login_limit = limiter.shared_limit(
    lambda: current_app.config["RATE_LIMIT_LOGIN"], scope="login", key_func=neighbourhood
)


@blp.post("/register", needs=PUBLIC)
@login_limit
@blp.arguments(RegisterSchema)
@blp.response(201, GrantSchema)
def register(body: dict[str, Any]) -> Response:
    """Make an account and log in. Open only when REGISTRATION=open."""
    settings = adapters().settings
    if settings.registration != "open":
        raise RegistrationClosed("Ask an administrator for an account.")
    with services() as s:
        account = s.accounts.create(role=Role(settings.registration_role), **body)
        grant = s.logins.open(account)
    return _granted(grant, 201)


@blp.post("/login", needs=PUBLIC)
@login_limit
@blp.arguments(LoginSchema)
@blp.response(200, GrantSchema)
def log_in(body: dict[str, Any]) -> Response:
    """Log in with an e-mail address or a username."""
    name = body.get("email") or body.get("username")
    if not name:
        message = "Give email or username."
        raise Invalid(message, errors=[FieldError("/email", "required", message)])
    with services() as s:
        attempt = s.logins.begin(name, neighbourhood(v4=24, v6=56))
    is_right = adapters().hasher.matches(body["password"], attempt.password_hash)
    with services() as s:
        grant = s.logins.end(attempt, body["password"], is_right=is_right)
    if grant is None:
        raise WrongCredentials("Check both and try again.")
    return _granted(grant)


@blp.post("/refresh", needs=PUBLIC)
@blp.arguments(RefreshSchema)
@blp.response(200, GrantSchema)
def refresh(body: dict[str, Any]) -> Response:
    """Change a refresh token for the next one. Each is good once; using one again ends the login."""
    claims = tokens.read(body["refresh"], "refresh")
    with services() as s:
        grant = s.logins.refresh(tokens.family_of(claims), tokens.family_of(claims, "ref"))
    if grant is None:
        raise RefreshRejected("Log in again.")
    return _granted(grant)


@blp.post("/logout", needs=VIEWER, people_only=True)
@blp.response(204)
def log_out() -> Response:
    """End this login: its access and refresh tokens are no longer good."""
    with services() as s:
        s.logins.log_out(actor())
    return Response(status=204)


@blp.get("/me", needs=VIEWER, people_only=True)
@blp.response(200, AccountSchema)
def me() -> Any:
    """The account that asks."""
    with services() as s:
        return s.account_rows.get(actor().account_id)


@blp.post("/password", needs=VIEWER, people_only=True)
@login_limit
@blp.arguments(PasswordSchema)
@blp.response(204)
def change_password(body: dict[str, Any]) -> Response:
    """Set a new password; every other login of this account ends."""
    with services() as s:
        account = s.account_rows.get(actor().account_id)
        if not s.logins.confirm(account, body["current"]):
            raise WrongCredentials("The current password is not right.")
        s.accounts.set_password(account, body["new"], actor(), keep=actor().family)
    return Response(status=204)


def _granted(grant: Grant, status: int = 200) -> Response:
    body = {"user": ACCOUNT.dump(grant.account)} | tokens.issue(grant)
    return Response(json.dumps(body), status=status, mimetype="application/json")
