"""Long files in pieces: what comes of them has the same bytes as what comes of the whole file at once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import ibis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.queries import pieces
from src.engine.queries.duckdb import statements
from src.engine.queries.pieces import Piece, pieces_of
from src.engine.queries.rows import ROW, Rows, scan
from src.engine.queries.sources import Source
from src.engine.queries.statements import OutputFormat
from src.engine.reading.regular import prove
from src.engine.sandbox import ignore_progress
from src.engine.values import Column, Regular
from tests.engine.queries.asking import run, table_file

LINES = st.lists(st.sampled_from(["a,1", "b,2", '"c,d",', ",", '"""",3', "é,-4"]), min_size=1, max_size=30)
LONGEST = 1 << 20
Step = Callable[..., Rows]


@pytest.fixture(scope="module", autouse=True)
def every_file_is_long() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "LEAST", 1)
        yield


def pieces_in(path: Path, *, has_header: bool = True, others: list[Source] | None = None) -> list[Piece]:
    """Of a file, by its own proof."""
    regular = prove(path, ",", '"', LONGEST, ignore_progress)
    assert regular is not None
    text = {"path": str(path), "has_header": has_header, "has_breaks": regular.has_breaks}
    return pieces_of(Source(regular.records - has_header, text=text), others or [])


def fed(piece: Piece, pipe: Path) -> bytes:
    """What comes through its pipe."""
    piece.fed_to(pipe)
    return pipe.read_bytes()


@settings(deadline=None, max_examples=40)
@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pieces_are_whole_lines_and_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, is_ended: bool
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    content = end.join(["name,n", *lines]) + (end if is_ended else "")
    path = folder / "file.csv"
    path.write_bytes(content.encode())
    found = pieces_in(path)
    parts = [fed(piece, folder / f"pipe{place}") for place, piece in enumerate(found)]
    assert b"".join(parts) == content.encode()
    assert all(part.endswith(b"\n") or not part for part in parts[:-1])
    counts = [len(part.splitlines()) for part in parts]
    assert [piece.rows for piece in found] == [counts[0] - 1, *counts[1:]]
    assert [piece.rows_before for piece in found] == [0, counts[0] - 1]


def test_no_piece_begins_with_what_would_be_taken_for_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("a,b\n" + "\ufeffx,y\n" * 20 + "z,z\n")
    first, second = pieces_in(path)
    assert (first.rows, second.rows) == (20, 1)


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n\n3,4\n", b'a,b\n1,"x\ny"\n3,4\n'], ids=["blank lines", "line ends in cells"]
)
def test_a_file_whose_lines_are_not_its_rows_stays_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    assert pieces_in(path) == []


def test_what_is_joined_to_all_pieces_must_be_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    other = [Source(2, text={"path": str(path)})]
    assert len(pieces_in(path, others=other)) == 2
    monkeypatch.setattr(pieces, "MOST_READ_TWICE", 10)
    assert pieces_in(path, others=other) == []


def joined(rows: Rows, other: Rows) -> Rows:
    return rows.joined(other, [(rows.identity("k"), other.identity("k"))], {"v": "found"}, is_unique=True)


def numbered(rows: Rows, other: Rows) -> Rows:
    """Every third row, by its number, and joined."""
    return joined(rows.where(rows.table[ROW] % 3 == 1), other).with_values({"place": rows.table[ROW] + 1})


def distinct(rows: Rows) -> Rows:
    return rows.one_of_each(["k"], "last")


def nothing(rows: Rows, other: Rows) -> Rows:
    return joined(rows, other).where(ibis.literal(False))


@pytest.mark.parametrize("step", [joined, numbered, distinct, nothing])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_bytes_are_those_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Step, form: OutputFormat
) -> None:
    path, other = tmp_path / "file.csv", tmp_path / "other.csv"
    path.write_text("k,n\n" + "".join(f"{n * 7 % 50},{n}\n" for n in range(5_000)))
    other.write_text("k,v\n" + "".join(f"{n},value {n}\n" for n in range(40)))
    files = {"input": table_file(path), "other": table_file(other)}
    files = files if step is not distinct else {"input": files["input"]}
    assert len(pieces_in(path)) == 2
    ran = [run(step, files, tmp_path / "pieces", form, master="")]
    monkeypatch.setattr(pieces, "LEAST", 1 << 40)
    assert pieces_in(path) == []
    ran.append(run(step, files, tmp_path / "whole", form, master=""))
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()
    assert ran[0] == ran[1]


def test_only_rows_that_pass_by_one_by_one_are_divided() -> None:
    columns = [Column(name="k"), Column(name="v")]
    rows, other = scan("input", columns), scan("other", columns)
    assert statements(joined(rows, other), "csv").divided == "input"
    assert statements(distinct(rows), "csv").divided == "input"
    assert statements(joined(rows, other), "parquet").divided is None
    for plain in (rows, rows.with_values({"n": rows.table[ROW] + 1})):  # DuckDB itself uses all threads
        assert statements(plain, "csv").divided is None
    assert statements(joined(rows, other).first(5), "csv").divided is None
    assert statements(joined(rows, other).sorted_by([(rows.text("v"), False)]), "csv").divided is None


def test_a_piece_that_is_not_read_as_it_was_counted_makes_its_file_be_converted(tmp_path: Path) -> None:
    """A proof that says too much: two rows of it are blank lines, which the fast reader does not take for rows."""
    path, other = tmp_path / "file.csv", tmp_path / "other.csv"
    path.write_text("k,v\n" + "1,x\n" * 10 + "\n\n")
    other.write_text("k,v\n1,found\n")
    known = table_file(path)
    wrong = Regular(width=2, records=13, delimiter=",", quote='"')
    files = {"input": type(known)(path, known.detected, wrong), "other": table_file(other)}
    ran = run(joined, files, tmp_path / "result", master="")
    assert ran.rows_in["input"] == ran.rows_out == 10
    assert (tmp_path / "result").read_text().count("1,x,found\n") == 10
