"""Rows that come out as they stand: lines are copied where, and only where, they are what we would write."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import ibis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.engine.queries import asking, pieces
from src.engine.queries.duckdb import statements
from src.engine.queries.lines import are_lines, copy_lines
from src.engine.queries.rows import Rows, scan
from src.engine.queries.running import run_query
from src.engine.queries.sources import Source
from src.engine.queries.statements import Chosen
from src.engine.queries.values import Query, TableFile
from src.engine.reading.regular import prove
from src.engine.sandbox import ignore_progress
from src.engine.values import MIB, Column, Regular
from tests.engine.queries.asking import profiled, reading, run, table_file

CELLS = st.text(st.sampled_from("aA7 ,\"'=+-@#;|\\.é\t\r\n\ufeff\x01"), max_size=4)
NAMES = ["k", "v", "w"]
Step = Callable[[Rows], Rows]


@pytest.fixture(scope="module", autouse=True)
def every_file_is_long_for_its_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LEAST", 1)
        patch.setattr(pieces, "AT_ONCE", 50)
        yield


def distinct(rows: Rows) -> Rows:
    return rows.one_of_each(["k"], "last")


def distinct_twice(rows: Rows) -> Rows:
    return rows.one_of_each(["k"], "first").one_of_each(["v"], "last")


def copied_and_written(path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> tuple[int, bytes, bytes]:
    """How many pieces were copied, what came of it, and what comes of the same without copying."""
    calls: list[Any] = []
    folder, file = path.parent, table_file(path, reading(NAMES))

    def copy(*arguments: Any) -> int:
        calls.append(arguments)
        return copy_lines(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(asking, "copy_lines", copy)
        one = run(step, {"input": file}, folder / "copied", master="")
        patch.setattr(asking, "are_lines", lambda *_: False)
        other = run(step, {"input": file}, folder / "written", master="")
    assert one == other
    return len(calls), (folder / "copied").read_bytes(), (folder / "written").read_bytes()


def quoted(cell: str, *, anyway: bool) -> str:
    is_needed = anyway or any(mark in cell for mark in ',"\n\r')
    return '"' + cell.replace('"', '""') + '"' if is_needed else cell


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=12),
    st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=7),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
@example([["a", '"', ","], ["a", "", "=1"], ["", "", ""]], [False], "\n", False)
@example([["-1", "'=", ","], ["\ufeffa", " ", "#"]], [False], "\n", True)
@example([["a", "b", "c"], ["a", "b", "c"]], [True, False, False], "\n", True)
def test_what_is_copied_is_what_would_be_written(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    quotes: list[bool],
    end: str,
    is_ended: bool,
) -> None:
    """Some cells are quoted though they need not be: then lines are not copied."""
    path = tmp_path_factory.mktemp("lines") / "file.csv"
    anyway = cycle(quotes)
    lines = [",".join(quoted(cell, anyway=next(anyway)) for cell in row) for row in rows]
    path.write_bytes((end.join([",".join(NAMES), *lines]) + (end if is_ended else "")).encode())
    with pytest.MonkeyPatch.context() as patch:
        _, copied, written = copied_and_written(path, distinct, patch)
    assert copied == written


@pytest.mark.parametrize("step", [distinct, distinct_twice])
@pytest.mark.parametrize("is_ended", [True, False])
def test_lines_of_a_plain_file_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step, is_ended: bool
) -> None:
    """The header is longer than a block, too."""
    names = ["k", "v", "w" * 120]
    lines = [f'{n % 700},"{n % 99}, {n % 500}",{n}' for n in range(900)]
    path = tmp_path / "file.csv"
    path.write_text("\n".join([",".join(names), *lines]) + ("\n" if is_ended else ""))
    monkeypatch.setattr(f"{__name__}.NAMES", names)
    calls, copied, written = copied_and_written(path, step, monkeypatch)
    assert calls == 2
    assert copied == written
    assert copied.count(b"\n") > 450


@pytest.mark.parametrize(
    ("content", "signed"),
    [
        (b"a,b\n1,2\n", []),
        (b'a,b\n1,"2,"', []),
        (b'a,b\n1,"""x"""\n', []),
        (b"a,b\n-1,2\n3,4\n", [0]),
        (b'a,b\n1,2\n"x,","=1,"\n', [1]),
        (b"@a,b\n1,2\n'1,+\n", [0, 1]),
        (b"a\n=1\n", [0]),
        (b'a,b\n1,"#2"\n', []),
        (b"a,b\n1,2#\n", None),
        (b'a,b\n1,"2"\n', None),
        (b'a,b\n1,""\n', None),
        (b'a,b\n1,"x\ny"\n', None),
        (b"a,b\n1,2\n\n3,4\n", None),
        (b"a,b\r\n1,2\r\n", None),
    ],
)
def test_the_proof_says_where_lines_are_as_we_would_write_them(
    tmp_path: Path, content: bytes, signed: list[int] | None
) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    proof = prove(path, ",", '"', MIB, ignore_progress)
    assert proof is not None
    assert proof.signed == signed


def test_other_marks_than_ours_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a;b\n1;2\n")
    proof = prove(path, ";", '"', MIB, ignore_progress)
    assert proof is not None
    assert proof.signed is None


def test_signs_of_numbers_are_copied_and_those_of_texts_are_not(tmp_path: Path) -> None:
    """A proven number is no formula; a text may be one, and gets an apostrophe."""
    path = tmp_path / "file.csv"
    path.write_text("k,v,w\n-1,=x,2\n")
    known = profiled(path)
    for names, expected in ((["k", "v", "w"], False), (["k", "w"], True)):
        rows = distinct(
            scan("input", [next(c for c in known.detected.columns if c.name == n) for n in names])
        )
        source = Source(1, text={"width": len(names)}, signed=[0] if expected else [0, 1])
        assert are_lines(statements(rows, "csv"), source) is expected


def test_only_whole_rows_that_are_chosen_by_number_are_lines() -> None:
    rows = scan("input", [Column(name="k"), Column(name="v")])
    some, source = distinct(rows), Source(9, text={"width": 2}, signed=[])
    found = statements(some, "csv").chosen
    assert found == Chosen(["part_input_0"], [0, 1])
    assert are_lines(statements(some, "csv"), source)
    assert are_lines(statements(some.renamed({"k": "key"}), "csv"), source)
    changed = [
        rows,
        some.selected(["v", "k"]),
        some.with_values({"k": some.text("k").upper()}),
        some.where(some.text("v") != "x"),
        some.where((some.text("v") != "x") | ibis.literal(False)),
        some.first(5),
        some.sorted_by([(some.text("v"), False)]),
        some.joined(scan("other", [Column(name="k")]), [(some.text("k"), ibis.literal(""))], {}),
    ]
    for other in changed:
        assert statements(other, "csv").chosen is None
    assert not are_lines(statements(some.selected(["k"]), "csv"), source)
    assert statements(some, "jsonl").chosen is None
    assert statements(some, "parquet").chosen is None
    assert not are_lines(statements(some, "csv"), Source(9, text={"width": 2}))


def test_a_proof_tells_which_columns_of_the_file_need_no_look_at_their_cells() -> None:
    proof = Regular(width=3, records=9, delimiter=",", quote='"', signed=[1])
    rows = scan("input", [Column(name="k"), Column(name="v"), Column(name="w")])
    changed = rows.renamed({"w": "x"}).with_values({"k": rows.text("v")})
    joined = changed.joined(
        scan("other", [Column(name="o")]), [(rows.text("v"), ibis.literal(""))], {"o": "o"}
    )
    known = {column.name: column.is_harmless for column in joined.proven_by(proof).columns}
    assert known == {"k": False, "v": False, "x": True, "o": False}
    assert rows.proven_by(replace(proof, signed=None)) == rows


def test_only_cells_that_may_begin_like_formulas_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("k,v,w\na,=x,2\nb,c,d\n")
    known = profiled(path)
    rows = scan("input", known.detected.columns).where(ibis.literal(True))
    source = TableFile(path, known.detected, known.regular)
    target = tmp_path / "out.csv"
    run_query(Query(rows, {"input": source}), target, work_dir=tmp_path)
    assert target.read_text() == "k,v,w\na,'=x,2\nb,c,d\n"
    assert known.regular is not None
    select = statements(rows.proven_by(known.regular), "csv").select
    assert select.count("'''' ||") == 1
