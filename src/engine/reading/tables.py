"""Any file of rows as a relation: unpacked, decoded, proven whole, and converted to columns once."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import dropwhile, islice
from pathlib import Path
from typing import Any

from src.engine.reading.columnar import from_records, from_regular
from src.engine.reading.content import open_utf8, unpack
from src.engine.reading.encodings import encoding_of_file, recode
from src.engine.reading.jsonlines import column_names, read_objects
from src.engine.reading.parquet import from_parquet
from src.engine.reading.records import ONE_COLUMN, QUOTE, GiantLine, read_records
from src.engine.reading.regular import prove
from src.engine.reading.relation import Relation
from src.engine.reading.workbooks import check_workbook, sheet_rows
from src.engine.values import Detected, OnProgress, ReadLimits, Regular, Sandbox

Records = Iterable[tuple[int, list[str]]]


def read_table(
    arguments: Mapping[str, Any], folder: Path, sandbox: Sandbox, on_progress: OnProgress
) -> dict[str, Any]:
    """The child's part: convert the file into columns in the folder `target`, and tell how it was read."""
    detected, limits = Detected.from_json(arguments["detected"]), ReadLimits.from_json(arguments["limits"])
    target, path = Path(arguments["target"]), Path(arguments["path"])
    plain = unpack(path, detected.packing, folder / "unpacked", limits)
    regular = None
    if detected.format == "parquet":
        relation = from_parquet(target, plain, folder, limits, sandbox, on_progress)
    elif detected.format == "xlsx":
        relation = _from_workbook(plain, detected, target, limits)
    else:
        encoding, is_sound = encoding_of_file(plain)
        if not is_sound:
            plain = recode(plain, encoding, folder / "recoded", on_progress)
        detected = replace(detected, encoding=encoding, has_bom=detected.has_bom and encoding != "cp1252")
        relation, regular = _from_text(plain, detected, target, limits, on_progress)
    return {
        "relation": asdict(relation),
        "detected": asdict(detected),
        "regular": asdict(regular) if regular and plain == path else None,
    }


def _from_text(
    path: Path, detected: Detected, target: Path, limits: ReadLimits, on_progress: OnProgress
) -> tuple[Relation, Regular | None]:
    """The rows of a UTF-8 text, and the proof that it is regular, if it is."""
    if detected.format == "jsonl":
        return _from_json_lines(path, target, limits, on_progress), None
    return _from_delimited(path, detected, target, limits, on_progress)


def _from_delimited(
    path: Path, detected: Detected, folder: Path, limits: ReadLimits, on_progress: OnProgress
) -> tuple[Relation, Regular | None]:
    """Fast where the file is regular; else record by record, to its end or to the reason why that fails."""
    names = [column.name for column in detected.columns]
    delimiter, quote = detected.delimiter or ONE_COLUMN, detected.quote or QUOTE
    proof = prove(path, delimiter, quote, limits.record_bytes, on_progress)
    if proof and proof.width == len(names) and (detected.has_header or not detected.has_bom):
        relation = from_regular(
            folder,
            path,
            proof,
            names,
            has_header=detected.has_header,
            longest=limits.record_bytes,
            on_progress=on_progress,
        )
        return relation, proof
    with open_utf8(path, on_progress, "bytes read") as text:
        records = _without_blanks(read_records(text, delimiter, quote, limits.record_bytes), len(names))
        return from_records(folder, islice(records, int(detected.has_header), None), names), None


def _from_workbook(path: Path, detected: Detected, folder: Path, limits: ReadLimits) -> Relation:
    has_errors = check_workbook(path, limits)
    names = [column.name for column in detected.columns]
    found = sheet_rows(path, detected.sheet or "", has_errors=has_errors)
    rows = islice(found, int(detected.has_header), None)
    return from_records(folder, _bounded(rows, limits.record_bytes), names)


def _from_json_lines(path: Path, folder: Path, limits: ReadLimits, on_progress: OnProgress) -> Relation:
    """Read twice, because a name may first occur in the last line."""
    with open_utf8(path, on_progress, "bytes checked") as text:
        names = column_names(read_objects(text, limits.record_bytes), limits.columns)
    with open_utf8(path, on_progress, "bytes read") as text:
        objects = read_objects(text, limits.record_bytes)
        rows = ((line, [values.get(name, "") for name in names]) for line, values in objects)
        return from_records(folder, rows, names)


def _without_blanks(records: Records, width: int) -> Records:
    """Blank lines are no rows; but in a single column, below the first cell, one is an empty cell."""
    for line, record in dropwhile(lambda numbered: not numbered[1], records):
        if record or width == 1:
            yield line, record or [""]


def _bounded(records: Records, longest: int) -> Records:
    for line, record in records:
        if sum(map(len, record)) > longest:
            raise GiantLine(f"Row {line} holds more than {longest // 1024} KiB of text.")
        yield line, record
