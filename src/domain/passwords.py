"""Which passwords are good enough: long, and not among those that everybody tries first."""

from functools import cache

from src.domain.errors import FieldError, Invalid

SHORTEST = 8
LONGEST = 256
HOW_MANY_COMMON = 10_000


class WeakPassword(Invalid):
    slug = "weak-password"
    title = "This password is not safe enough"


@cache
def common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:HOW_MANY_COMMON])


def check_password(password: str, *, names: tuple[str, ...] = (), pointer: str = "/password") -> None:
    """Raise WeakPassword with the reason; `names` are the account's own, which it may not equal."""
    if len(password) < SHORTEST:
        reason = f"at least {SHORTEST} characters are needed"
    elif len(password) > LONGEST:
        reason = f"at most {LONGEST} characters are allowed"
    elif "\x00" in password:
        reason = "it contains a character that cannot be typed"
    elif password.lower() in common_passwords() or password.lower() in {name.lower() for name in names}:
        reason = "it is among the first that anyone would try"
    else:
        return
    raise WeakPassword(f"Choose another password: {reason}.", errors=[FieldError(pointer, "weak", reason)])
