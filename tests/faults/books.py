"""What a fault run was promised, and the look at the end: is every promise kept, is nothing left behind?"""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from src.domain.jobs import JobState
from src.models import Account, Atendimento, File, Import, Job, Operation, Report
from src.services import housekeeping
from src.services.housekeeping import check_storage
from src.services.scheduled_reports import PRODUCTS
from src.services.stores import MARK
from src.wiring import services
from tests.factories.accounts import PASSWORD
from tests.faults.tables import has_tables
from tests.live import Answer, Caller, Live, Program, eventually

MORE_FILES = 12
MORE_MEMORY = 64 * 1024 * 1024
PARALLEL = 12


@dataclass
class Books:
    """Notes what the service acknowledged, and compares it with what there is."""

    live: Live
    uploads: dict[str, str] = field(default_factory=dict)
    imports: dict[UUID, tuple[int, int]] = field(default_factory=dict)  # rows sent, and how many are good
    baseline: dict[str, tuple[int, int]] = field(default_factory=dict)

    def upload(self, caller: Caller, content: bytes, **options: Any) -> Answer:
        """Upload; what is acknowledged is noted with its hash."""
        answer = caller.upload(content, **options)
        if answer.status == 201:
            self.uploads[answer.json["id"]] = hashlib.sha256(content).hexdigest()
        return answer

    def note_baseline(self) -> None:
        """The most open files and memory in a process of each program, now that it has done some work."""
        for one in self.live.programs:
            files, memory = zip(*(usage(pid) for pid in one.family()), strict=True)
            self.baseline[one.name] = max(files), max(memory)

    def check(self, *, jobs_within: float = 60.0, failing: Container[UUID] = ()) -> None:
        """I1, I2, I3, I5, I6, I8, I9 of the list of invariants."""
        self.check_jobs_ended(jobs_within, failing)
        self.check_acknowledged()
        self.check_results()
        self.check_due_times()
        self.check_answers()
        self.check_nothing_left()
        self.check_baseline()

    def check_acknowledged(self) -> None:
        """I1: what was answered 2xx exists, byte for byte."""
        with services() as s:
            kept = {str(file.id): file for file in s.session.scalars(select(File))}
        storage = self.live.workshop.adapters.storage
        for file_id, sha256 in self.uploads.items():
            assert kept[file_id].sha256 == sha256
            assert storage.sha256(kept[file_id].storage_key) == sha256

    def check_jobs_ended(self, within: float, failing: Container[UUID] = ()) -> None:
        """I2: every job reaches a terminal state; and none may fail but those that are to."""
        over = [state for state in JobState if state.is_over]
        unfinished = select(func.count()).select_from(Job).where(Job.state.not_in(over))

        def is_over() -> bool:
            with services() as s:
                return s.session.scalars(unfinished).one() == 0

        eventually("every job is over", is_over, within=within)
        states = Counter(job.state for job in self.live.jobs() if job.id not in failing)
        assert set(states) <= {"done", "cancelled"}, states

    def check_results(self) -> None:
        """I3: every job that is done has its effect, once, and by its last fence."""
        database = self.live.workshop.database
        for job in self.live.jobs():
            if job.kind == "profile" and job.state == "done":
                with database.unit_of_work() as session:
                    file = session.get_one(File, job.args["file_id"])
                assert file.profile is not None
                assert job.result is not None
                assert file.profile["rows"] == job.result["rows"]
        self.check_imports()
        self.check_produced()
        if not has_tables(database):
            return
        with database.unit_of_work() as session:
            counted = session.execute(text("SELECT job_id, fence, count(*) FROM ledger GROUP BY 1, 2"))
            ledger = {(job_id, fence): count for job_id, fence, count in counted}
        copied = [job for job in self.live.jobs() if job.kind == "copy" and job.state == "done"]
        assert ledger == {(job.id, job.fence): job.args["lines"] for job in copied}

    def check_imports(self) -> None:
        """I3: each import's good rows once, and no others; rollups tell the same; no staging table is left."""
        with services() as s:
            done = {
                one.id: one
                for one in s.session.scalars(select(Import).where(Import.committed_at.is_not(None)))
            }
            rows = s.session.execute(
                select(Atendimento.import_id, func.count(), func.count(Atendimento.external_id.distinct()))
                .group_by(Atendimento.import_id)
            )  # fmt: skip
            written = {import_id: (count, keys) for import_id, count, keys in rows}
            rollup = s.session.scalars(text("SELECT sum(on_time + late + open) FROM indicator_angel")).one()
            stages = text("SELECT count(*) FROM pg_class WHERE relname IN ('staging', 'fault', 'refused')")
            assert s.session.scalars(stages).one() == 0
        for import_id, (sent, good) in self.imports.items():
            row = done[import_id]
            assert (row.rows_read, row.inserted, row.rejected) == (sent, good, sent - good)
        assert written == {import_id: (row.inserted, row.inserted) for import_id, row in done.items()}
        assert (rollup or 0) == sum(row.inserted for row in done.values())

    def check_produced(self) -> None:
        """I3: what an operation or a report makes is there once it is done, and once; and nothing else is."""
        with services() as s:
            kept = set(s.session.scalars(select(File.id).where(File.kind == "produced")))
            states = {job.id: job.state for job in s.session.scalars(select(Job))}
            rejects = set(s.session.scalars(select(Import.rejects_file_id)))
            made = [(one.job_id, {one.result_file_id}) for one in s.session.scalars(select(Operation))]
            made += [
                (one.job_id, {getattr(one, name) for name in PRODUCTS})
                for one in s.session.scalars(select(Report))
            ]
        named = {None, *rejects}
        for job_id, ids in made:
            assert job_id is not None
            assert (states[job_id] == "done") == (ids != {None})
            named |= ids
        assert kept | {None} == named

    def check_due_times(self) -> None:
        """I5: one job per due time; the only due time there is, is the day's."""
        planned = [job.created_at for job in self.live.jobs() if job.kind == housekeeping.KIND]
        for earlier, later in itertools.pairwise(planned):
            assert abs(later - earlier) > timedelta(hours=23), planned

    def check_answers(self) -> None:
        """I6: no 5xx but those that say «later», and no stack trace."""
        for answer in self.live.answers:
            assert answer.status < 500 or answer.status in (503, 504, 507), answer
            if answer.status >= 400:
                assert answer.headers["content-type"] == "application/problem+json", answer
            if answer.status == 503:
                assert int(answer.headers["retry-after"]) > 0, answer
            assert b"Traceback" not in answer.body, answer

    def check_nothing_left(self) -> None:
        """I8: after a sweep, files and rows name each other, and the quotas add up."""
        with services() as s:
            s.housekeeping.sweep_storage(age=timedelta(seconds=-5))
            s.housekeeping.sweep_scratch()
        with services() as s:
            rows = s.file_rows.after(None, 10_000)
            quotas = dict(s.session.execute(select(Account.id, Account.stored_bytes)).all())
            assert s.file_rows.bytes_by_owner() == {id_: stored for id_, stored in quotas.items() if stored}
        root = Path(self.live.workshop.settings.storage_url)
        stored = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        assert stored - {MARK} == {file.storage_key for file in rows}
        assert list(check_storage(self.live.workshop.adapters.storage, rows, deep=True)) == []
        assert list((self.live.workshop.settings.var_dir / "scratch").glob("*")) == []

    def check_baseline(self) -> None:
        """I9: connections, open files and memory are where they were."""
        alive = [one for one in self.live.programs if one.is_alive]
        pulses = sum(one.name.startswith(("worker", "scheduler")) for one in alive)
        eventually(
            "no lease is kept", lambda: self.live.sessions("indicators-heartbeat") <= pulses, within=20
        )
        assert self.live.sessions() <= sum(map(self.allowed_sessions, alive))
        eventually("no transaction is left open", lambda: self.idle_in_transaction() == 0, within=20)
        for one in alive:
            if one.name in self.baseline:
                self.check_usage(one)

    def check_usage(self, one: Program) -> None:
        """Connections that a proxy keeps for a while are open files, too."""
        files, memory = self.baseline[one.name]
        eventually(
            f"{one.name} has no more than {files} open files and a few",
            lambda: all(usage(pid)[0] <= files + MORE_FILES for pid in one.family()),
            within=90,
        )
        most = max(usage(pid)[1] for pid in one.family())
        assert most <= memory + MORE_MEMORY, f"{one.name} has {most} bytes, not {memory}"

    def allowed_sessions(self, one: Program) -> int:
        """The pool of each process, and half as many lines for the web, the pulse, what a scheduler listens with."""
        kind = one.name.partition("-")[0]
        processes = len(one.children())
        return {"web": 15 * processes, "worker": processes + 2, "scheduler": 4, "edge": 0}[kind]

    def idle_in_transaction(self) -> int:
        asked = text("""SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'""")
        with self.live.workshop.database.unit_of_work() as session:
            count: int = session.scalars(asked).one()
        return count


def warm_up(live: Live, books: Books, contents: Iterable[bytes]) -> Caller:
    """Let every process do all kinds of work once, so that what it uses then is what it uses."""
    caller = live.caller()
    email = live.workshop.accounts.caller().email
    live.workshop.together(lambda _: caller.get("/api/v1/files"), PARALLEL)
    live.workshop.together(lambda _: caller.log_in(email, PASSWORD), PARALLEL)
    for content in contents:
        upload = books.upload(caller, content)
        job = caller.post(f"/api/v1/files/{upload.json['id']}/profile")
        assert job.status == 202, job
        live.await_state(job.json["id"], "done", within=90)
    return caller


def usage(pid: int) -> tuple[int, int]:
    """Open files and resident memory of a process; nothing for one that is gone."""
    try:
        files = len(os.listdir(f"/proc/{pid}/fd"))
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except FileNotFoundError:
        return 0, 0
    return files, pages * os.sysconf("SC_PAGE_SIZE")
