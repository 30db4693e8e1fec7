"""Rows that are refused already: what other rows and the tables say against them is told as well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from src.domain.datasets import Mode
from src.repositories.targets import Target

BLOCK = 1024 * 1024


class RefusedRows:
    """The lines of one file that are not to be loaded, with the values that are looked up elsewhere."""

    def __init__(self, session: Session, target: Target, types: Mapping[str, str]) -> None:
        self.session = session
        self.target = target
        compared = target.dataset.compared
        self.types = {name: kind for name, kind in types.items() if name in compared}
        self.names = "".join(f', "{name}"' for name in self.types)

    def make_table(self) -> None:
        """`is_counted`: the reading refused it; the others were staged before."""
        columns = "".join(f', "{name}" {kind}' for name, kind in self.types.items())
        self.session.execute(
            text(
                f"CREATE TEMP TABLE refused (line bigint{columns}, is_counted boolean DEFAULT true) "
                "ON COMMIT DROP"
            )
        )

    def receive(self, path: Path) -> None:
        """Take the COPY stream of the rows that the reading refused."""
        connection: Any = self.session.connection().connection.driver_connection
        statement = f"COPY refused (line{self.names}) FROM STDIN (FORMAT BINARY)"
        with connection.cursor() as cursor, cursor.copy(statement) as copy, path.open("rb") as file:
            while block := file.read(BLOCK):
                copy.write(block)

    def take_faulty(self) -> None:
        """Take the rows with a fault off the stage; where all that could be said is said, they just go."""
        gone = "DELETE FROM staging USING fault WHERE fault.line = staging.line"
        if len(self.types) > 1:
            columns = "".join(f', staging."{name}"' for name in self.types)
            gone = f"""WITH gone AS ({gone} RETURNING staging.line{columns})
                INSERT INTO refused (line{self.names}, is_counted) SELECT *, false FROM gone"""
        self.session.execute(text(gone))

    def compare(self, mode: Mode) -> None:
        """Note what is wrong with their values beside the rows that are staged still, and the tables."""
        if not self.session.scalars(text("SELECT EXISTS (SELECT FROM refused)")).one():
            return
        self._find_unknown()
        key = self.target.dataset.key
        if key is not None and key in self.types:
            self._find_present(key, mode)
            for name, code in (self.target.dataset.unique or {}).items():
                if name in self.types:
                    self._find_taken(name, code, key, mode)

    def _find_unknown(self) -> None:
        for name in self.types:
            reference = self.target.dataset.field(name).reference
            if reference:
                self._fault(
                    name,
                    reference.code,
                    f"""WHERE NOT EXISTS (SELECT FROM {reference.table} t WHERE t.deleted_at IS NULL
                        AND t.{reference.column} = r."{name}")""",
                )

    def _find_present(self, key: str, mode: Mode) -> None:
        """A key that is loaded from an earlier line, or that was there before."""
        self._fault(
            key,
            "duplicate",
            f'JOIN staging s ON s."{key}" = r."{key}" AND s.line < r.line',
            detail="'It stands on line ' || s.line || '.'",
        )
        if mode == "insert":
            self._fault(
                key,
                "already_there",
                f"""JOIN {self.target.dataset.table} t ON t.{self.target.dataset.key_column} = r."{key}"
                    AND {self.target.is_present}""",
                detail=self.target.as_record,
            )

    def _find_taken(self, name: str, code: str, key: str, mode: Mode) -> None:
        """A value that is loaded for another key, or that another record has and keeps."""
        dataset = self.target.dataset
        self._fault(
            name,
            code,
            f'JOIN staging s ON s."{name}" = r."{name}" AND s."{key}" <> r."{key}"',
            detail="'It stands on line ' || s.line || '.'",
        )
        is_kept = "true"
        if mode == "upsert":
            is_kept = f"""NOT EXISTS (SELECT FROM staging h WHERE h."{key}" = t.{dataset.key_column}
                AND h."{name}" IS DISTINCT FROM t.{name})"""
        self._fault(
            name,
            code,
            f"""JOIN {dataset.table} t ON t.{name} = r."{name}" AND t.deleted_at IS NULL
                AND t.{dataset.key_column} <> r."{key}" AND {is_kept}""",
            detail=f"'It is that of «' || t.{dataset.key_column} || '».'",
        )

    def _fault(self, name: str, code: str, source: str, detail: str = "''") -> None:
        """One fault for each row of the query that has none in this field."""
        self.session.execute(
            text(
                f"""INSERT INTO fault
                    SELECT DISTINCT ON (r.line) r.line, '{name}', '{code}', r."{name}"::text, {detail}
                    FROM (SELECT * FROM refused f WHERE f."{name}" IS NOT NULL AND NOT EXISTS (
                        SELECT FROM fault WHERE fault.line = f.line AND fault.field = '{name}')) AS r
                    {source} ORDER BY r.line"""
            )
        )
