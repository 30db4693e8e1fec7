"""The rows of one import on their way: in a temporary table, checked against each other and the tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.orm import Session

from src.database import driver_connection
from src.domain.datasets import Field, Mode, Reference
from src.domain.rejects import DUPLICATES
from src.repositories.refused import RefusedRows
from src.repositories.targets import Target

SETTINGS = (
    "SET LOCAL statement_timeout = 0",  # the lease bounds the job, not a clock in the database
    "SET LOCAL lock_timeout = 0",  # and an import that waits is not begun again from its first byte
    "SET LOCAL idle_in_transaction_session_timeout = '1h'",  # as long as a child may read or write
    "SET LOCAL work_mem = '192MB'",
)
NAMES_AT_A_TIME = 20_000
# A row that is refused gives nothing up, so whoever waits for its value is refused as well, and so on.
REFUSE_WISHES = """
    WITH RECURSIVE denied AS (
        SELECT line FROM wish WHERE giver IS NULL
        UNION
        SELECT wish.line FROM denied JOIN wish ON wish.giver = denied.line)
    INSERT INTO fault SELECT line, :field, :code, value, 'It is that of «' || holder || '».'
    FROM wish JOIN denied USING (line)
"""
# The rows that the reading refused are counted there.
FAULTY_ROWS = text("""
    SELECT count(*) FILTER (WHERE is_duplicate), count(*) FILTER (WHERE NOT is_duplicate)
    FROM (SELECT line, bool_and(code = ANY (:codes)) AS is_duplicate FROM fault
          WHERE NOT EXISTS (SELECT FROM refused r WHERE r.line = fault.line AND is_counted)
          GROUP BY line) AS faulty
