"""All that is wrong with a row is told at once: what the reading finds, and what other rows and the tables say."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.committing import Workshop
from tests.engine.making import workbook_bytes
from tests.factories.imports import Imports, codes, counts, table

TRADES = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
CLIENTS = "client_id,name,email,date_of_birth\n"
VISITS = "id_atendimento,id_cliente,angel,polo,data_limite\n"
Trade = tuple[str, str, str]  # key, client and date


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def trades(rows: Sequence[Trade]) -> str:
    return TRADES + "".join(f"{key},{who},buy,{day},EUR,1\n" for key, who, day in rows)


def told(rows: Sequence[Trade], known: set[str], there: set[str]) -> list[tuple[int, str, str]]:
    """The faults of each row, found one by one."""
    numbered = list(enumerate(rows, 2))
    good = [line for line, (key, who, day) in numbered if key and day != "never" and who in known]
    first: dict[str, int] = {}
    for line in good:
        first.setdefault(rows[line - 2][0], line)
    faults = []
    for line, (key, who, day) in numbered:
        if not key:
            faults.append((line, "transaction_id", "missing"))
        if day == "never":
            faults.append((line, "transaction_date", "not_a_date"))
        if who not in known:
            faults.append((line, "client_id", "unknown_client"))
        is_behind = first.get(key, line) < line
        if is_behind and (line in good or key not in there):
            faults.append((line, "transaction_id", "duplicate"))
        elif key in there:
            faults.append((line, "transaction_id", "already_there"))
    return faults


@pytest.mark.parametrize("seed", range(4))
def test_a_row_is_told_as_if_it_were_looked_at_alone(imports: Imports, seed: int) -> None:
    rng = random.Random(seed)
    imports.load("clients", CLIENTS + "c1,Ana,a@example.org,1980-01-01\nc2,Rui,b@example.org,1980-01-01\n")
    imports.load("transactions", trades([("old", "c1", "2020-01-01")]))
    rows: list[Trade] = [
        (
            rng.choice(["", "old", *(f"t{n}" for n in range(30))]),
            rng.choice(["c1", "c2", "nobody"]),
            rng.choice(["never", "2021-02-03", "2021-02-04"]),
        )
        for _ in range(120)
    ]
    done = imports.load("transactions", trades(rows))
    expected = told(rows, {"c1", "c2"}, {"old"})
    assert sorted(codes(imports.rejects(done))) == sorted(expected)
    summary: dict[str, dict[str, int]] = {}
    for _, column, code in expected:
        summary.setdefault(column, {}).setdefault(code, 0)
        summary[column][code] += 1
    assert done.report["summary"] == summary
    only_there = {line for line, _, _ in expected} - {
        line for line, _, code in expected if code not in ("duplicate", "already_there")
    }
    assert done.duplicate == len(only_there)
    assert done.rejected == len({line for line, _, _ in expected}) - len(only_there)


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_an_address_that_another_client_has_or_gets_is_told_beside_a_bad_date(
    imports: Imports, mode: str
) -> None:
    imports.load(
        "clients", CLIENTS + "c1,Ana,ana@example.org,1980-01-01\nc2,Eva,eva@example.org,1980-01-01\n"
    )
    done = imports.load(
        "clients",
        CLIENTS
        + "c3,Rui,ANA@example.org,never\n"  # of a record
        + "c4,Leo,leo@example.org,1980-01-01\n"
        + "c5,Lia,leo@example.org,never\n"  # of a row that is loaded
        + "c2,Eva,new@example.org,1980-01-01\n"
        + "c6,Gil,eva@example.org,never\n"  # given up, in an upsert
        + "c1,Ana,ana@example.org,never\n",  # its own
        mode=mode,
    )
    found = codes(imports.rejects(done))
    taken = [line for line, _, code in found if code == "email_taken"]
    assert taken == ([2, 4] if mode == "upsert" else [2, 4, 6])
    there = [line for line, _, code in found if code == "already_there"]
    assert there == ([] if mode == "upsert" else [5, 7])
    assert counts(done)["rejected"] == 4


def test_a_key_that_cannot_be_read_is_not_looked_up(imports: Imports) -> None:
    done = imports.load("atendimentos", VISITS + f"{'x' * 51},c1,Ana,Sul,2021-01-01\n,c1,,Sul,2021-01-01\n")
    assert codes(imports.rejects(done)) == [(2, "id_atendimento", "too_long"), (3, "angel", "missing")]


def test_mended_as_told_a_row_is_loaded_at_once(imports: Imports) -> None:
    """Nothing comes to light only when the rest is mended."""
    imports.load("clients", CLIENTS + "c1,Ana,a@example.org,1980-01-01\n")
    rows = [("t1", "c1", "2021-01-01"), ("t1", "nobody", "never")]
    first = imports.load("transactions", trades(rows))
    assert counts(first) == {"rows_read": 2, "inserted": 1, "rejected": 1}
    assert [code for _, _, code in codes(imports.rejects(first))] == [
        "not_a_date",
        "unknown_client",
        "duplicate",
    ]
    sheet = imports.table_of_rejects(first)
    sheet[1][0], sheet[1][1], sheet[1][3] = "t2", "c1", "2021-01-02"
    assert counts(imports.correct(first, sheet)) == {"rows_read": 1, "inserted": 1}


@pytest.mark.parametrize("mode", ["insert", "upsert"])
def test_an_address_that_is_taken_while_the_import_runs_is_told_as_taken(
    imports: Imports, workshop: Workshop, mode: str
) -> None:
    """Somebody else writes it before the check, and commits it only when the import waits to write its own."""
    imports.load("clients", CLIENTS + "c1,Ana,ana@example.org,1980-01-01\n")
    started = imports.start(
        "clients",
        CLIENTS + "c7,Eva,eva@example.org,1980-01-01\nc8,Rui,rui@example.org,1980-01-01\n"
        "c1,Ana,lia@example.org,1980-01-01\n",
        mode=mode,
    )
    with workshop.another_database().unit_of_work() as other:
        other.execute(
            text(
                """INSERT INTO client (external_id, name, email, date_of_birth) VALUES
                ('x', 'X', 'eva@example.org', '1980-01-01'), ('y', 'Y', 'lia@example.org', '1980-01-01')"""
            )
        )
        done = workshop.in_thread(lambda: imports.run(started))
        workshop.await_lock_waiters(1)
    found = codes(imports.rejects(done.result(timeout=60)))
    expected = [(2, "email", "email_taken"), (4, "email", "email_taken")]
    if mode == "insert":
        expected[1] = (4, "client_id", "already_there")
    assert found == expected
    assert table("SELECT count(*) FROM client WHERE external_id IN ('c7', 'c8')") == [(1,)]


def test_a_birth_lies_between_1850_and_today_of_utc(imports: Imports) -> None:
    today = datetime.now(UTC).date()
    days = ["1849-12-31", "1850-01-01", str(today), str(today + timedelta(days=2)), "2990-01-01"]
    rows = "".join(f"b{n},Ana,b{n}@example.org,{day}\n" for n, day in enumerate(days))
    done = imports.load("clients", CLIENTS + rows)
    found = [(fault.code, fault.value) for row in imports.rejects(done) for fault in row.faults]
    assert found == [("out_of_range", days[place]) for place in (0, 3, 4)]
    assert counts(done) == {"rows_read": 5, "inserted": 2, "rejected": 3}


def test_rejects_that_come_back_on_several_sheets_are_all_read(imports: Imports) -> None:
    rows = "".join(f"v{n},c1,,Sul,2021-01-0{n}\n" for n in range(1, 7))
    first = imports.load("atendimentos", VISITS + rows)
    header, *refused = imports.table_of_rejects(first)
    for row in refused:
        row[2] = "Ana"
    moved = [[*row[1:], row[0]] for row in [header, *refused[2:4]]]  # its columns in another order
    book = {"Sheet1": [header, *refused[:2]], "Notes": [["for Ana"]], "Sheet2": moved}
    done = imports.run(imports.send_back(first, workbook_bytes(book)))
    assert counts(done) == {"rows_read": 4, "inserted": 4}
    book = {"Sheet1": [header, refused[4]], "Sheet2": [header, refused[5]]}
    done = imports.run(imports.send_back(first, workbook_bytes(book), sheet="Sheet2"))
    assert table("SELECT external_id FROM atendimento ORDER BY 1") == [(f"v{n}",) for n in (1, 2, 3, 4, 6)]
