"""Statements answered by children of ours, about files that are read as they are, or converted first."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.engine.queries.statements import Statements
from src.engine.queries.values import Ran, TableFile
from src.engine.values import ReadLimits

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Answering:
    """Converts into `folder`, and calls what belongs into a child."""

    folder: Path
    limits: ReadLimits
    call: Call

    def answer(self, statements: Statements, files: Mapping[str, TableFile], target: Path) -> Ran:
        """Write what the statements select to `target`.

        A regular file is read as it is. Any other one is converted first, to its last row or to the reason
        why that fails; and so is one that the fast reader, against the proof, did not read as it should.
        """
        sources = {name: self._direct(file) or self._converted(name, file) for name, file in files.items()}
        answer = self.query(statements, sources, target)
        if answer["misread"]:
            sources |= {name: self._converted(name, files[name]) for name in answer["misread"]}
            answer = self.query(statements, sources, target)
        rows_in = {name: source["rows"] for name, source in sources.items()}
        return Ran(rows_in, answer["rows_out"], {"name": "duckdb", "version": version("duckdb")})

    def query(self, statements: Statements, sources: Mapping[str, Any], target: Path) -> dict[str, Any]:
        """The child's answer about sources that it can read."""
        arguments = {"statements": statements.to_json(), "target": str(target.resolve()), "sources": sources}
        return self.call("query", arguments)

    def _direct(self, file: TableFile) -> dict[str, Any] | None:
        """A file that was proven to be regular, as it is."""
        if file.regular is None:
            return None
        text = {
            "path": str(file.path.resolve()),
            "width": file.regular.width,
            "delimiter": file.regular.delimiter,
            "quote": file.regular.quote,
            "has_header": file.detected.has_header,
            "has_breaks": file.regular.has_breaks,
            "longest": self.limits.record_bytes,
        }
        rows = file.regular.records - file.detected.has_header
        return {"rows": rows, "relation": None, "text": text, "found": None}

    def _converted(self, name: str, file: TableFile) -> dict[str, Any]:
        """A file as columns on disk."""
        folder = self.folder / name
        folder.mkdir()
        arguments = {
            "path": str(file.path.resolve()),
            "detected": asdict(file.detected),
            "limits": asdict(self.limits),
            "target": str(folder.resolve()),
        }
        relation = self.call("convert", arguments)["relation"]
        return {"rows": relation["rows"], "relation": relation, "text": None, "found": None}
