"""Token families, API keys and the brake on wrong passwords; only the database's clock decides."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, delete, func, select, text, update

from src.database import Database
from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Account, ApiKey, LoginThrottle, TokenFamily
from src.repositories.base import Repository
from src.repositories.owned import OwnedRepository
from src.statements import Call, Reading, told

FREE_TRIES = 5
LONGEST_BLOCK = 900

COUNT_FAILURE = text("""
    INSERT INTO login_throttle AS t (login_name, network, failures, updated_at)
    VALUES (:login_name, :network, 1, clock_timestamp())
    ON CONFLICT (login_name, network) DO UPDATE SET
        failures = CASE WHEN t.updated_at < clock_timestamp() - interval '1 day' THEN 1
            ELSE t.failures + 1 END,
        updated_at = clock_timestamp(),
        blocked_until = CASE
            WHEN t.updated_at >= clock_timestamp() - interval '1 day' AND t.failures + 1 >= :free_tries
            THEN clock_timestamp()
                + least(power(2, least(t.failures + 1 - :free_tries, 20)), :longest) * interval '1 second' END
""")

ROTATE = text("""
    UPDATE token_family SET previous_jti = current_jti, current_jti = :new,
        previous_until = clock_timestamp() + interval '10 seconds'
    WHERE id = :family AND current_jti = :old AND revoked_at IS NULL AND expires_at > clock_timestamp()
    RETURNING current_jti
""")

SUCCESSOR = text("""
    SELECT current_jti FROM token_family
    WHERE id = :family AND previous_jti = :old AND previous_until > clock_timestamp()
        AND revoked_at IS NULL AND expires_at > clock_timestamp()
""")


FIND_LIVE = (
    select(Account)
    .join(TokenFamily, TokenFamily.account_id == Account.id)
    .where(
        TokenFamily.id == bindparam("family"),
        TokenFamily.revoked_at.is_(None),
        TokenFamily.expires_at > func.clock_timestamp(),
        Account.is_disabled.is_(False),
    )
)
# What each request asks, one of these two, is written by hand.
FIND_LOGIN = """
    SELECT a.id, a.role, coalesce(a.email, a.username)
    FROM token_family f JOIN account a ON a.id = f.account_id
    WHERE f.id = $1::uuid AND f.revoked_at IS NULL AND f.expires_at > clock_timestamp()
        AND NOT a.is_disabled
"""
FIND_KEY = """
    SELECT k.id, array_to_string(k.scopes, ' '), a.id, a.role, coalesce(a.email, a.username),
        (k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '1 minute')::int AS is_stale
    FROM api_key k JOIN account a ON a.id = k.account_id
    WHERE k.key_hash = $1 AND k.revoked_at IS NULL AND NOT a.is_disabled
        AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
"""
NOTE_USE = "UPDATE api_key SET last_used_at = clock_timestamp() WHERE id = $1::uuid"


class ApiKeyNotFound(NotFound):
    slug = "api-key-not-found"
    title = "There is no such API key, or it is not yours"


class LiveLogin(NamedTuple):
    """Who a good access token stands for."""

    account_id: UUID
    role: str
    login_name: str


class LiveKey(NamedTuple):
    """What a good API key may do, and for whom."""

    id: UUID
    scopes: list[str]
    login: LiveLogin


def find_login(database: Database, family: UUID) -> tuple[LiveLogin, Reading] | None:
    """Who is logged in, if the login is neither revoked, expired nor disabled; and how that was read."""
    found = database.ask(FIND_LOGIN, str(family))
    reading = Reading(Call(FIND_LOGIN, (str(family),)), tuple(found))
    return (_login(found[0]), reading) if found else None


def find_key(database: Database, key_hash: str) -> tuple[LiveKey, Reading] | None:
    """Who a usable key stands for, and how that was read; notes the use at most once a minute."""
    found = database.ask(FIND_KEY, key_hash)
    if not found:
        return None
    id_, scopes, *login, is_stale = found[0]
    key = LiveKey(UUID(told(id_)), told(scopes).split(), _login(login))
    if is_stale == b"1":
        database.ask(NOTE_USE, str(key.id))
    return key, Reading(Call(FIND_KEY, (key_hash,)), ((*found[0][:-1], b"0"),))


def _login(row: Sequence[bytes | None]) -> LiveLogin:
    id_, role, name = map(told, row)
    return LiveLogin(UUID(id_), role, name)


class TokenFamilyRepository(Repository[TokenFamily]):
    model = TokenFamily

    def find_live(self, family: UUID) -> Account | None:
        """The account of a login that is neither revoked, expired nor disabled."""
        found: Account | None = self.session.scalar(FIND_LIVE, {"family": family})
        return found

    def rotate(self, family: UUID, old: UUID, new: UUID) -> UUID | None:
        """Put `new` in the place of `old`; a lost answer gets the same successor again for 10 s."""
        found = self.session.scalar(ROTATE, {"family": family, "old": old, "new": new})
        if found is None:
            found = self.session.scalar(SUCCESSOR, {"family": family, "old": old})
        return UUID(str(found)) if found else None

    def revoke(self, family: UUID, because: str) -> bool:
        return self._revoke(TokenFamily.id == family, because) > 0

    def end_reused(self, family: UUID) -> bool:
        """Revoke a login whose token could not be rotated, unless that is because the login is over."""
        is_not_over = TokenFamily.expires_at > func.clock_timestamp()
        return self._revoke((TokenFamily.id == family) & is_not_over, "refresh token reused") > 0

    def revoke_all(self, account_id: UUID, because: str, *, but: UUID | None = None) -> int:
        """End all logins of an account, but for one if so wished."""
        condition = TokenFamily.account_id == account_id
        return self._revoke(condition if but is None else condition & (TokenFamily.id != but), because)

    def _revoke(self, condition: Any, because: str) -> int:
        statement = (
            update(TokenFamily)
            .where(condition, TokenFamily.revoked_at.is_(None))
            .values(revoked_at=func.clock_timestamp(), revoked_because=because)
        )
        return int(self.session.execute(statement).rowcount)  # type: ignore[attr-defined]  # a CursorResult

    def expiry(self, days: int) -> datetime:
        moment: datetime = self.session.scalars(select(func.clock_timestamp() + timedelta(days=days))).one()
        return moment


class ApiKeyRepository(OwnedRepository[ApiKey]):
    model = ApiKey
    owner = "account_id"
    orderings: ClassVar = {"id": ApiKey.id, "name": ApiKey.name}
    missing = ApiKeyNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None) -> Page[ApiKey]:
        return self.own_page(query, owner_id)


class LoginThrottleRepository(Repository[LoginThrottle]):
    model = LoginThrottle

    def seconds_blocked(self, login_name: str, network: str) -> int:
        """How long this name may not be tried from this network; 0 when it may."""
        left = func.extract("epoch", LoginThrottle.blocked_until - func.clock_timestamp())
        seconds = self.session.scalar(
            select(func.ceil(func.greatest(left, 0))).where(
                LoginThrottle.login_name == login_name, LoginThrottle.network == network
            )
        )
        return int(seconds or 0)

    def count_failure(self, login_name: str, network: str) -> None:
        values = {
            "login_name": login_name,
            "network": network,
            "free_tries": FREE_TRIES,
            "longest": LONGEST_BLOCK,
        }
        self.session.execute(COUNT_FAILURE, values)

    def forget(self, login_name: str, network: str) -> None:
        mine = (LoginThrottle.login_name == login_name) & (LoginThrottle.network == network)
        self.session.execute(delete(LoginThrottle).where(mine))
