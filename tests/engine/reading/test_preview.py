"""Previews: the first rows of any format, as texts."""

import pytest

from src.engine.reading.detect import detect
from src.engine.reading.preview import preview
from src.engine.values import Preview, ReadLimits
from tests.engine.making import SANDBOX, Make, csv_bytes, gzipped, parquet_bytes, workbook_bytes

LIMITS = ReadLimits(sandbox=SANDBOX)


def seen(make: Make, content: bytes, rows: int, limits: ReadLimits = LIMITS) -> Preview:
    path = make(content)
    return preview(path, detect(path, "a.csv", LIMITS), rows, limits=limits)


@pytest.mark.parametrize(
    "content",
    [
        b"id,name\n1,Ana\n2,\n",
        gzipped(b"id;name\r\n1;Ana\r\n\r\n2;\r\n"),
        b"\xef\xbb\xbfsep=;\r\nid;name\r\n1;Ana\r\n2;\r\n",
        b'{"id": 1, "name": "Ana"}\n{"id": 2}\n',
        workbook_bytes({"A": [["id", "name"], [1, "Ana"], [2, ""]]}),
        parquet_bytes("select * from (values (1, 'Ana'), (2, null)) t(id, name)"),
    ],
)
def test_all_formats_look_alike(make: Make, content: bytes) -> None:
    assert seen(make, content, 5) == Preview(
        columns=("id", "name"), rows=(("1", "Ana"), ("2", "")), truncated=False
    )
    assert seen(make, content, 1).rows == (("1", "Ana"),)
    assert seen(make, content, 1).truncated
    assert seen(make, content, 0).rows == ()


def test_parquet_rows_come_in_the_order_of_the_file(make: Make) -> None:
    content = parquet_bytes("select i from range(300000) t(i)")
    assert seen(make, content, 3).rows == (("0",), ("1",), ("2",))


def test_a_file_without_a_header_keeps_its_first_row(make: Make) -> None:
    assert seen(make, b"1,2\n3,4\n", 1) == Preview(
        columns=("column_1", "column_2"), rows=(("1", "2"),), truncated=True
    )


def test_ragged_rows_are_filled_and_never_cut(make: Make) -> None:
    assert seen(make, b"a,b\n1\n1,2\n1,2,3\n", 5).rows == (("1", ""), ("1", "2"), ("1", "2", "3"))


def test_blank_lines_are_empty_cells_of_a_single_column_only(make: Make) -> None:
    assert seen(make, b"\nid\n1\n\n2\n", 5).rows == (("1",), ("",), ("2",))
    assert seen(make, b"\na,b\n1,2\n\n3,4\n", 5).rows == (("1", "2"), ("3", "4"))


def test_bytes_of_another_encoding_show_as_such(make: Make) -> None:
    assert seen(make, "a,b\né,1\né,2\n".encode() + b"\xe9,3\n", 5).rows[-1] == ("\ufffd", "3")


def test_very_long_rows_end_the_preview_early(make: Make) -> None:
    for content in (
        csv_bytes([["a", "b"], *[["x" * 1000, "y"]] * 10]),
        workbook_bytes({"A": [["a", "b"], *[["x" * 1000, "y"]] * 10]}),
    ):
        short = seen(make, content, 10, ReadLimits(preview_bytes=3_000, sandbox=SANDBOX))
        assert (len(short.rows), short.truncated) == (3, True)
