"""A look at what steps would give: the first rows of a file, at once, nothing kept."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config import Settings
from src.engine.queries.running import run_query
from src.engine.queries.values import Query, TableFile
from src.engine.reading.preview import preview
from src.engine.values import Column, Detected
from src.integrations.storage import Storage
from src.models import File
from src.services.operations import INPUT, Wish, name_of, plan, reading_of
from src.services.reading import Readers
from src.services.scratch import trial_folder

ROWS = 1_000


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the steps make of the first rows. `is_whole`: the files have no more than these."""

    columns: list[str]
    rows: list[list[Any]]
    original_rows: int
    processed_rows: int
    is_whole: bool


def try_out(
    file: File, others: Mapping[str, File], wish: Wish, storage: Storage, readers: Readers, settings: Settings
) -> Trial:
    """Run the steps over the first rows of each file."""
    readings = {id_: reading_of(other)[0] for id_, other in others.items()}
    rows = plan(wish, reading_of(file)[0], readings)
    with ExitStack() as stack:
        folder = stack.enter_context(trial_folder(settings))
        heads = {INPUT: file} | {name_of(place): other for place, other in enumerate(others.values())}
        sources, are_whole = {}, []
        for name, one in heads.items():
            sources[name], is_whole = head_of(one, folder / f"{name}.csv", storage, readers)
            are_whole.append(is_whole)
        stack.enter_context(readers.turn())
        ran = run_query(
            Query(rows, sources, "jsonl"),
            folder / "result",
            work_dir=folder,
            seconds=20,
            limits=readers.limits,
        )
        found = [json.loads(line, object_pairs_hook=_values) for line in _lines(folder / "result")]
    return Trial(
        columns=rows.names,
        rows=found,
        original_rows=ran.rows_in[INPUT],
        processed_rows=ran.rows_out,
        is_whole=all(are_whole),
    )


def head_of(file: File, target: Path, storage: Storage, readers: Readers) -> tuple[TableFile, bool]:
    """The first rows as a file of their own, and whether they are all."""
    detected, _ = reading_of(file)
    with storage.local_path(file.storage_key) as path:
        head = preview(Path(path), detected, ROWS, limits=readers.limits, in_turn=readers.turn)
    _write(target, [column.name for column in detected.columns], head.rows)
    return TableFile(target, _plain(detected.columns)), not head.truncated


def _write(target: Path, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)


def _plain(columns: tuple[Column, ...]) -> Detected:
    return Detected(
        format="csv",
        packing="none",
        media_type="text/csv",
        columns=columns,
        encoding="utf-8",
        delimiter=",",
        quote='"',
    )


def _lines(path: Path) -> Iterable[str]:
    with path.open(encoding="utf-8") as lines:
        yield from lines


def _values(pairs: list[tuple[str, Any]]) -> list[Any]:
    return [value for _, value in pairs]
