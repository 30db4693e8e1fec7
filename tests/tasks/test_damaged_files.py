"""A stored file that is damaged: it is read before that is known, and nothing comes of what was read."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from src.domain.jobs import JobState
from src.models import Import
from src.wiring import adapters, services
from tests.committing import Workshop
from tests.factories.imports import Imports, counts, job_of, table

HEADER = "id_atendimento,id_cliente,angel,polo,data_limite,data_de_atendimento\n"
ROWS = 18_000  # enough to be copied
BUDGETS = pytest.mark.parametrize("budget", [None, 10**6], ids=["copied", "staged"])
MADE = """SELECT (SELECT count(*) FROM client), (SELECT count(*) FROM angel), (SELECT count(*) FROM polo),
    (SELECT count(*) FROM atendimento), (SELECT count(*) FROM file)"""

Damage = Callable[[bytes], bytes]


@pytest.fixture
def imports(workshop: Workshop) -> Imports:
    return Imports(workshop.app)


def visits(day: str = "2024-01-01") -> bytes:
    rows = "".join(f"v{number},c{number % 9},Ana,Norte {'x' * 20},{day},\n" for number in range(ROWS))
    return (HEADER + rows).encode()


def packed(content: bytes) -> bytes:
    """In an archive that is as large as what it holds."""
    return gzip.compress(content, 0)


def one_byte_else(content: bytes) -> bytes:
    """In a way that no reader can see."""
    return content.replace(b"v17999,", b"v1799x,")


def ends_early(content: bytes) -> bytes:
    return content[: 9 * len(content) // 10]


def without_good_rows(content: bytes) -> bytes:
    return content.replace(b"2024-01-01", b"2024-13-01")


def damage(imported: Import, how: Damage) -> None:
    with services() as s:
        key = s.file_rows.get(imported.file_id).storage_key
    with adapters().storage.local_path(key) as path:
        content = path.read_bytes()
        assert how(content) != content
        path.write_bytes(how(content))


@BUDGETS
@pytest.mark.parametrize(
    ("content", "how"),
    [
        (visits(), one_byte_else),
        (visits(), ends_early),
        (visits(), without_good_rows),
        (visits("01/02/2024"), ends_early),  # of which nobody can say what they mean
        (packed(visits()), one_byte_else),  # which cannot be unpacked
        (packed(visits()), ends_early),
    ],
    ids=["seen by nobody", "cut", "without good rows", "ambiguous", "packed", "packed, cut"],
)
def test_it_is_refused_whatever_else_is_wrong_with_it(
    imports: Imports, content: bytes, how: Damage, budget: int | None
) -> None:
    imported = imports.start("atendimentos", content, max_errors=budget)
    damage(imported, how)
    done = imports.run(imported)
    job = job_of(imported)
    assert (job.state, (job.error or {})["slug"]) == (JobState.FAILED, "file-corrupt")
    assert (counts(done), done.committed_at, done.rejects_file_id) == ({}, None, None)
    assert table(MADE) == [(0, 0, 0, 0, 1)]


@pytest.mark.parametrize(
    "terms", [{"on_error": "reject_file"}, {"max_errors": 1}], ids=["whole or not at all", "one"]
)
def test_it_is_not_taken_for_one_with_too_many_errors(imports: Imports, terms: dict[str, Any]) -> None:
    imported = imports.start("atendimentos", visits(), **terms)
    damage(imported, without_good_rows)
    imports.run(imported)
    assert (job_of(imported).error or {})["slug"] == "file-corrupt"


@BUDGETS
def test_one_that_is_whole_is_loaded(imports: Imports, budget: int | None) -> None:
    done = imports.load("atendimentos", visits(), max_errors=budget)
    assert ("copy" in done.report["seconds"]) == (budget is None)
    assert counts(done) == {"rows_read": ROWS, "inserted": ROWS}
    assert table(MADE) == [(9, 1, 1, ROWS, 1)]