""")
# All is quoted, so that what is not there is not the empty text.
FAULTS = """COPY (
    SELECT line, coalesce(%(headers)s ->> field, ''), code, value, detail FROM fault ORDER BY line
) TO STDOUT (FORMAT csv, FORCE_QUOTE *)"""


def be_patient(session: Session) -> None:
    """Give the transaction the time and the memory of an import."""
    for setting in SETTINGS:
        session.execute(text(setting))


class Staging:
    """One file's good rows; what is found against them goes to `fault`, and they go from here."""

    def __init__(
        self, session: Session, target: Target, *, types: Mapping[str, str], headers: Mapping[str, str]
    ) -> None:
        self.session = session
        self.target = target
        self.types = types  # of each mapped field, in the order of the stream
        self.headers = headers  # of each mapped field in the file
        self.fields: Sequence[Field] = [target.dataset.field(name) for name in types]
        self.references = [(field, field.reference) for field in self.fields if field.reference]
        self.refused = RefusedRows(session, target, types)

    @property
    def key(self) -> str | None:
        """The field that names a row, if the file has it."""
        return self.target.dataset.key if self.target.dataset.key in self.types else None

    @contextmanager
    def receive(self) -> Iterator[Callable[[bytes], None]]:
        """Make the tables, and take blocks of a COPY stream."""
        be_patient(self.session)
        self.make_tables()
        connection = driver_connection(self.session)
        with connection.cursor() as cursor, cursor.copy("COPY staging FROM STDIN (FORMAT BINARY)") as copy:
            yield copy.write
        self.session.execute(text("ANALYZE staging"))

    def make_tables(self) -> None:
        """For rows, for their faults, and for the rows that are refused before they come here."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in self.types.items())
        self.session.execute(text(f"CREATE TEMP TABLE staging (line bigint, {columns}) ON COMMIT DROP"))
        self.session.execute(
            text(
                "CREATE TEMP TABLE fault (line bigint, field text, code text, value text, detail text) "
                "ON COMMIT DROP"
            )
        )
        self.refused.make_table()

    def count(self) -> int:
        return int(self.session.scalars(text("SELECT count(*) FROM staging")).one())

    def check(self, mode: Mode) -> None:
        """Look for all that is wrong beside other rows and the tables."""
        self.reject_unknown()
        self.reject_repeated()
        if mode == "insert":
            self.reject_present()
        self.reject_taken(mode)
        self.refused.compare(mode)

    def reject_unknown(self) -> None:
        """Rows that name something that is not there and that an import must not make."""
        for field, reference in self.references:
            if not reference.is_made:
                self._fault(
                    field.name,
                    reference.code,
                    f"""FROM staging s LEFT JOIN {reference.table} r ON r.deleted_at IS NULL
                        AND r.{reference.column} = s."{field.name}" WHERE r.id IS NULL""",
                )
        self._drop_faulty()

    def reject_repeated(self) -> None:
        """Of several rows with one key, the first one counts."""
        if self.key:
            self._reject_second(self.key, "duplicate")
            self._drop_faulty()

    def reject_present(self, low: int | None = None, high: int | None = None) -> int:
        """Rows whose key is in the table already, or only those of some lines; how many."""
        if self.key is None:
            return 0
        table, column = self.target.dataset.table, self.target.dataset.key_column
        source = f'FROM staging s JOIN {table} t ON t.{column} = s."{self.key}" AND {self.target.is_present}'
        only = "" if low is None else f" WHERE s.line BETWEEN {low} AND {high}"
        found = self._fault(self.key, "already_there", source + only, detail=self.target.as_record)
        self._drop_faulty()
        return found

    def reject_taken(self, mode: Mode) -> None:
        """Rows with a value that another row has and keeps, as refused rows keep theirs."""
        for name, code in (self.target.dataset.unique or {}).items():
            if name not in self.types:
                continue
            self._reject_second(name, code)
            self._drop_faulty()
            if self._note_wishes(name, mode):
                self.session.execute(text("CREATE INDEX ON wish (giver)"))
                self.session.execute(text(REFUSE_WISHES), {"field": name, "code": code})
                self._drop_faulty()
            self.session.execute(text("DROP TABLE wish"))

    def reject_overtaken(self, line: int) -> bool:
        """The row of this line, if another record has a value of it by now that no two may share."""
        dataset, found = self.target.dataset, 0
        for name, code in (dataset.unique or {}).items():
            if name in self.types:
                found += self._fault(
                    name,
                    code,
                    f"""FROM staging s JOIN {dataset.table} t ON t.{name} = s."{name}"
                        AND t.deleted_at IS NULL AND t.{dataset.key_column} <> s."{dataset.key}"
                        WHERE s.line = {line}""",
                    detail=f"'It is that of «' || t.{dataset.key_column} || '».'",
                )
        self._drop_faulty()
        return found > 0

    def gather_names(self) -> None:
        """Note every name that rows point to once, for all that is asked about them."""
        for field, _ in self.references:
            self._run(
                f"""CREATE TEMP TABLE named_{field.name} ON COMMIT DROP AS
                    SELECT DISTINCT "{field.name}" AS name FROM staging"""
            )
            self._run(f"ANALYZE named_{field.name}")

    def missing_names(self) -> Iterator[tuple[Reference, Sequence[str]]]:
        """What rows name that is not there yet, some at a time, however many there are.

        Sorted, so that two imports make it in the same order.
        """
        for field, reference in self.references:
            statement = text(
                f"""SELECT n.name FROM named_{field.name} n LEFT JOIN {reference.table} r
                    ON r.{reference.column} = n.name WHERE r.id IS NULL ORDER BY 1"""
            )
            found = self.session.scalars(statement.execution_options(yield_per=NAMES_AT_A_TIME))
            for names in found.partitions():
                yield reference, names

    def lock_references(self) -> bool:
        """Hold what the rows point to, as foreign keys would, in one go; False if one is gone."""
        for field, reference in self.references:
            wanted = self.session.scalars(text(f"SELECT count(*) FROM named_{field.name}")).one()
            held = self.session.scalars(
                text(
                    f"""SELECT count(*) FROM (SELECT FROM {reference.table} r WHERE r.{reference.column} IN
                        (SELECT name FROM named_{field.name}) ORDER BY r.id FOR KEY SHARE) AS held"""
                )
            ).one()
            if held != wanted:
                return False
        return True

    def faults(self) -> list[tuple[str, str, int]]:
        """How many rows have a fault that was found here, by header and code; some have several."""
        rows = self.session.execute(text("SELECT field, code, count(*) AS lines FROM fault GROUP BY 1, 2"))
        return [(self.headers.get(field, ""), code, int(lines)) for field, code, lines in rows]

    def faulty_rows(self) -> tuple[int, int]:
        """How many rows are refused because of what was found here: as duplicates, and for other reasons."""
        duplicate, other = self.session.execute(FAULTY_ROWS, {"codes": sorted(DUPLICATES)}).one()
        return int(duplicate), int(other)

    def note_fault(self, line: int, code: str, detail: str) -> None:
        statement = text("INSERT INTO fault VALUES (:line, NULL, :code, '', :detail)")
        self.session.execute(statement, {"line": line, "code": code, "detail": detail})
        self._drop_faulty()

    def write_faults(self, path: Path) -> None:
        """Every fault found here, as CSV: line, header, code, value, detail; sorted by line."""
        headers = {"headers": Jsonb(dict(self.headers))}
        with (
            driver_connection(self.session).cursor() as cursor,
            cursor.copy(FAULTS, headers) as copy,
            path.open("wb") as file,
        ):
            for block in copy:
                file.write(block)

    def _note_wishes(self, name: str, mode: Mode) -> int:
        """Each staged row with a value of another row, and the line in which that one gives it up, if any."""
        dataset = self.target.dataset
        gives_up = (
            f'h."{dataset.key}" = t.{dataset.key_column} AND h."{name}" IS DISTINCT FROM t.{name}'
            if mode == "upsert"
            else "false"
        )
        return self._run(
            f"""CREATE TEMP TABLE wish ON COMMIT DROP AS
                SELECT s.line, s."{name}"::text AS value, h.line AS giver, t.{dataset.key_column} AS holder
                FROM staging s JOIN {dataset.table} t ON t.{name} = s."{name}" AND t.deleted_at IS NULL
                    AND t.{dataset.key_column} <> s."{dataset.key}"
                LEFT JOIN staging h ON {gives_up}"""
        )

    def _reject_second(self, name: str, code: str) -> None:
        self._fault(
            name,
            code,
            f"""FROM (SELECT line, "{name}", min(line) OVER (PARTITION BY "{name}") AS first FROM staging
                WHERE "{name}" IN (SELECT "{name}" FROM staging GROUP BY 1 HAVING count(*) > 1)) AS s
                WHERE s.line <> s.first""",
            detail="'It stands on line ' || s.first || '.'",
        )

    def _fault(self, name: str, code: str, source: str, detail: str = "''") -> int:
        """Note a fault for each row of the query; answers how many."""
        return self._run(
            f"""INSERT INTO fault SELECT s.line, '{name}', '{code}', s."{name}"::text, {detail} {source}"""
        )

    def _run(self, statement: str) -> int:
        return int(self.session.execute(text(statement)).rowcount)  # type: ignore[attr-defined]  # a result

    def _drop_faulty(self) -> None:
        if not self.session.scalars(text("SELECT EXISTS (SELECT FROM fault)")).one():
            return  # as with most files: then there is no need to read it all
        self.refused.take_faulty()
