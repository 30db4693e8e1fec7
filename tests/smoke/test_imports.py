"""Imports on the stack: through nginx into its database, with and without the right to silence triggers."""

import time
from collections import Counter
from typing import Any

from tests.smoke.stack import Stack

ROWS = 60_500  # above what goes to the table as a COPY of its own
NAMES = 2_000  # what the rows point to
HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"
MAY_SILENCE = "SELECT has_parameter_privilege('indicators', 'session_replication_role', 'SET')"
# A foreign key looks its row up by this index, once for each row that points to it.
LOOKED_UP = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'pk_client'"
FLUSHED = 12  # seconds after which a session that does nothing has told the server what it did


def visits(number: int) -> tuple[bytes, Counter[str]]:
    """A file, and how many of its rows each angel has on time."""
    lines, on_time = [], Counter[str]()
    for row in range(ROWS):
        angel, is_late = f"Angel {number}-{row % 40}", row % 3 == 0
        on_time[angel] += not is_late
        done = "2021-06-16 10:00" if is_late else "2021-06-15 10:00"
        lines.append(f"{number}-{row},c{row % NAMES},{angel},Polo {row % 7},2021-06-15 12:00,{done}\n")
    return (HEADER + "".join(lines)).encode(), on_time


def imported(stack: Stack, number: int) -> Any:
    """Upload a file and import it, with a bad row at its end; the import when it is done."""
    content, on_time = visits(number)
    content += f"{number}-bad,c1,Ana,Sul,never,\n".encode()
    body = {"dataset": "atendimentos", "file_id": stack.uploaded(f"visits-{number}.csv", content)}
    started = stack.request("POST", "/api/v1/imports", body)
    assert started.status == 202, started
    stack.finished(started.json["job_id"])
    done = stack.get(f"/api/v1/imports/{started.json['id']}")
    assert (done["state"], done["inserted"], done["rejected"]) == ("done", ROWS, 1), done
    shown = stack.get("/api/v1/atendimento/angel_productivity?at_most=500")["data"]
    told = {row["angel"]: row["on_time_deliveries"] for row in shown if row["angel"] in on_time}
    assert told == dict(on_time)
    return done


def psql(stack: Stack, statement: str, role: str = "indicators") -> str:
    (database,) = stack.containers("database")
    base = "indicators" if role == "indicators" else "postgres"
    return stack.inside(database, f'psql -qAt -h 127.0.0.1 -U {role} {base} -c "{statement}"')


def looked_up_by(stack: Stack, number: int) -> int:
    """How often the clients were looked up one by one while a file was imported."""
    time.sleep(FLUSHED)
    before = int(psql(stack, LOOKED_UP))
    done = imported(stack, number)
    time.sleep(FLUSHED)
    looked_up = int(psql(stack, LOOKED_UP)) - before
    print(f"{ROWS} rows in {done['report']['seconds']}: {looked_up} look-ups of clients")
    return looked_up


def test_texts_are_sorted_by_their_characters_whatever_the_image_would_do(operator: Stack) -> None:
    ordered = "SELECT string_agg(name, ' ' ORDER BY name) FROM unnest(ARRAY['b', 'B', 'é', 'a']) AS name"
    assert psql(operator, ordered) == "B a b é"
    assert (
        psql(operator, "SELECT cardinality(show_trgm('Иван'))") == "5"
    )  # letters, where parts of names are found


def test_the_role_may_silence_triggers_so_that_foreign_keys_are_checked_in_one_go(operator: Stack) -> None:
    assert psql(operator, MAY_SILENCE) == "t"
    assert looked_up_by(operator, 1) < ROWS / 10


def test_without_that_right_each_row_is_checked_and_the_next_start_grants_it_again(operator: Stack) -> None:
    psql(operator, "REVOKE SET ON PARAMETER session_replication_role FROM indicators", "postgres")
    assert psql(operator, MAY_SILENCE) == "f"
    assert looked_up_by(operator, 2) >= ROWS
    operator.make("restart", "S=database")
    operator.wait_until_healthy()
    deadline = time.monotonic() + 30
    while psql(operator, MAY_SILENCE) != "t":
        assert time.monotonic() < deadline
        time.sleep(1)
