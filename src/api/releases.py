"""While a release is rolled out, the database may have another's schema, and lack what this one asks for."""

from flask import current_app

from src.domain.errors import DomainError, Unavailable
from src.repositories.revisions import is_of_the_schema, present_revisions
from src.wiring import Services, services


class OtherRelease(Unavailable):
    slug = "other-release"
    title = "The database is that of another release"


def migration_fault(s: Services) -> str:
    """What is to be said of the schema; nothing, if it is the one that this code knows."""
    present, wanted = present_revisions(s.session), current_app.extensions["migration_heads"]
    return "" if present == wanted else f"the database is at {sorted(present)}, the code at {sorted(wanted)}"


def excuse(error: BaseException | None) -> DomainError | None:
    """What to answer in place of an error that the schema explains."""
    if not is_of_the_schema(error):
        return None
    try:
        with services() as s:
            fault = migration_fault(s)
    except DomainError as unavailable:
        return unavailable
    if not fault:
        return None
    excused = OtherRelease(f"Repeat the request when the release is in place: {fault}.")
    excused.__cause__ = error  # the log says what was not there
    return excused
