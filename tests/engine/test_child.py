"""The child process: bounded, watched, gone when it should be, and honest about its end."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
import pytest

import src.engine.child  # noqa: F401 # so that every error that a child may raise is known
from src.domain.errors import DomainError, FieldError, Unavailable
from src.engine.duck import RESERVED, batches_of, connect
from src.engine.profile import profile
from src.engine.reading.detect import detect
from src.engine.sandbox import (
    EngineCrashed,
    EngineDiskFull,
    EngineOutOfMemory,
    EngineTimeout,
    Stopped,
    _family,
    _result,
    as_message,
    run_in_child,
)
from src.engine.starting import ROOT, Started, start
from src.engine.values import MIB, Detected, ReadLimits, Sandbox
from tests.engine.making import SANDBOX, Make, parts_of, workbook_bytes, zipped
from tests.engine.processes import children_of, is_alive, mine, wait_until

LIMITS = ReadLimits(sandbox=SANDBOX)
ERRORS = [kind for kind in _family(DomainError) if kind.__module__.startswith("src.engine")]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file that keeps a child busy for a few seconds."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    with path.open("w") as out:
        out.write("id,name,amount\n")
        for number in range(600_000):
            out.write(f"{number},name {number * 7919 % 1_000_003} of a client,{number % 9973}.25\n")
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def reading(large: Path) -> Detected:
    return detect(large, "large.csv", LIMITS)


class AtWork:
    """Does something to the child once it is at work, which its first sign of life tells."""

    def __init__(self, action: Callable[[int], None]) -> None:
        self.action = action
        self.has_acted = False

    def __call__(self, done: int, total: int, unit: str) -> None:
        if not self.has_acted:
            self.has_acted = True
            (child,) = mine()
            self.action(child)


class TestAnswer:
    def test_a_profile_made_in_a_child_is_whole_and_its_progress_is_told(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        told: list[tuple[int, int, str]] = []
        found = profile(
            large, reading, work_dir=tmp_path, on_progress=lambda *state: told.append(state), limits=LIMITS
        )
        facts = (found.rows, found.columns[0].distinct, found.columns[2].max)
        assert facts == (600_000, 600_000, "9972.25")
        assert len(told) >= 2
        assert all(0 <= done <= total for done, total, _ in told)
        assert {unit for *_, unit in told} <= {"files", "bytes checked", "rows converted", "columns"}
        assert list(tmp_path.iterdir()) == []
        assert mine() == []

    def test_an_error_of_the_child_is_the_same_error_here(self, make: Make, tmp_path: Path) -> None:
        path = make(b"a,b\n1,2\n3\n")
        with pytest.raises(DomainError, match="Line 3 has 1 column") as caught:
            profile(path, detect(path, "a"), work_dir=tmp_path, limits=LIMITS)
        assert caught.value.slug == "broken-file"

    @pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.slug)
    def test_every_error_crosses_as_what_it_is(self, kind: type[DomainError], tmp_path: Path) -> None:
        error = kind("A sentence.", errors=[FieldError("/a", "code", "message")], line=3)
        message = json.loads(json.dumps(as_message(error)))
        with (tmp_path / "stderr").open("w+b") as complaints, pytest.raises(kind) as caught:
            _result({"error": message}, 0, complaints)
        assert type(caught.value) is kind
        assert (caught.value.detail, caught.value.errors, caught.value.members) == (
            "A sentence.",
            error.errors,
            {"line": 3},
        )

    def test_every_error_has_a_slug_of_its_own(self) -> None:
        assert len({kind.slug for kind in ERRORS}) == len(ERRORS) >= 14

    def test_a_mistake_of_ours_is_a_crash_without_row_contents(
        self, make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = make(b"secret,b\n1,2\n")
        reading = replace(detect(path, "a"), quote="secret")
        with pytest.raises(EngineCrashed):
            profile(path, reading, work_dir=tmp_path, limits=LIMITS)
        assert "TypeError" in caplog.text
        assert "secret" not in caplog.text

    def test_a_missing_file_is_a_crash(self, make: Make, tmp_path: Path) -> None:
        reading = detect(make(b"a,b\n1,2\n"), "a")
        with pytest.raises(EngineCrashed) as caught:
            profile(tmp_path / "gone", reading, work_dir=tmp_path, limits=LIMITS)
        assert isinstance(caught.value, Unavailable)


class TestEnd:
    @pytest.mark.parametrize(
        ("ending", "error"),
        [
            (signal.SIGKILL, EngineOutOfMemory),
            (signal.SIGSEGV, EngineCrashed),
            (signal.SIGXCPU, EngineTimeout),
        ],
    )
    def test_a_child_that_dies_is_an_error_and_its_files_are_gone(
        self, large: Path, reading: Detected, tmp_path: Path, ending: int, error: type[DomainError]
    ) -> None:
        with pytest.raises(error):
            act = AtWork(lambda child: os.kill(child, ending))
            profile(large, reading, work_dir=tmp_path, on_progress=act, limits=LIMITS)
        assert list(tmp_path.iterdir()) == []

    def test_it_is_killed_at_the_deadline(self, large: Path, reading: Detected, tmp_path: Path) -> None:
        with pytest.raises(EngineTimeout):
            profile(large, reading, work_dir=tmp_path, seconds=0.5, limits=LIMITS)
        assert (mine(), list(tmp_path.iterdir())) == ([], [])

    def test_a_child_that_hangs_is_killed_at_the_deadline(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        with pytest.raises(EngineTimeout):
            act = AtWork(lambda child: os.kill(child, signal.SIGSTOP))
            profile(large, reading, work_dir=tmp_path, on_progress=act, seconds=3, limits=LIMITS)
        assert mine() == []

    def test_it_is_killed_when_it_is_no_longer_wanted(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        looks = iter([False, False, False, True])
        with pytest.raises(Stopped):
            profile(large, reading, work_dir=tmp_path, should_stop=lambda: next(looks), limits=LIMITS)
        assert (mine(), list(tmp_path.iterdir())) == ([], [])

    def test_a_failing_listener_takes_the_child_with_it(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        def fail(done: int, total: int, unit: str) -> None:
            raise ConnectionError

        with pytest.raises(ConnectionError):
            profile(large, reading, work_dir=tmp_path, on_progress=fail, limits=LIMITS)
        assert mine() == []

    def test_it_does_not_outlive_a_parent_that_is_killed(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        script = (
            "import json, sys; from pathlib import Path; from src.engine.profile import profile\n"
            "from src.engine.values import Detected\n"
            "profile(Path(sys.argv[1]), Detected.from_json(json.loads(sys.argv[2])), work_dir=Path(sys.argv[3]))"
        )
        arguments = [str(large), json.dumps(asdict(reading)), str(tmp_path)]
        with subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=ROOT) as parent:
            wait_until(lambda: bool(children_of(parent.pid)), "the child starts")
            (child,) = children_of(parent.pid)
            parent.kill()
        wait_until(lambda: not is_alive(child), "the child ends")


class TestStdin:
    """Where there is no signal for a parent's death, the end of stdin tells of it."""

    @pytest.fixture
    def child(self) -> Iterator[Started]:
        started = start()
        yield started
        started.end()

    def request(self, path: Path, reading: Detected, folder: Path, parent: int) -> bytes:
        arguments = {"path": str(path), "detected": asdict(reading), "limits": asdict(ReadLimits())}
        terms = {"folder": str(folder), "sandbox": asdict(Sandbox()), "parent": parent, "given": []}
        return json.dumps({"function": "profile", "arguments": arguments, **terms}).encode() + b"\n"

    def said(self, child: Started) -> bytes:
        """All that it says until its end, which is one in good order."""
        assert child.process.stdout
        out = child.process.stdout.read()
        assert child.process.wait(60) == 0
        return out

    def test_an_end_before_the_request_ends_the_child(self, child: Started) -> None:
        child.line.close()
        assert self.said(child) == b""

    def test_an_end_in_the_middle_of_the_work_ends_it(
        self, child: Started, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        child.send(self.request(large, reading, tmp_path, os.getpid()), [])
        child.line.close()
        assert b"result" not in self.said(child)

    def test_a_child_whose_parent_has_died_already_ends(
        self, child: Started, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        child.send(self.request(large, reading, tmp_path, 1), [])
        assert self.said(child) == b""


class TestBounds:
    def test_memory_that_a_workbook_asks_for_in_vain_is_an_error_with_a_reason(self, make: Make) -> None:
        parts = parts_of(workbook_bytes({"A": [["id"], [1]]}))
        far = b'<row r="1048576"><c r="XFD1048576"><v>5</v></c></row></sheetData>'
        sheet = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", far)
        with pytest.raises(EngineOutOfMemory, match="more memory"):
            detect(make(zipped({**parts, "xl/worksheets/sheet1.xml": sheet})), "a", LIMITS)

    def test_python_that_runs_out_of_memory_is_the_same_error(self, make: Make) -> None:
        path = make(workbook_bytes({"A": [["x" * 30_000 for place in range(50)] for _ in range(100)]}))
        limits = ReadLimits(sandbox=replace(SANDBOX, memory=180 * MIB))
        with pytest.raises(EngineOutOfMemory):
            detect(path, "a", limits)

    def test_what_is_resident_is_bounded_where_more_may_be_reserved(self, large: Path) -> None:
        sandbox = replace(SANDBOX, memory=8 * MIB, reserved=RESERVED)
        file = {"path": str(large), "detected": asdict(detect(large, large.name)), "limits": asdict(LIMITS)}
        with pytest.raises(EngineOutOfMemory, match="more memory"):
            run_in_child("convert", {**file, "target": str(large.parent)}, sandbox)

    @pytest.mark.parametrize("room", [48 * MIB, 64 * MIB, 80 * MIB])
    def test_libraries_that_find_no_memory_are_the_same_error(self, large: Path, room: int) -> None:
        file = {"path": str(large), "detected": asdict(detect(large, large.name)), "limits": asdict(LIMITS)}
        with pytest.raises(EngineOutOfMemory, match="more memory"):
            run_in_child("convert", {**file, "target": str(large.parent)}, replace(SANDBOX, reserved=room))

    def test_sql_that_runs_out_of_memory_is_the_same_error(self, tmp_path: Path) -> None:
        with pytest.raises(MemoryError), connect(tmp_path, [], Sandbox(memory=10 * MIB)) as connection:
            connection.execute("select list(i) from range(10000000) t(i)").fetchall()

    @pytest.mark.parametrize(
        ("words", "expected"),
        [("Out of Memory Error: no block", MemoryError), ("IO Error: No space left on device", OSError)],
    )
    def test_a_shortage_in_the_middle_of_a_stream_is_the_same_error(
        self, tmp_path: Path, words: str, expected: type[Exception]
    ) -> None:
        query = f"select case when i = 100000 then error('{words}') else i end from range(200000) t(i)"
        with pytest.raises(expected) as caught, connect(tmp_path, [], SANDBOX) as connection:
            for _ in batches_of(connection, query, 1_000):
                pass
        assert getattr(caught.value, "errno", errno.ENOSPC) == errno.ENOSPC

    def test_too_little_room_for_temporary_files_is_named(
        self, large: Path, reading: Detected, tmp_path: Path
    ) -> None:
        limits = replace(LIMITS, sandbox=replace(SANDBOX, disk=3 * MIB))
        with pytest.raises(EngineDiskFull):
            profile(large, reading, work_dir=tmp_path, limits=limits)

    def test_it_knows_no_secrets_and_has_its_limits(
        self, large: Path, reading: Detected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWT_SECRET", "not for children")
        seen: dict[str, str] = {}

        def look(child: int) -> None:
            for name in ("environ", "limits", "oom_score_adj"):
                seen[name] = Path(f"/proc/{child}/{name}").read_text()

        act = AtWork(look)
        with pytest.raises(Stopped):
            profile(
                large,
                reading,
                work_dir=tmp_path,
                on_progress=act,
                should_stop=lambda: act.has_acted,
                seconds=60,
                limits=LIMITS,
            )
        assert "JWT_SECRET" not in seen["environ"]
        limits = {line[:26].strip(): line[26:].split() for line in seen["limits"].splitlines()[1:]}
        assert limits["Max data size"][:2] == [str(RESERVED)] * 2
        assert limits["Max cpu time"][:2] == ["240"] * 2
        assert limits["Max open files"][:2] == ["256"] * 2
        assert limits["Max file size"][:2] == [str(SANDBOX.disk)] * 2
        assert limits["Max core file size"][:2] == ["0"] * 2
        assert seen["oom_score_adj"].strip() == "1000"


class TestLock:
    @pytest.mark.parametrize(
        "statement",
        [
            "select * from read_text('{outside}')",
            "select * from read_text('{folder}/../outside.txt')",
            "copy (select 1) to '{outside}'",
            "copy (select 1) to '{source}'",
            "attach '{outside}'",
            "install httpfs",
            "load httpfs",
            "set enable_external_access = true",
            "set threads = 64",
            "set memory_limit = '1TB'",
            "reset lock_configuration",
        ],
    )
    def test_duckdb_reaches_nothing_else(self, tmp_path: Path, statement: str) -> None:
        folder, source, outside = tmp_path / "folder", tmp_path / "source.txt", tmp_path / "outside.txt"
        folder.mkdir()
        for path in (source, outside):
            path.write_text("a")
        refusals = (duckdb.PermissionException, duckdb.InvalidInputException)
        with connect(folder, [source], SANDBOX) as connection, pytest.raises(refusals):
            connection.execute(statement.format(folder=folder, source=source, outside=outside))

    def test_duckdb_reaches_its_folder_and_its_sources(self, tmp_path: Path) -> None:
        source = tmp_path / "it's a source.txt"
        source.write_text("a")
        (tmp_path / "folder").mkdir()
        with connect(tmp_path / "folder", [source], SANDBOX) as connection:
            quoted = str(source).replace("'", "''")
            found = connection.execute(f"select content from read_text('{quoted}')").fetchall()
            connection.execute(f"copy (select 1) to '{tmp_path}/folder/out.parquet'")
        assert found == [("a",)]


def test_the_web_process_stays_light() -> None:
    """Detecting, previewing and asking for a profile load no engine into the process that asks."""
    script = (
        "import sys; import src.engine.reading.detect, src.engine.reading.preview, src.engine.profile\n"
        "print({'duckdb', 'numpy', 'pyarrow', 'pandas', 'python_calamine'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"


def test_a_function_that_does_not_exist_is_a_crash() -> None:
    with pytest.raises(EngineCrashed):
        run_in_child("nothing", {}, SANDBOX)
