"""A report as Parquet: what is written plainly is converted column by column, all else cell by cell."""

import tempfile
from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from src.engine.reports.sheet import Sheet
from src.engine.reports.written import value_of

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 4 * 1024 * 1024
MOST_DIGITS = 60
ESCAPED = r"^'('*[=+\-@\t\r])"
PLAIN = {  # what a cast of Arrow's reads as we do
    "decimal": r"^-?[0-9]{1,20}([.][0-9]{1,10})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "datetime": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$",
    "boolean": r"^(true|false)$",
}


def as_parquet(sheet: Sheet) -> Iterator[bytes]:
    """Numbers with all their decimals, days as days; texts as they are."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([(column["name"], _arrow_type(column)) for column in sheet.columns])
    with tempfile.TemporaryFile() as file:
        with ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in _batches(sheet):
                columns = [
                    _converted(texts, column, field.type)
                    for texts, column, field in zip(batch.columns, sheet.columns, schema, strict=True)
                ]
                writer.write_batch(pa.record_batch(columns, schema=schema))
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def _batches(sheet: Sheet) -> "Iterator[pa.RecordBatch]":
    """The cells as the texts that are stored."""
    import pyarrow as pa
    from pyarrow import csv

    names = [f"c{place}" for place in range(len(sheet.columns))]
    yield from csv.open_csv(
        sheet.path,
        csv.ReadOptions(block_size=BLOCK, column_names=names, skip_rows_after_names=1),
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(names) > 1),
        csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string())),
    )


def _converted(texts: "pa.Array", column: Mapping[str, Any], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    if column["type"] != "decimal":  # no number ever had an apostrophe put before it
        texts = pc.replace_substring_regex(texts, ESCAPED, r"\1")
    if pa.types.is_string(kind):
        return texts
    plain = pc.if_else(pc.equal(texts, ""), None, _with_point(texts, column.get("decimal")))
    if pc.all(pc.match_substring_regex(plain, PLAIN[column["type"]])).as_py() is not False:
        try:
            return plain.cast(kind)
        except pa.ArrowInvalid:  # there is no such day, or it has more places than its column
            pass
    return _one_by_one(texts, column, kind)


def _with_point(texts: "pa.Array", mark: str | None) -> "pa.Array":
    """Numbers as everybody writes them."""
    import pyarrow.compute as pc

    if mark is None:
        return texts
    bare = pc.replace_substring(texts, "," if mark == "." else ".", "")
    return pc.replace_substring(bare, mark, ".")


def _one_by_one(texts: "pa.Array", column: Mapping[str, Any], kind: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    values = (value_of(text, column) for text in texts.to_pylist())
    there: list[Any] = [None if isinstance(value, str) else value for value in values]
    if pa.types.is_floating(kind):
        there = [None if value is None else float(value) for value in there]
    if pa.types.is_decimal(kind):
        with localcontext() as exact:
            exact.prec = MOST_DIGITS
            step = Decimal(1).scaleb(-kind.scale)
            there = [None if value is None else value.quantize(step, ROUND_HALF_UP) for value in there]
    return pa.array(there, kind)


def _arrow_type(column: Mapping[str, Any]) -> "pa.DataType":
    """Exact numbers are exact here as well; those whose places are not known are doubles."""
    import pyarrow as pa

    if column["type"] == "decimal" and "digits" in column:
        return pa.decimal128(column["digits"], column["places"])
    kinds = {
        "decimal": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
    }
    return kinds.get(column["type"], pa.string())
