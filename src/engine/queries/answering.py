"""Questions answered by a child of ours, about files that are read as they are, or converted first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from src.engine.queries.statements import Asked
from src.engine.queries.values import EngineName, Question, Ran, TableFile
from src.engine.values import MIB, ReadLimits

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
MOST_CONVERTED_ON_THE_WAY = 8 * MIB  # a longer file has a child of its own, with all the memory


@dataclass(frozen=True)
class Answering:
    """Converts into `folder`, and calls what belongs into a child."""

    folder: Path
    limits: ReadLimits
    call: Call

    def answer(self, questions: Sequence[Question]) -> list[Ran]:
        """Write what each finds to its target, up to one that should have found nothing and did."""
        files = {name: file for one in questions for name, file in one.query.sources.items()}
        answer = self.about([_asked(one) for one in questions], files)
        engine: EngineName = {"name": "duckdb", "version": version("duckdb")}
        return [
            Ran({name: answer["rows_in"][name] for name in one.query.sources}, rows, engine)
            for one, rows in zip(questions, answer["rows_out"], strict=False)
        ]

    def about(self, asked: Sequence[Asked], files: Mapping[str, TableFile]) -> dict[str, Any]:
        """The child's answer about files.

        A regular file is read as it is. Any other one is converted first, to its last row or to the reason
        why that fails; and so is one that the fast reader, against the proof, did not read as it should.
        """
        sources = {name: self._direct(file) or self._converted(name, file) for name, file in files.items()}
        answer = self.ask(asked, sources)
        if answer["misread"]:
            sources |= {name: self._converted(name, files[name]) for name in answer["misread"]}
            answer = self.ask(asked, sources)
        return answer

    def ask(self, asked: Sequence[Asked], sources: Mapping[str, Any]) -> dict[str, Any]:
        """The child's answer about sources that it can read."""
        return self.call("query", {"asked": [asdict(one) for one in asked], "sources": sources})

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
        return {"rows": rows, "text": text, "signed": file.regular.signed}

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
        if file.path.is_file() and file.path.stat().st_size <= MOST_CONVERTED_ON_THE_WAY:
            return {"file": arguments}
        return {"relation": self.call("convert", arguments)["relation"]}


def _asked(question: Question) -> Asked:
    from src.engine.queries.duckdb import statements

    query = question.query
    rows, proof = query.rows, query.sources[query.rows.source].regular
    return Asked(
        statements=statements(rows.proven_by(proof) if proof else rows, query.format),
        sources=list(query.sources),
        target=str(question.target.resolve()),
        must_be_empty=question.must_be_empty,
    )
