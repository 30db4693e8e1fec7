"""Who is asking: a login token or an API key, looked up in the database at each request, failing closed."""

from uuid import UUID

from flask import Flask, Request, current_app, g, request

from src import logs
from src.api import tokens
from src.domain.errors import Unauthenticated
from src.domain.roles import Actor, Policy, Role
from src.repositories.logins import find_login
from src.services.api_keys import PREFIX, find_actor
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
    credential = _credential(request)
    if credential is None or policy is None or policy.role is None:
        return
    try:
        g.actor = _actor_by_key(credential) if credential.startswith(PREFIX) else _actor_by_token(credential)
        logs.bind(account=str(g.actor.account_id))
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


def _credential(req: Request) -> str | None:
    key = req.headers.get("X-API-Key")
    if key:
        return key
    scheme, _, credential = req.headers.get("Authorization", "").partition(" ")
    return credential.strip() or None if scheme.lower() in ("bearer", "token") else None


def _actor_by_token(token: str) -> Actor:
    claims = tokens.read(token, "access")
    family = tokens.family_of(claims)
    login = find_login(adapters().database, family)
    if login is None or str(login.account_id) != claims["sub"]:
        raise LoginEnded("Log in again.")
    return Actor(login.account_id, login.login_name, Role(login.role), family=family)


def _actor_by_key(secret: str) -> Actor:
    found = find_actor(adapters().database, secret)
    if found is None:
        raise BadApiKey("It is unknown, revoked or expired.")
    return found
