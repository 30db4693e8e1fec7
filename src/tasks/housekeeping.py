"""The daily job that keeps the house clean, slice by slice, each a transaction of its own."""

from src.tasks.running import JobRun, Outcome


def keep_house(run: JobRun) -> Outcome:
    with run.services() as s:
        deleted = s.housekeeping.delete_old_rows()
    files = 0
    while True:
        run.check()
        with run.services() as s:
            found = s.housekeeping.delete_expired_files()
        if not found:
            break
        files += found
        run.progress(files, None, "files")
    with run.services() as s:
        orphans = s.housekeeping.sweep_storage() + s.housekeeping.sweep_scratch()
        orphans += s.housekeeping.sweep_delivery_folders()
    with run.services() as s:
        names = s.housekeeping.remove_unused_names()
    return Outcome({"rows": deleted, "expired_files": files, "orphans": orphans, "unused_names": names})
