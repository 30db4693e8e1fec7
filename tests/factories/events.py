"""Events, as requests bring them, and the rows and alerts that came of them."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from src.domain.event_reading import read_event
from src.domain.events import NewEvent
from src.wiring import adapters


def a_body(
    type_: str = "deposit", amount: Any = "42.00", user_id: int | str = 1, t: int = 10, **more: Any
) -> Any:
    return {"type": type_, "amount": amount, "user_id": user_id, "t": t, **more}


def an_event(*values: Any, **more: Any) -> NewEvent:
    return read_event(a_body(*values, **more))


def append(*events: NewEvent) -> list[Any]:
    """Through the intake of this process."""
    return adapters().intake.append(events)


def stored(session: Session) -> list[tuple[str, int, str, str]]:
    """All events as they stand in the table: client, t, type, amount."""
    rows = session.execute(
        text(
            "SELECT c.external_id, t, type, amount FROM event JOIN client c ON c.id = client_id ORDER BY t, 1"
        )
    )
    return [(client, t, type_, str(amount)) for client, t, type_, amount in rows]


def alerts(session: Session) -> list[tuple[str, int, int, list[int]]]:
    """All alerts as they stand in the table: client, t, code, causes."""
    rows = session.execute(
        text(
            "SELECT c.external_id, t, code, causes FROM alert JOIN client c ON c.id = client_id ORDER BY 2, 1, 3"
        )
    )
    return [tuple(row) for row in rows]
