"""What is past its time goes, what nobody names goes, and the check of the store finds what is wrong."""

import os
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.domain.roles import Actor
from src.integrations.storage_faults import MissingContent
from src.integrations.storage_upload import Upload
from src.models import File
from src.services.housekeeping import ORPHAN_AGE, Fault, check_storage
from src.services.scratch import scratch_folder, trial_folder
from src.wiring import EXTENSION, adapters, services
from tests.committing import Workshop
from tests.factories.files import TABLE

DAY = 24 * 3600


@pytest.fixture
def own_store(workshop: Workshop) -> Path:
    """The folder of this test's store and scratch."""
    return workshop.settings.var_dir


@pytest.fixture
def owner(workshop: Workshop) -> Actor:
    return workshop.files.owner()


def delete_old_rows() -> dict[str, int]:
    with services() as s:
        return s.housekeeping.delete_old_rows()


def delete_expired_files() -> int:
    with services() as s:
        return s.housekeeping.delete_expired_files()


def sweep_storage(age: timedelta = ORPHAN_AGE) -> int:
    with services() as s:
        return s.housekeeping.sweep_storage(age=age)


def faults(*, deep: bool = False) -> list[Fault]:
    with services() as s:
        files = s.file_rows.after(None, 100)
    return list(check_storage(adapters().storage, files, deep=deep))


def path_of(file: File, own_store: Path) -> Path:
    return own_store / "files" / file.storage_key


