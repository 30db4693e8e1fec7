"""samples/ are small, deterministic, and as ugly as the documents say."""

import csv
import io

from scripts.make_samples import SAMPLES, transactions, visits


def rows_of(content: bytes, encoding: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(encoding), newline=""), delimiter=delimiter))


def test_the_files_are_what_their_script_makes() -> None:
    assert (SAMPLES / "atendimentos.csv").read_bytes() == visits()
    assert (SAMPLES / "transactions.csv").read_bytes() == transactions()


def test_the_visits_are_no_utf8_and_have_line_ends_inside_quotes() -> None:
    content = visits()
    rows = rows_of(content, "cp1252", ";")
    assert b"P\xf3lo" in content
    assert len(rows) == 201
    assert content.count(b"\r\n") > len(rows)
    assert {len(row) for row in rows} == {9}


def test_the_transactions_have_ids_that_a_number_would_spoil() -> None:
    rows = rows_of(transactions(), "utf-8", ",")
    assert len(rows) == 301
    assert rows[1][0] == "000001"
    assert all(len(row[1]) in (0, 4) for row in rows[1:])
