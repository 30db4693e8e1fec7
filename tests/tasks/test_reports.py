"""Making reports: by the short rules and the full ones, with all that a manifest tells."""

from collections.abc import Callable
from typing import Any

import pytest

from src.domain.jobs import JobState
from src.domain.roles import Actor
from src.models import File, Report
from src.services.reports import InputGone, Order
from src.tasks.handlers import HANDLERS
from src.tasks.running import run_job
from src.wiring import adapters, services
from tests.committing import Workshop

INPUT = """field1,field2,field3,field5,refkey1,refkey2
a,1,2.50,3,k1,k2
"b, c",2,,10,k2,none
d,3,1.25,-7,none,none
"""
REFERENCE = """refkey1,refdata1,refkey2,refdata2,refdata3,refdata4
k1,one,x1,A,B,5.5
k2,two,k2,C,D,0.25
"""
SHORT = [
    {"output": "outfield1", "formula": "field1 + refdata2"},
    {"output": "outfield2", "formula": "refdata1"},
    {"output": "outfield3", "formula": "refdata2 + refdata3"},
    {"output": "outfield4", "formula": "field3 * max(field5, refdata4)"},
    {"output": "outfield5", "formula": "max(field5, refdata4)"},
]


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def content(file_id: Any) -> str:
    with services() as s:
        file = s.file_rows.get(file_id)
    with adapters().storage.open(file.storage_key) as stream:
        return stream.read().decode()


Make = Callable[..., Report]


@pytest.fixture
def make(workshop: Workshop, owner: Actor) -> Make:
    def made(
        document: Any = SHORT,
        source: str = INPUT,
        reference: str | None = REFERENCE,
        *,
        slug: str = "",
        **order: Any,
    ) -> Report:
        files = [
            workshop.files.add(owner, content=one.encode()) for one in (source, reference) if one is not None
        ]
        return finished(
            Order(input=files[0], reference=files[1] if len(files) > 1 else None, document=document, **order),
            owner,
            slug,
        )

    return made


def finished(order: Order, owner: Actor, slug: str = "") -> Report:
    with services() as s:
        report = s.reports.start(order, owner_id=owner.account_id)
    assert report.job_id is not None
    state = run_job(report.job_id, HANDLERS)
    with services() as s:
        found = s.report_rows.get_own(report.id, None)
    error = found.job.error if found.job else None
    assert (state, (error or {}).get("slug", "")) == (JobState.FAILED if slug else JobState.DONE, slug), error
    return found


def test_the_manifest_tells_how_the_report_came_about_and_a_rerun_gives_the_same_bytes(
    make: Make, owner: Actor
) -> None:
    first = make()
    found = first.manifest
    assert (found["rows_in"], found["rows_out"], found["uncomputable"]) == (3, 3, 0)
    assert content(first.unmatched_file_id).splitlines() == [
        "lookup,key,rows",
        "refkey1,none,1",
        "refkey2,none,2",
    ]
    assert content(first.file_id).splitlines()[1] == "aC,two,CD,7.5,3"
    assert (
        len(found["input"]["sha256"])
        == len(found["reference"]["sha256"])
        == len(found["output"]["sha256"])
        == 64
    )
    assert found["engine"]["name"] == "duckdb"
    with services() as s:
        again = s.reports.rerun(s.report_rows.get_own(first.id, None))
    assert again.job_id is not None
    assert run_job(again.job_id, HANDLERS) is JobState.DONE
    with services() as s:
        second = s.report_rows.get_own(again.id, None)
    assert second.rerun_of == first.id
    assert second.manifest["output"] == found["output"]


def test_another_format_is_kept_beside_the_table(make: Make) -> None:
    report = make([{"output": "n", "formula": "field5"}], reference=None, format="jsonl")
    assert content(report.file_id) == '{"n":3}\n{"n":10}\n{"n":-7}\n'
    assert content(report.table_file_id) == "n\n3\n10\n-7\n"


def test_rules_that_do_not_fit_the_files_fail_the_job_with_the_nearest_name(make: Make) -> None:
    report = make([{"output": "o", "formula": "fild1"}], reference=None, slug="bad-rules")
    assert report.job is not None
    assert "«field1»" in report.job.error["detail"]


def test_a_deleted_input_is_told(workshop: Workshop, owner: Actor) -> None:
    file: File = workshop.files.add(owner, content=INPUT.encode())
    with services() as s:
        order = Order(input=file, document=[{"output": "o", "formula": "field1"}])
        report = s.reports.start(order, owner_id=owner.account_id)
        s.files.delete(s.file_rows.get(file.id), owner)
    assert report.job_id is not None
    assert run_job(report.job_id, HANDLERS) is JobState.FAILED


def test_a_report_is_not_made_without_the_reference_that_it_was_asked_for_with(
    workshop: Workshop, owner: Actor, make: Make
) -> None:
    first = make()
    with services() as s:
        waiting = s.reports.rerun(s.report_rows.get_own(first.id, None))
        s.files.delete(s.file_rows.get(first.reference_file_id), owner)
    assert waiting.job_id is not None
    assert run_job(waiting.job_id, HANDLERS) is JobState.FAILED
    with services() as s, pytest.raises(InputGone, match="reference"):
        s.reports.rerun(s.report_rows.get_own(first.id, None))


def test_a_rerun_may_have_another_format(make: Make) -> None:
    first = make([{"output": "n", "formula": "field5"}], reference=None)
    with services() as s:
        again = s.reports.rerun(s.report_rows.get_own(first.id, None), "jsonl")
    assert again.job_id is not None
    assert run_job(again.job_id, HANDLERS) is JobState.DONE
    with services() as s:
        assert content(s.report_rows.get_own(again.id, None).file_id) == '{"n":3}\n{"n":10}\n{"n":-7}\n'
