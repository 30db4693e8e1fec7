"""Who is asking: a login token or an API key, looked up in the database at each request, failing closed."""

from uuid import UUID

from flask import Flask, current_app, g, request

from src import logs
from src.api import tokens
from src.database import Database
from src.domain.errors import Unauthenticated
from src.domain.roles import Actor, Policy, Role
from src.repositories.logins import find_login
from src.services.api_keys import PREFIX, find_actor
from src.statements import Reading
from src.wiring import adapters


class NotLoggedIn(Unauthenticated):
    slug = "not-logged-in"
    title = "Log in first"


class BadApiKey(Unauthenticated):
    slug = "bad-api-key"
    title = "This API key is not good"


class LoginEnded(Unauthenticated):
    slug = "login-ended"
    title = "This login has ended"


def register(app: Flask) -> None:
    app.before_request(identify)


def identify() -> None:
    """Find out who asks, unless the route is for everybody. A bad credential is remembered, not
    raised: the rate limit has to count it first."""
    g.actor, g.refusal = None, None
    policy: Policy | None = getattr(current_app.view_functions.get(request.endpoint or ""), "policy", None)
    credential = credential_of(request.headers.get("X-API-Key"), request.headers.get("Authorization", ""))
    if credential is None or policy is None or policy.role is None:
        return
    try:
        find = actor_by_key if is_key(credential) else actor_by_token
        g.actor, _ = find(adapters().database, credential)
        name(g.actor)
    except Unauthenticated as refusal:
        g.refusal = refusal


def require(policy: Policy) -> None:
    """Let the request in, or raise why not."""
    if policy.role is None:
        return
    if g.actor is None:
        raise g.refusal or NotLoggedIn("Send «Authorization: Bearer <token>», or an API key in X-API-Key.")
    policy.check(g.actor)


def actor() -> Actor:
    """The one who asks, on routes that are not public."""
    found: Actor = g.actor
    return found


def owner_filter() -> UUID | None:
    """The account whose things are seen: one's own, or, for admins, everybody's (None)."""
    return actor().sees


def credential_of(key: str | None, authorization: str) -> str | None:
    """What these two fields claim."""
    if key:
        return key
    scheme, _, credential = authorization.partition(" ")
    return credential.strip() or None if scheme.lower() in ("bearer", "token") else None


def is_key(credential: str) -> bool:
    return credential.startswith(PREFIX)


def actor_by_token(database: Database, token: str) -> tuple[Actor, Reading]:
    claims = tokens.read(token, "access")
    family = tokens.family_of(claims)
    found = find_login(database, family)
    if found is None or str(found[0].account_id) != claims["sub"]:
        raise LoginEnded("Log in again.")
    login, reading = found
    return Actor(login.account_id, login.login_name, Role(login.role), family=family), reading


def actor_by_key(database: Database, secret: str) -> tuple[Actor, Reading]:
    found = find_actor(database, secret)
    if found is None:
        raise BadApiKey("It is unknown, revoked or expired.")
    return found


def name(found: Actor) -> None:
    """In all lines that are logged from now on."""
    logs.bind(account=str(found.account_id))
