"""Accounts and what lets them in: logins (token families), API keys, and the brake on guessing."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class Account(Base):
    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("email IS NOT NULL OR username IS NOT NULL", name="has_login_name"),
        CheckConstraint("email = lower(email) AND position('@' in email) > 1", name="email"),
        CheckConstraint("username = lower(username) AND position('@' in username) = 0", name="username"),
        CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role"),
        CheckConstraint("stored_bytes >= 0", name="stored_bytes"),
    )

    id: Mapped[Id]
    email: Mapped[str | None] = mapped_column(unique=True)
    username: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    role: Mapped[str]
    password_hash: Mapped[str]
    is_disabled: Mapped[bool] = mapped_column(default=False)
    stored_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]

    @property
    def login_name(self) -> str:
        return self.email or self.username or ""


class TokenFamily(Base):
    """One login: all the tokens that came of it, of which only the newest refresh token is good."""

    __tablename__ = "token_family"

    id: Mapped[Id]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    current_jti: Mapped[UUID]
    previous_jti: Mapped[UUID | None]
    previous_until: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]


class ApiKey(Base):
    """A machine's way in. Only the hash is kept; the prefix is for people to recognise it."""

    __tablename__ = "api_key"

    id: Mapped[Id]
    account_id: Mapped[UUID] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]


class LoginThrottle(Base):
    """Wrong passwords per login name and network, so that a stranger cannot lock the owner out."""

    __tablename__ = "login_throttle"

    login_name: Mapped[str] = mapped_column(primary_key=True)
    network: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    blocked_until: Mapped[datetime | None]
    updated_at: Mapped[CreatedAt] = mapped_column(index=True)
