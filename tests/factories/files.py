"""Stored files for tests: real bytes in the real store, with their row and their place in the quota."""

from itertools import count
from typing import Any

from flask import Flask
from sqlalchemy import update

from src.domain.files import storage_key
from src.domain.ids import uuid7
from src.domain.roles import Actor, Role
from src.models import File
from src.services.accounts import actor_of
from src.services.files import inspect
from src.wiring import adapters, services
from tests.factories.accounts import Accounts

TABLE = b"name,amount\nAna,10\nRui,20\n"
_numbers = count(1)


class Files:
    def __init__(self, app: Flask) -> None:
        self.app = app

    def owner(self, role: str = Role.OPERATOR) -> Actor:
        return actor_of(Accounts(self.app).grant(role).account)

    def add(self, owner: Actor | None = None, *, content: bytes = TABLE, **columns: Any) -> File:
        """A stored file, as an upload leaves it; columns that are given overwrite what it has."""
        owner = owner or self.owner()
        name = f"table-{next(_numbers)}.csv"
        with adapters().storage.create(storage_key(uuid7())) as upload:
            upload.write(content)
            detected = inspect(adapters().storage, adapters().readers, upload, name)
        with services() as s:
            file = s.files.keep(upload, detected, name=name, actor=owner)
            if columns:
                s.session.execute(update(File).where(File.id == file.id).values(**columns))
                s.session.refresh(file)
        return file
