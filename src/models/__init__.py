"""Imports every model, so that the metadata is complete."""

from src.models.accounts import Account, ApiKey, LoginThrottle, TokenFamily
from src.models.audit import AuditEntry
from src.models.base import Base
from src.models.files import File
from src.models.idempotency import IdempotencyKey
from src.models.jobs import Job
from src.models.processes import Process

__all__ = [
    "Account",
    "ApiKey",
    "AuditEntry",
    "Base",
    "File",
    "IdempotencyKey",
    "Job",
    "LoginThrottle",
    "Process",
    "TokenFamily",
]
