"""The file of an import while it is loaded: where it is, and what else is written beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.engine.values import OnProgress, ReadLimits, ShouldStop


def proven() -> None:
    """For files that were checked before, or that we have made."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file on this machine, how much of it may come out, room for what is made of it, and who watches.

    Its bytes may be checked while it is read already. Call `prove` before anything is done with what was
    read: it waits for that check, and raises if they are wrong.
    """

    path: Path
    limits: ReadLimits
    folder: Path
    on_progress: OnProgress
    should_stop: ShouldStop
    prove: Callable[[], None] = proven

    @property
    def faults(self) -> Path:
        """What the reading of the file found."""
        return self.folder / "faults.parquet"

    @property
    def refused(self) -> Path:
        """Of the rows that the reading refused, what else may be wrong with them."""
        return self.folder / "refused.copy"

    @property
    def compared(self) -> Path:
        """What the database finds against rows, beside other rows and the tables."""
        return self.folder / "compared.csv"

    @property
    def found(self) -> Path:
        """What the writing of the rows found."""
        return self.folder / "found.parquet"
