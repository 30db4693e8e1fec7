"""Records and their lines, and the fast proof that a file needs no second look."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.reading.records import read_records
from src.engine.reading.regular import prove
from src.engine.sandbox import ignore_progress
from src.engine.values import MIB, Regular
from tests.engine.making import Make, csv_bytes

CELLS = st.text(st.sampled_from(list("ab,;\"'\n\r é\t")), max_size=6)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=8)
)


def records(text: str, longest: int = MIB) -> list[tuple[int, list[str]]]:
    return list(read_records(io.StringIO(text, newline=""), ",", '"', longest))


def refusal(text: str, longest: int = MIB) -> tuple[str, str]:
    with pytest.raises(DomainError) as caught:
        records(text, longest)
    return caught.value.slug, caught.value.detail


class TestRecords:
    def test_each_has_the_line_it_starts_on(self) -> None:
        assert records('a,b\r\n"x\ny\r\nz",1\r2,3\n\n4,5') == [
            (1, ["a", "b"]),
            (2, ["x\ny\r\nz", "1"]),
            (5, ["2", "3"]),
            (6, []),
            (7, ["4", "5"]),
        ]

    def test_a_quote_that_is_never_closed_names_the_record(self) -> None:
        slug, detail = refusal('a,b\n1,2\n"x,4\n5,6\n7,8\n')
        assert (slug, detail.startswith("Line 3: a quote opens")) == ("broken-file", True)

    def test_text_behind_a_closing_quote_names_the_line(self) -> None:
        slug, detail = refusal('a,b\n"p\nq"r,2\n')
        assert (slug, detail.startswith("Line 3: there is text behind")) == ("broken-file", True)

    def test_a_record_may_not_grow_without_end(self) -> None:
        assert refusal("a,b\n" + "x" * 2000 + ",1\n", 1024)[0] == "giant-line"
        slug, detail = refusal('a,b\n"' + "x\n" * 2000, 1024)
        assert (slug, "line 2" in detail, "never be closed" in detail) == ("giant-line", True, True)

    def test_a_nul_is_named_by_its_line(self) -> None:
        assert refusal("a,b\n1,\0\n")[1].startswith("Line 2 holds a NUL")

    def test_without_strictness_nothing_is_refused(self) -> None:
        source = io.StringIO('a,"b"c\n"x', newline="")
        assert [row for _, row in read_records(source, ",", '"', MIB, is_strict=False)] == [
            ["a", "bc"],
            ["x"],
        ]


class TestProof:
    def prove(self, make: Make, content: bytes, longest: int = MIB) -> Regular | None:
        found = prove(make(content), ",", '"', longest, ignore_progress)
        return found and replace(found, signed=None)

    @pytest.mark.parametrize(
        ("content", "proof"),
        [
            (b"a,b\n1,2\n", Regular(2, 2, ",", '"')),
            (b"a,b\n1,2", Regular(2, 2, ",", '"')),
            (b"a,b", Regular(2, 1, ",", '"')),
            (b"a,b\r\n1,2\r\n\r\n", Regular(2, 2, ",", '"')),
            (b'a,b\n"x,\ny","""z"""\n"",""\n', Regular(2, 3, ",", '"', has_breaks=True)),
            (b'a,b\r\n"x\ny",2', Regular(2, 2, ",", '"', has_breaks=True)),
            (b"a\n\nb\n\n", Regular(1, 4, ",", '"')),
            (b"a,b\n1,2\n3\n", None),
            (b"a,b\n1,2\n3,4,5\n", None),
            (b"a,b\n1,2\r\n", None),
            (b"a,b\r\n1,2\n", None),
            (b"a,b\r1,2\r", None),
            (b'a,b\n1,x"y\n', None),
            (b'a,b\n1,"x"y\n', None),
            (b'a,b\n1, "x"\n', None),
            (b'a,b\n1,"x\n2,3\n', None),
            (b"a,b\n1,\0\n", None),
            (b"\na,b\n1,2\n", None),
            (b"", None),
            (b'\xef\xbb\xbf"a",b\n', None),
        ],
    )
    def test_only_what_is_in_order_is_proven(self, make: Make, content: bytes, proof: Regular | None) -> None:
        assert self.prove(make, content) == proof

    def test_a_giant_record_is_not_proven(self, make: Make) -> None:
        assert self.prove(make, b"a,b\n" + b"x" * 200 + b",1\n", 100) is None
        assert self.prove(make, b'a,b\n"' + b"x\n" * 200 + b'",1\n', 100) is None
        assert self.prove(make, b"x" * 3 * MIB) is None

    def test_records_that_span_blocks_are_counted_once(self, make: Make) -> None:
        content = csv_bytes([[f"{number}", 'line "one"\nline two'] for number in range(100_000)])
        assert self.prove(make, content) == Regular(2, 100_000, ",", '"', has_breaks=True)


@given(TABLES, st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
@example([["a", "b"], ['"', '",\n"']], "\n", csv.QUOTE_ALL)
def test_what_is_proven_is_what_a_careful_reader_reads(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str, quoting: int
) -> None:
    path = tmp_path_factory.mktemp("proof") / "a.csv"
    path.write_bytes(csv_bytes(rows, lineterminator=end, quoting=quoting))
    proof = prove(path, ",", '"', MIB, ignore_progress)
    if quoting == csv.QUOTE_ALL:
        has_breaks = any("\n" in cell or "\r" in cell for row in rows for cell in row)
        assert proof
        assert replace(proof, signed=None) == Regular(len(rows[0]), len(rows), ",", '"', has_breaks)
    elif proof:
        read = [row or [""] for _, row in records(path.read_bytes().decode()) if row or len(rows[0]) == 1]
        assert (proof.records, {proof.width}) == (len(read), set(map(len, read)))


@given(st.binary(max_size=60).map(lambda data: bytes(b'a,"\n\r '[byte % 6] for byte in data)))
def test_any_proven_text_is_even_and_sound(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path: Path = tmp_path_factory.mktemp("proof") / "a.csv"
    path.write_bytes(content)
    proof = prove(path, ",", '"', MIB, ignore_progress)
    if proof:
        read = [row or [""] for _, row in records(content.decode()) if row or proof.width == 1]
        assert (len(read), set(map(len, read))) == (proof.records, {proof.width})
