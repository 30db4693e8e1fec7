"""Profiles: what stands in each column of a file, over the whole file, computed once and kept."""

from sqlalchemy.orm import Session

from src.models import File, Job
from src.repositories.jobs import JobRepository
from src.services.jobs import JobService

KIND = "profile"


class ProfileService:
    def __init__(self, session: Session, jobs: JobService) -> None:
        self.unfinished = JobRepository(session)
        self.jobs = jobs

    def start(self, file: File) -> Job:
        """The job that profiles this file: a new one, or the one that is about to."""
        args = {"file_id": str(file.id)}
        found = self.unfinished.find_unfinished(KIND, args)
        return found or self.jobs.enqueue(KIND, args, owner_id=file.owner_id)
