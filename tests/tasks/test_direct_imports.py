"""Large imports go to their table as a COPY stream of their own; what they leave is the same."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import text

from src.engine.imports.folding import Folding
from src.engine.sandbox import Stopped
from src.engine.values import ReadLimits
from src.repositories.copying import Copy, fresh_ids
from src.repositories.targets import TARGETS
from src.services.asking import Asking
from src.services.load_plans import plan_of
from src.services.sources import Source
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.imports import Imports, codes, counts, table

HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento,status\n"
ROWS = 18_000  # enough to be copied
KINDS = """count(*) FILTER (WHERE data_de_atendimento <= data_limite),
    count(*) FILTER (WHERE data_de_atendimento > data_limite),
    count(*) FILTER (WHERE data_de_atendimento IS NULL) FROM atendimento"""
CLIENTS = """(SELECT stretch * 31 + place - 1 AS client_id, counts[place] AS on_time, counts[place + 31] AS late,
    counts[place + 62] AS open FROM indicator_client_stretch, generate_series(1, 31) AS place) AS client"""
# What the table says, counted from its rows, by the keys of each rollup.
ROLLUPS = {
    (
        "indicator_month",
        "polo_id, angel_id, month",
    ): """SELECT polo_id, angel_id, month, count(*) FILTER (WHERE kind = 1),
            count(*) FILTER (WHERE kind = 2), count(*) FILTER (WHERE kind IS NULL) FROM (
        SELECT unnest(ARRAY[polo_id, 0, polo_id]) AS polo_id, unnest(ARRAY[angel_id, angel_id, 0]) AS angel_id,
            date_trunc('month', coalesce(data_de_atendimento, data_limite))::date AS month,
            CASE WHEN data_de_atendimento <= data_limite THEN 1 WHEN data_de_atendimento > data_limite THEN 2 END
                AS kind
        FROM atendimento) AS seen GROUP BY 1, 2, 3""",
    (CLIENTS, "client_id"): f"SELECT client_id, {KINDS} GROUP BY 1",
    ("indicator_angel", "angel_id"): f"SELECT angel_id, {KINDS} GROUP BY 1",
    ("indicator_polo", "polo_id, weekday"): f"""SELECT polo_id,
        date_part('isodow', coalesce(data_de_atendimento, data_limite)), {KINDS} GROUP BY 1, 2""",
}


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def row(number: int) -> str:
    """Names with line ends and quotes, rows that are open, late and on time, a status left out."""
    angel = f'"Ana ""{number % 7}""\nSá"' if number % 11 == 0 else f"Rui {number % 5}"
    day = f"2024-{1 + number % 12:02}-{1 + number % 28:02}"
    done = ("", f"{day} 09:00", f"{day} 11:00")[number % 3]
    status = "" if number % 4 else "done"
    return f"v{number},c{number % 977},{angel},Polo {number % 3},{day} 10:00,{done},{status}\n"


def visits(first: int, count: int) -> str:
    return HEADER + "".join(map(row, range(first, first + count)))


def check_rollups() -> None:
    for (rollup, columns), brute_force in ROLLUPS.items():
        kept = f"SELECT {columns}, on_time, late, open FROM {rollup} WHERE (on_time, late, open) <> (0, 0, 0)"
        assert table(f"({kept} EXCEPT ALL {brute_force}) UNION ALL ({brute_force} EXCEPT ALL {kept})") == []
    days = "SELECT sum(on_time + late + open) = sum((SELECT sum(day) FROM unnest(days) AS day)) FROM indicator_month"
    assert table(days) == [(True,)]


def test_they_leave_what_the_file_says_with_rollups_that_are_exact(imports: Imports) -> None:
    imports.load("atendimentos", visits(0, 100))
    content = visits(50, ROWS) + "v9999999,c1,,Polo 1,2024-01-01,,\nv60,c1,Rui,Polo 1,2024-01-01,,\n"
    done = imports.load("atendimentos", content)
    assert counts(done) == {"rows_read": ROWS + 2, "inserted": ROWS - 50, "duplicate": 51, "rejected": 1}
    assert table("SELECT count(*), count(DISTINCT external_id), count(import_id) FROM atendimento") == [
        (ROWS + 50, ROWS + 50, ROWS + 50)
    ]
    assert table(
        """SELECT c.external_id, a.name, p.name, data_limite::text, data_de_atendimento::text, status
           FROM atendimento t JOIN client c ON c.id = client_id JOIN angel a ON a.id = angel_id
           JOIN polo p ON p.id = polo_id WHERE t.external_id IN ('v154', 'v1000') ORDER BY t.external_id DESC"""
    ) == [
        ("c154", 'Ana "0"\nSá', "Polo 1", "2024-11-15 10:00:00", "2024-11-15 09:00:00", "PENDING"),
        ("c23", "Rui 0", "Polo 1", "2024-05-21 10:00:00", "2024-05-21 09:00:00", "DONE"),
    ]
    check_rollups()
    assert imports.undo(done)["removed"] == ROWS - 50
    check_rollups()


def test_ids_are_those_of_the_sequence_whoever_else_takes_some(imports: Imports, workshop: Workshop) -> None:
    """What comes afterwards has higher ones."""

    def taken(number: int) -> list[int]:
        with workshop.database.unit_of_work() as session:
            stretches = json.loads(fresh_ids(session, "atendimento", ROWS + number))
        ids = [id_ for first, count in stretches for id_ in range(first, first + count)]
        assert len(ids) == ROWS + number
        return ids

    with ThreadPoolExecutor(2) as threads:
        ids = [id_ for found in threads.map(taken, range(6)) for id_ in found]
    assert len({*ids}) == len(ids)
    imports.load("atendimentos", visits(0, ROWS))
    imports.load("atendimentos", visits(ROWS, 10))
    seen = f"SELECT id, substr(external_id, 2)::int < {ROWS} AS is_large FROM atendimento"
    later = "max(id) FILTER (WHERE is_large) < min(id) FILTER (WHERE NOT is_large)"
    assert table(f"SELECT min(id), {later} FROM ({seen}) AS seen") == [(max(ids) + 1, True)]


def test_a_row_that_only_the_database_refuses_costs_only_itself(imports: Imports, workshop: Workshop) -> None:
    with workshop.database.unit_of_work() as session:
        session.execute(text("ALTER TABLE atendimento ADD CONSTRAINT odd CHECK (external_id <> 'v77')"))
    done = imports.load("atendimentos", visits(0, ROWS))
    assert counts(done) == {"rows_read": ROWS, "inserted": ROWS - 1, "rejected": 1}
    assert [code for _, _, code in codes(imports.rejects(done))] == ["refused"]
    check_rollups()


def test_transactions_go_the_same_way(imports: Imports) -> None:
    imports.load("clients", "client_id,name,email,date_of_birth\nc1,Ana,a@example.org,1980-01-01\n")
    header = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    rows = "".join(f"t{n},c1,sell,{1990 + n % 30}-05-06 07:08:09,eur,-{n}.25\n" for n in range(ROWS))
    edges = (
        "1970-01-01 00:00:00",
        "1974-12-31 23:59:59.999999",
        "1975-01-01 00:00:00",
        "2099-12-31 23:59:59",
    )
    rows += "".join(f"e{n},c1,buy,{edge},eur,1\n" for n, edge in enumerate(edges))
    done = imports.load("transactions", header + rows + "t5,c1,buy,2020-01-01,eur,1\n")
    assert "copy" in done.report["seconds"]
    assert counts(done) == {"rows_read": ROWS + 5, "inserted": ROWS + 4, "duplicate": 1}
    found: list[tuple[Any, ...]] = table(
        """SELECT transaction_date::text, currency, amount::text, (SELECT count(*) FROM transaction_key),
               (SELECT count(*) FROM transaction) FROM transaction WHERE transaction_id = 't31'"""
    )
    assert found == [("1991-05-06 07:08:09+00", "EUR", "-31.25", ROWS + 4, ROWS + 4)]
    assert table(
        "SELECT tableoid::regclass::text FROM transaction WHERE transaction_id LIKE 'e%' ORDER BY 1"
    ) == [(f"partitions.transaction_{year}",) for year in (1970, 1970, 1975, 2095)]


def test_first_counts_are_added_to_what_others_have_counted_meanwhile(
    workshop: Workshop, tmp_path: Path
) -> None:
    folds = TARGETS["atendimentos"].dataset.folds
    assert folds
    folding = Folding(folds, tmp_path)
    day = datetime(2024, 2, 29)
    seen = {"polo_id": 3, "angel_id": 2, "client_id": 1, "data_limite": day, "data_de_atendimento": day}
    folding.add(pa.RecordBatch.from_pylist([seen]))
    folding.finish()
    with workshop.database.unit_of_work() as session:
        copy = Copy(session, TARGETS["atendimentos"])
        copy.receive_counts(tmp_path, is_first=True)
        with workshop.database.unit_of_work() as other:
            other.execute(text("INSERT INTO indicator_angel VALUES (2, 5, 6, 7)"))
        copy.count()
    assert table("SELECT * FROM indicator_angel") == [(2, 6, 6, 7)]
    assert table("SELECT * FROM indicator_polo") == [(3, 4, 1, 0, 0)]
    assert table("SELECT stretch, counts[2], most FROM indicator_client_stretch") == [(0, 1, 1)]
    assert table("SELECT polo_id, angel_id, on_time FROM indicator_month ORDER BY 1, 2") == [
        (0, 2, 1),
        (3, 0, 1),
        (3, 2, 1),
    ]


def test_what_is_written_afterwards_is_counted_by_the_triggers_again(imports: Imports) -> None:
    imports.load("atendimentos", visits(0, ROWS))
    with services() as s:
        s.session.execute(text("DELETE FROM atendimento WHERE external_id LIKE '%7'"))
    imports.load("atendimentos", visits(ROWS, 10))
    check_rollups()


@pytest.mark.parametrize("budget", [None, 10**6], ids=["copied", "staged"])
def test_what_is_wrong_with_a_file_is_the_same_whether_it_is_copied_or_staged(
    imports: Imports, budget: int | None
) -> None:
    """With a budget of errors, a file is read to its end before its rows are written."""
    imports.load("atendimentos", visits(0, 50))
    odd = "".join(
        f"{key},{client},{angel},Polo 1,{limit},,\n"
        for key, client, angel, limit in (
            ("v12000", "only-here", "Rui 1", "2024-01-01"),  # twice in the file
            ("v7", "c7", "only-there", "2024-01-01"),  # in the table
            ("v7", "c7", "Rui 1", "2024-01-01"),  # both
            ("", "c7", "Rui 1", "2024-01-01"),  # no key, twice
            ("", "c7", "Rui 1", "2024-01-01"),
            ("v8", "c7", "", "2024-02-30"),  # wrong in itself
            ("v9", "c7", "Rui 1", "0021-01-01"),  # so, too: before and after all bounds
            ("v10", "c7", "Rui 1", "2101-01-01 00:00"),
        )
    )
    done = imports.load("atendimentos", visits(40, ROWS) + odd, max_errors=budget)
    assert ("copy" in done.report["seconds"]) == (budget is None)
    assert counts(done) == {"rows_read": ROWS + 8, "inserted": ROWS - 8, "duplicate": 13, "rejected": 3}
    rejects = [
        (fault.column, fault.code, fault.value, fault.detail.partition(" of import")[0], row.cells[0])
        for row in imports.rejects(done)
        for fault in row.faults
    ]
    assert [(code, key) for _, code, _, _, key in rejects] == [
        *(("already_there", f"v{number}") for number in range(40, 50)),
        ("duplicate", "v12000"),
        ("already_there", "v7"),
        ("duplicate", "v7"),
        ("missing", "v8"),
        ("not_a_date", "v8"),
        ("already_there", "v8"),
        ("out_of_range", "v9"),
        ("already_there", "v9"),
        ("out_of_range", "v10"),
        ("already_there", "v10"),
    ]
    assert {detail for _, code, _, detail, _ in rejects if code == "out_of_range"} == {
        "From 1900-01-01 to 2100-12-31."
    }
    assert done.report["summary"] == {
        "id_atendimento": {"already_there": 14, "duplicate": 2},
        "angel": {"missing": 1},
        "data_limite": {"not_a_date": 1, "out_of_range": 2},
    }
    made = "SELECT name FROM angel WHERE name LIKE 'only%' UNION SELECT external_id FROM client WHERE external_id LIKE 'only%'"
    assert table(made) == []
    check_rollups()


def test_a_client_that_is_unknown_costs_its_rows_only(imports: Imports) -> None:
    imports.load("clients", "client_id,name,email,date_of_birth\nc1,Ana,a@example.org,1980-01-01\n")
    header = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    rows = "".join(f"t{n},c{1 + (n % 1_000 == 7)},buy,2020-05-06,EUR,1\n" for n in range(ROWS))
    done = imports.load(
        "transactions", header + rows + "t7,c1,buy,2020-05-06,EUR,1\nt8,c1,buy,2020-05-06,EUR,1\n"
    )
    assert "copy" in done.report["seconds"]
    assert counts(done) == {"rows_read": ROWS + 2, "inserted": ROWS - 17, "duplicate": 1, "rejected": 18}
    assert done.report["summary"] == {"client_id": {"unknown_client": 18}, "transaction_id": {"duplicate": 1}}


def test_transactions_that_are_there_already_are_told_by_line(imports: Imports) -> None:
    imports.load("clients", "client_id,name,email,date_of_birth\nc1,Ana,a@example.org,1980-01-01\n")
    header = "transaction_id,client_id,transaction_type,transaction_date,currency,amount\n"
    rows = "".join(f"t{n},c1,buy,2020-05-06,EUR,1\n" for n in range(ROWS))
    imports.load("transactions", header + "t5,c1,buy,2020-05-06,EUR,1\n")
    done = imports.load("transactions", header + rows)
    assert counts(done) == {"rows_read": ROWS, "inserted": ROWS - 1, "duplicate": 1}
    assert [code for _, _, code in codes(imports.rejects(done))] == ["already_there"]


def test_rows_that_are_wrong_in_themselves_come_back_as_they_stand_in_the_file(imports: Imports) -> None:
    content = visits(0, ROWS)
    line = content.count("\n") + 1
    content += ' x1,c1,"A\n""b""",Polo 1,2024-02-30,,\nx2,c1\nx3,c1,,Polo 1,never,,\n'
    done = imports.load("atendimentos", content)
    assert counts(done) == {"rows_read": ROWS + 3, "inserted": ROWS, "rejected": 3}
    found = [(row.line, [fault.code for fault in row.faults], row.cells) for row in imports.rejects(done)]
    assert found == [
        (line, ["not_a_date"], (" x1", "c1", 'A\n"b"', "Polo 1", "2024-02-30", "", "")),
        (line + 2, ["wrong_column_count"], ("x2", "c1")),
        (line + 3, ["missing", "not_a_date"], ("x3", "c1", "", "Polo 1", "never", "", "")),
    ]


def test_an_interrupt_of_the_writing_stops_the_reading_as_well(imports: Imports, tmp_path: Path) -> None:
    imported = imports.start("atendimentos", visits(0, ROWS))
    path = tmp_path / "a.csv"
    path.write_text(visits(0, 40 * ROWS))
    source = Source(
        path=path,
        limits=ReadLimits(),
        folder=tmp_path,
        on_progress=lambda *_: None,
        should_stop=lambda: False,
    )
    asking = Asking(adapters().database, imported, plan_of(imported, source, "UTC"), source, is_empty=True)
    with asking.orders.reading, pytest.raises(KeyboardInterrupt), asking.beside():
        raise KeyboardInterrupt
    with pytest.raises(Stopped):
        _ = asking.loaded
