"""Statements asked of DuckDB, one after the other: what is found first, then the result."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from src.engine.duck import batches_of
from src.engine.queries.bits import Bits
from src.engine.queries.distinct import find_kept
from src.engine.queries.lines import are_lines, copy_lines
from src.engine.queries.noting import taking
from src.engine.queries.pieces import Piece, pieces_of
from src.engine.queries.sources import Source
from src.engine.queries.statements import Asked, PartStatement, Statements
from src.engine.queries.watching import Watch, rows_seen
from src.engine.queries.writing import ROWS_PER_BATCH, header_of, write
from src.engine.values import MIB

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Answer:
    """How many rows were found, and which sources were not read as they were proven to be."""

    rows: int
    misread: set[str]


AnswerOne = Callable[[Asked], Answer]


def answers(
    sessions: "Sequence[DuckDBPyConnection]",
    every: Sequence[Asked],
    sources: Mapping[str, Source],
    folder: Path,
    watch: Watch,
) -> list[Answer]:
    """One after the other up to those that find nothing; then the first of the rest beside the others.

    The last sessions are for the others: those that read for themselves, and those that need its notes.
    """
    *mine, beside, later = sessions
    watch(mine[0].query_progress)
    tables: dict[DuckDBPyConnection, dict[str, str]] = {session: {} for session in sessions}

    def answer(asked: Asked, *sessions: "DuckDBPyConnection") -> Answer:
        known = {name: sources[name] for name in asked.sources}
        asking = Asking(sessions, known, folder, watch, tables[sessions[0]])
        for part in asked.statements.parts:
            asking.find(part)
        with taking(asked.statements.notes, later):
            written = asking.write(asked.statements, Path(asked.target))
        tables[later] |= {note.name: note.select for note in asked.statements.notes}
        return Answer(written, asking.misread)

    found: list[Answer] = []
    first = list(takewhile(lambda asked: asked.must_be_empty, every))
    for asked in first:
        found.append(answer(asked, *mine))
        if found[-1].rows:
            return found
    rest = every[len(first) :]
    return found + _side_by_side(
        rest, lambda one: answer(one, *mine), lambda one: answer(one, beside), lambda one: answer(one, later)
    )


def _side_by_side(
    every: Sequence[Asked], now: AnswerOne, beside: AnswerOne, later: AnswerOne
) -> list[Answer]:
    """The first is answered now, the others beside it; but those later that need what it notes."""
    noted = {note.name for asked in every[:1] for note in asked.statements.notes}
    with ThreadPoolExecutor(1) as pool:
        begun = [
            None if noted & asked.statements.needed else pool.submit(beside, asked) for asked in every[1:]
        ]
        found = [now(asked) for asked in every[:1]]
        return found + [
            answer.result() if answer else later(asked)
            for asked, answer in zip(every[1:], begun, strict=True)
        ]


@dataclass(frozen=True)
class Asking:
    """Sessions that know the sources, and the sets of row numbers that were found so far.

    The first one is asked; where there are more, the others help when a result is written.
    `tables` are what the first one has found for another question, by name.
    `misread` are the sources that were not read as they were proven to be.
    """

    sessions: "Sequence[DuckDBPyConnection]"
    sources: Mapping[str, Source]
    folder: Path
    watch: Watch
    tables: dict[str, str]
    sets: dict[str, Bits] = field(default_factory=dict)
    misread: set[str] = field(default_factory=set)

    @property
    def connection(self) -> "DuckDBPyConnection":
        return self.sessions[0]

    def find(self, part: PartStatement) -> None:
        """Row numbers of a file become a string of bits, as long as the file; all else becomes a table."""
        if part.refusal is not None:
            part.refuse(self.connection.execute(f"select row, cell from ({part.select}) limit 1").fetchall())
        elif part.set_of is not None:
            self.sets[part.name] = self._numbers(part, self.sources[part.set_of].rows)
            self._share(part.name)
        elif self.tables.get(part.name) != part.select:  # else another question had it found
            self.connection.execute(f"create or replace temp table {part.name} as {part.select}")
            self.tables[part.name] = part.select
            if not part.may_stop:
                self._look(self.connection, self.sources)

    def _numbers(self, part: PartStatement, rows: int) -> Bits:
        if part.keep is not None:
            return find_kept(part, part.keep, rows, self.folder, self._batches)
        found = Bits(rows)
        for batch in self._batches(f"select row from ({part.select})"):
            found.add(batch["row"].to_numpy())
        return found

    def _share(self, name: str) -> None:
        """Make a set known to all sessions."""
        for session in self.sessions:
            session.execute(f"set variable {name} = (select $1::blob::bit)", [self.sets[name].to_bytes()])

    def _batches(self, select: str) -> "Iterator[pa.RecordBatch]":
        yield from batches_of(self.connection, select, ROWS_PER_BATCH)
        self._look(self.connection, self.sources)

    def write(self, statements: Statements, target: Path) -> int:
        """The result; in pieces, side by side, if the file that it comes from can be divided."""
        if (name := statements.divided) and len(self.sessions) > 1:
            others = [source for other, source in self.sources.items() if other != name]
            if pieces := pieces_of(self.sources[name], others):
                return self._write_pieces(statements, name, pieces, target)
        written = write(self.connection, statements, target)
        self._look(self.connection, self.sources)
        return written

    def _write_pieces(self, statements: Statements, name: str, pieces: Sequence[Piece], target: Path) -> int:
        """Each by a thread of its own into a file of its own, which are then put together."""
        size = sum(piece.end - piece.first for piece in pieces)
        self.watch(lambda: 100 * sum(piece.moved for piece in pieces) / size)
        targets = [target, *(self.folder / f"piece{place}" for place in range(1, len(pieces)))]
        one = self._copy_lines if are_lines(statements, self.sources[name]) else self._write_piece
        with ThreadPoolExecutor(len(pieces)) as pool:
            written = sum(pool.map(partial(one, statements, name), pieces, targets, count()))
        with target.open("ab") as out:
            for part in targets[1:]:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, out, MIB)
                part.unlink()
        return written

    def _write_piece(self, statements: Statements, name: str, piece: Piece, target: Path, place: int) -> int:
        """By a session of its own, which comes by the piece through a pipe."""
        session, pipe = self.sessions[place], self.folder / f"piece{place}.pipe"
        source = piece.fed_to(pipe)
        session.execute(f"create or replace temp view {name} as {source.view()}")
        written = write(session, statements, target, piece=place)
        self._look(session, {**self.sources, name: source})
        session.execute(f"drop view temp.{name}")
        pipe.unlink()
        return written

    def _copy_lines(self, statements: Statements, name: str, piece: Piece, target: Path, place: int) -> int:
        """Without a session: rows that come out as they stand in the file."""
        sets = [self.sets[one] for one in statements.chosen.sets] if statements.chosen else []
        return copy_lines(piece, sets, target, "" if place else header_of(statements.headers))

    def _look(self, connection: "DuckDBPyConnection", sources: Mapping[str, Source]) -> None:
        """Note the sources that were not read to the end as they were proven to be, by the last statement."""
        proven = {str(one.files[0]): (name, one.rows) for name, one in sources.items() if one.text}
        for file, rows in rows_seen(connection):
            name, expected = proven.get(file, ("", rows))
            if rows != expected:
                self.misread.add(name)