class TestRetention:
    def test_jobs_are_kept_for_ninety_days_after_their_end(self, workshop: Workshop) -> None:
        old, recent = workshop.jobs.add_over(ago=91 * DAY), workshop.jobs.add_over(ago=89 * DAY)
        waiting, running = (
            workshop.jobs.add(due_in=-100 * DAY),
            workshop.jobs.add_running(lease_left=-100 * DAY),
        )
        assert delete_old_rows()["jobs"] == 1
        with services() as s:
            assert s.job_rows.find(old.id) is None
            assert all(s.job_rows.find(job.id) for job in (recent, waiting, running))

    def test_the_time_that_jobs_are_kept_is_a_setting(self, workshop: Workshop) -> None:
        shorter = replace(workshop.settings, job_days=1)
        workshop.app.extensions[EXTENSION] = replace(workshop.adapters, settings=shorter)
        workshop.jobs.add_over(ago=2 * DAY)
        assert delete_old_rows()["jobs"] == 1

    @pytest.mark.parametrize(
        ("what", "old", "recent"),
        [
            (
                "idempotency keys",
                "INSERT INTO idempotency_key (owner_id, key, fingerprint, expires_at) VALUES (:owner, 'a', '', {})",
                ("- interval '1 s'", "+ interval '1 h'"),
            ),
            (
                "logins",
                "INSERT INTO token_family (id, account_id, current_jti, expires_at) "
                "VALUES (gen_random_uuid(), :owner, gen_random_uuid(), {})",
                ("- interval '1 s'", "+ interval '1 h'"),
            ),
            (
                "login throttles",
                "INSERT INTO login_throttle (login_name, network, failures, updated_at) "
                "VALUES (gen_random_uuid()::text, '', 1, {})",
                ("- interval '49 h'", "- interval '47 h'"),
            ),
            (
                "processes",
                "INSERT INTO process (id, kind, host, pid, seen_at) VALUES (gen_random_uuid(), 'w', '', 1, {})",
                ("- interval '25 h'", "- interval '23 h'"),
            ),
            (
                "operations",
                "INSERT INTO operation (id, owner_id, file_name, file_sha256, steps, types, output, lineage, created_at) "
                "VALUES (gen_random_uuid(), :owner, '', '', '[]', '{{}}', 'csv', '{{}}', {})",
                ("- interval '91 days'", "- interval '89 days'"),
            ),
            (
                "reports",
                "INSERT INTO report (id, owner_id, name, has_reference, document, parameters, format, manifest, "
                "created_at) VALUES (gen_random_uuid(), :owner, '', false, '{{}}', '{{}}', 'csv', '{{}}', {})",
                ("- interval '91 days'", "- interval '89 days'"),
            ),
        ],
        ids=lambda value: value if isinstance(value, str) and " " not in value[7:] else "",
    )
    def test_what_is_past_its_time_goes_and_the_rest_stays(
        self, workshop: Workshop, owner: Actor, what: str, old: str, recent: tuple[str, str]
    ) -> None:
        before = delete_old_rows()[what]
        assert before == 0
        for moment in recent:
            insert = old.format(f"clock_timestamp() {moment}").replace("'a'", f"'{moment[0]}'")
            with workshop.database.unit_of_work() as session:
                session.execute(text(insert), {"owner": owner.account_id} if ":owner" in insert else {})
        assert delete_old_rows()[what] == 1
        assert delete_old_rows()[what] == 0

    def test_an_old_operation_stays_while_its_result_or_its_job_is_there(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        file, job = workshop.files.add(owner), workshop.jobs.add()
        with workshop.database.unit_of_work() as session:
            for columns, values in (("result_file_id", ":file"), ("job_id", ":job")):
                session.execute(
                    text(
                        f"""INSERT INTO operation (id, owner_id, file_name, file_sha256, steps, types, output,
                                lineage, created_at, {columns})
                            VALUES (gen_random_uuid(), :owner, '', '', '[]', '{{}}', 'csv', '{{}}',
                                clock_timestamp() - interval '91 days', {values})"""
                    ),
                    {"owner": owner.account_id, "file": file.id, "job": job.id},
                )
        assert delete_old_rows()["operations"] == 0

    def test_an_expired_file_goes_with_its_bytes_and_its_place_in_the_quota(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        expired = workshop.files.add(owner, expires_at=text("clock_timestamp() - interval '1 s'"))
        kept = workshop.files.add(owner)
        assert delete_expired_files() == 1
        assert delete_expired_files() == 0
        with services() as s:
            assert s.file_rows.find(expired.id) is None
            assert s.file_rows.find(kept.id) is not None
            assert s.account_rows.get(owner.account_id).stored_bytes == len(TABLE)
        with pytest.raises(MissingContent):
            adapters().storage.size(expired.storage_key)

    def test_an_expired_file_that_someone_holds_is_left_for_the_next_time(
        self, workshop: Workshop, owner: Actor
    ) -> None:
        file = workshop.files.add(owner, expires_at=text("clock_timestamp() - interval '1 s'"))
        with workshop.another_database().unit_of_work() as session:
            session.get_one(File, file.id, with_for_update=True)
            assert delete_expired_files() == 0
        assert delete_expired_files() == 1


class TestOrphans:
    def store(self, own_store: Path, *, age: timedelta, is_finished: bool = True) -> Upload:
        upload = adapters().storage.create(storage_key(uuid7()))
        upload.write(b"x" * 300_000)
        if is_finished:
            upload.finish()
        moment = time.time() - age.total_seconds()
        for path in (own_store / "files").rglob("*"):
            if path.is_file() and path.stat().st_size and path.stat().st_mtime > time.time() - 5:
                os.utime(path, (moment, moment))
        return upload

    def count(self, own_store: Path) -> int:
        return sum(path.is_file() for path in (own_store / "files").rglob("*"))

    def test_bytes_that_no_row_names_go_when_they_are_old_enough(
        self, workshop: Workshop, own_store: Path
    ) -> None:
        workshop.files.add()
        self.store(own_store, age=ORPHAN_AGE + timedelta(minutes=1))
        # a clock that is an hour off makes a new one look so
        self.store(own_store, age=timedelta(minutes=61))
        assert sweep_storage() == 1
        assert self.count(own_store) == 2
        assert sweep_storage(timedelta(0)) == 1
        assert self.count(own_store) == 1

    def test_a_database_without_any_file_sweeps_nothing_that_was_finished(self, own_store: Path) -> None:
        self.store(own_store, age=ORPHAN_AGE * 2)
        assert sweep_storage(timedelta(0)) == 0
        assert self.count(own_store) == 1

    def test_what_lies_beside_our_files_is_not_ours(self, workshop: Workshop, own_store: Path) -> None:
        workshop.files.add()
        foreign = own_store / "files" / "reports" / "annual.pdf"
        foreign.parent.mkdir()
        foreign.write_bytes(b"somebody's")
        os.utime(foreign, (0, 0))
        assert sweep_storage() == 0
        assert foreign.exists()

    def test_bytes_that_a_row_names_stay_however_old(self, workshop: Workshop, own_store: Path) -> None:
        file = workshop.files.add()
        os.utime(path_of(file, own_store), (0, 0))
        assert sweep_storage() == 0
        assert faults(deep=True) == []

    def test_uploads_that_nobody_finished_go_too(self, own_store: Path) -> None:
        upload = self.store(own_store, age=ORPHAN_AGE + timedelta(minutes=1), is_finished=False)
        assert sweep_storage() == 1
        assert self.count(own_store) == 0
        upload.discard()

    def test_what_was_not_committed_as_swept_is_still_there(self, own_store: Path) -> None:
        self.store(own_store, age=ORPHAN_AGE * 2)
        with pytest.raises(KeyError), services() as s:
            s.housekeeping.sweep_storage()
            raise KeyError
        assert self.count(own_store) == 1


class TestScratch:
    def test_a_folder_is_there_for_the_attempt_and_gone_after_it(self, workshop: Workshop) -> None:
        job = workshop.jobs.add_running()
        with scratch_folder(adapters().settings, job) as folder:
            (folder / "half.parquet").write_bytes(b"x")
        assert not folder.exists()

    def test_the_folders_of_attempts_that_run_no_longer_are_swept(
        self, workshop: Workshop, own_store: Path
    ) -> None:
        running = workshop.jobs.add_running(fence=2)
        over = workshop.jobs.add_over(fence=1)
        left = own_store / "scratch"
        names = [f"{running.id}-2", f"{running.id}-1", f"{over.id}-1", "something-else"]
        for name in names:
            (left / name).mkdir(parents=True)
            (left / name / "half").write_bytes(b"x")
        with services() as s:
            assert s.housekeeping.sweep_scratch() == 3
        assert [folder.name for folder in left.iterdir()] == names[:1]

    def test_a_look_that_somebody_waits_for_is_left_alone_and_an_old_one_goes(
        self, workshop: Workshop, own_store: Path
    ) -> None:
        old = own_store / "scratch" / "trial-old"
        with trial_folder(adapters().settings) as young:
            old.mkdir()
            os.utime(old, (0, 0))
            with services() as s:
                assert s.housekeeping.sweep_scratch() == 1
            assert young.exists()
        assert list(old.parent.iterdir()) == []

    def test_without_scratch_there_is_nothing_to_sweep(self, workshop: Workshop) -> None:
        with services() as s:
            assert s.housekeeping.sweep_scratch() == 0


class TestCheck:
    def test_a_store_that_is_whole_has_no_faults(self, workshop: Workshop) -> None:
        workshop.files.add()
        assert faults(deep=True) == []

    def test_a_missing_content_is_found(self, workshop: Workshop, own_store: Path) -> None:
        file = workshop.files.add()
        path_of(file, own_store).unlink()
        assert [fault.file_id for fault in faults()] == [str(file.id)]

    def test_a_content_that_was_cut_short_is_found(self, workshop: Workshop, own_store: Path) -> None:
        file = workshop.files.add()
        os.truncate(path_of(file, own_store), 5)
        assert faults() == [Fault(str(file.id), "the stored content has another size")]

    def test_a_content_that_was_changed_is_found_when_every_byte_is_read(
        self, workshop: Workshop, own_store: Path
    ) -> None:
        file = workshop.files.add()
        path_of(file, own_store).write_bytes(TABLE.swapcase())
        assert faults() == []
        assert faults(deep=True) == [Fault(str(file.id), "the stored content has another SHA-256")]
