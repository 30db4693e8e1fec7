"""What is told of rows while they are written: the same as a reading of its own would find."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.duck import sessions
from src.engine.queries import noting, pieces
from src.engine.queries.asking import answers
from src.engine.queries.duckdb import statements
from src.engine.queries.executing import LOOKED_AFTER
from src.engine.queries.noting import taking
from src.engine.queries.rows import ROW, Note, Part, Rows, scan
from src.engine.queries.sources import Source
from src.engine.queries.statements import Asked, NoteStatement, PartStatement, Statements
from src.engine.values import Column
from tests.engine.making import SANDBOX

SETTINGS = {**LOOKED_AFTER, "threads": 1, "disabled_optimizers": "build_side_probe_side,join_order"}
NOTE = NoteStatement("part_x", ["row", "k"], "select 1")


@pytest.fixture(autouse=True)
def few_rows_are_many() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LEAST", 1)
        patch.setattr(noting, "MOST_HELD", 3)
        yield


def joined_to_others() -> Rows:
    """Rows beside those of another file, of which those are told that found none."""
    rows, other = scan("input", [Column(name="k")]), scan("other", [Column(name="k"), Column(name="v")])
    pairs = [(rows.identity("k"), other.identity("k"))]
    beside = rows.joined(other, pairs, {"v": "v"}, is_unique=True)
    table = beside.table
    told = table.filter(table["other_row"].isnull()).select(ROW, k0=table["c0"])
    note = Note(Part("part_x", told), ibis._["other_row"].isnull(), [ibis._["c0"]])
    return Rows(beside.table, beside.columns, "input", notes=(note,))


def source_of(path: Path, content: str, width: int) -> Source:
    path.write_text(content)
    text = {"path": str(path), "width": width, "delimiter": ",", "quote": '"'}
    text |= {"has_header": False, "has_breaks": False, "longest": 1 << 20}
    return Source(content.count("\n"), text=text)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.sampled_from(["a", "b", "x", "y", '"z,"']), min_size=1, max_size=40))
def test_notes_of_pieces_are_what_a_reading_of_its_own_finds(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("noting")
    rows = statements(joined_to_others(), "csv")
    select = "select row || ' ' || k0 as line from part_x order by row"
    part = PartStatement("part_x", rows.notes[0].select, None, False, None)
    told = Statements([part], select, ["line"], [False], False, False, "jsonl")
    sources = {
        "input": source_of(folder / "input.csv", "".join(f"{key}\n" for key in keys), 1),
        "other": source_of(folder / "other.csv", "a,1\nb,2\n", 2),
    }
    paths = [path for source in sources.values() for path in source.files]
    for name, with_rows in (("taken", [Asked(rows, list(sources), str(folder / "rows"))]), ("read", [])):
        asked = [*with_rows, Asked(told, list(sources), str(folder / name))]
        with sessions(4, folder, paths, SANDBOX, folder, in_order=True, more=SETTINGS) as every:
            for source, file in sources.items():
                every[0].execute(f"create view {source} as {file.view()}")
            answers(every, asked, sources, folder, lambda _: None)
    missed = [f"{row} {key.strip(chr(34))}" for row, key in enumerate(keys) if key not in ("a", "b")]
    assert (folder / "taken").read_text().splitlines() == missed
    assert (folder / "read").read_text().splitlines() == missed
    assert (folder / "rows").read_text().count("\n") == len(keys) + 1


def test_what_was_noted_is_not_searched_by_a_reading(tmp_path: Path) -> None:
    """The question's own way to find the table would find another."""
    rows = Statements(
        [], "select 'r' as r where part_x(7, 'noted')", ["r"], [False], False, False, "csv", notes=[NOTE]
    )
    part = PartStatement("part_x", NOTE.select, None, True, None)
    told = Statements([part], "select k from part_x", ["k"], [False], False, False, "jsonl")
    asked = [Asked(rows, [], str(tmp_path / "rows")), Asked(told, [], str(tmp_path / "told"))]
    with sessions(4, tmp_path, [], SANDBOX, tmp_path, more=LOOKED_AFTER) as every:
        answers(every, asked, {}, tmp_path, lambda _: None)
    assert (tmp_path / "told").read_text() == "noted\n"


def test_who_chooses_among_rows_takes_no_notes() -> None:
    """Of the others nothing would be told."""
    rows = joined_to_others()
    assert [note.name for note in statements(rows, "csv").notes] == ["part_x"]
    other = scan("third", [Column(name="k")])
    for fewer in (
        rows.where(rows.cell("k") == "a"),
        rows.first(1),
        rows.sorted_by([(rows.cell("k"), True)]),
        rows.joined(other, [(rows.identity("k"), other.identity("k"))], {}, is_inner=True),
    ):
        assert statements(fewer, "csv").notes == []


def test_an_error_of_notes_comes_out_as_itself(tmp_path: Path) -> None:
    """Not as the text that DuckDB makes of it."""
    with (
        sessions(2, tmp_path, [], SANDBOX, more=LOOKED_AFTER) as (one, other),
        pytest.raises(duckdb.CatalogException),
        taking([NOTE], other),
    ):
        other.execute("drop table part_x")
        one.execute("select count(*) from range(9) where part_x(range, 'k')")


def test_notes_are_there_once_all_rows_are_written(tmp_path: Path) -> None:
    with sessions(2, tmp_path, [], SANDBOX, more=LOOKED_AFTER) as (one, other):
        with taking([NOTE], other):
            one.execute("select count(*) from range(10) where part_x(range, 'k' || range)")
        assert other.execute("select count(*), min(k), max(row) from part_x").fetchall() == [(10, "k0", 9)]
