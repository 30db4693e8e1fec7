"""JWTs, by Flask-JWT-Extended: HS256 only, with issuer and audience, and a key ring of two for rotation."""

import hashlib
import time
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from flask import Flask, current_app
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt import PyJWTError

from src.config import Settings
from src.domain.errors import Unauthenticated
from src.services.logins import Grant

DECODED = "decoded-tokens"
ISSUER = AUDIENCE = "indicators"
DEMANDED = ("exp", "iat", "jti", "type", "sub", "fam")


class BadToken(Unauthenticated):
    slug = "bad-token"
    title = "This token is not good"


def register(app: Flask, settings: Settings) -> None:
    """Configure the library; the secret before the present one is accepted for its tokens' life."""
    keys = {
        _key_id(secret): secret for secret in (settings.jwt_secret_previous, settings.jwt_secret) if secret
    }
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret,
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(minutes=settings.access_minutes),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(days=settings.refresh_days),
        JWT_KEY_ID=_key_id(settings.jwt_secret),
    )
    # A signature that was good stays good; whether the token has expired is asked each time.
    app.extensions[DECODED] = lru_cache(maxsize=4_096)(_verified)
    manager = JWTManager(app)
    manager.decode_key_loader(lambda header, _payload: keys.get(header.get("kid", ""), settings.jwt_secret))


def issue(grant: Grant) -> dict[str, Any]:
    """An access and a refresh token; `token` repeats the first for clients that look for it."""
    identity, family = str(grant.account.id), {"fam": str(grant.family)}
    headers = {"kid": current_app.config["JWT_KEY_ID"]}
    access = create_access_token(identity, additional_claims=family, additional_headers=headers)
    refresh = create_refresh_token(
        identity, additional_claims=family | {"ref": str(grant.refresh_jti)}, additional_headers=headers
    )
    return {"access": access, "refresh": refresh, "token": access}


def read(token: str, kind: str) -> dict[str, Any]:
    """The claims of a good token of this kind. Every claim must be there, which the library does not ask."""
    try:
        claims: dict[str, Any] = current_app.extensions[DECODED](token)
    except (PyJWTError, JWTExtendedException, ValueError, KeyError, TypeError) as error:
        raise BadToken("Log in again, or refresh.") from error
    if any(not claims.get(name) for name in DEMANDED) or claims["type"] != kind:
        raise BadToken(f"This is not a complete {kind} token.")
    if claims["exp"] <= time.time():
        raise BadToken("It has expired; refresh.")
    return claims


def _verified(token: str) -> dict[str, Any]:
    """The claims as they were sent: where there is no type, the library would fill one in."""
    decode_token(token)
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def family_of(claims: dict[str, Any], name: str = "fam") -> UUID:
    try:
        return UUID(claims[name])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadToken from error


def _key_id(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:8]
