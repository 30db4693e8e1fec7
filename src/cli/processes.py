"""flask up | prepare | serve | worker | scheduler: everything on one machine, or one part of it."""

import os
import shutil
import sys
from typing import NoReturn

import click

from src.cli.everything import Programs, run_everything
from src.cli.output import domain_errors_as_messages, fail
from src.config import Settings, SettingsError
from src.embedded import hand_over
from src.supervisor import ChildError

ROOT_WARNING = "ignore:You're running the worker with superuser privileges"


def web_command(settings: Settings) -> list[str]:
    """The production web server."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    size = ["--workers", str(settings.web_processes), "--threads", str(settings.web_threads)]
    times = ["--timeout", "60", "--graceful-timeout", "35", "--keep-alive", "75"]
    # whom we believe is TRUSTED_PROXIES' decision alone; filters and cursors need long request lines
    trust = ["--forwarded-allow-ips", "", "--limit-request-line", "8190"]
    place = ["--bind", f"{host}:{settings.port}", "--no-control-socket", "--log-level", "warning"]
    gunicorn = [sys.executable, "-m", "gunicorn", "-k", "src.server.Worker", *size, *times, *trust, *place]
    return [*gunicorn, *_shared_metrics(settings), "src.app:create_web()"]


def _shared_metrics(settings: Settings) -> list[str]:
    """Several web processes add their metrics up in files, of which a start makes new ones."""
    if settings.web_processes == 1:
        return []
    folder = settings.var_dir.resolve() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return ["--env", f"PROMETHEUS_MULTIPROC_DIR={folder}"]


def worker_command(settings: Settings) -> list[str]:
    """A Celery worker that carries hints and nothing else. Under root it would warn at length each time."""
    celery = [sys.executable, "-W", ROOT_WARNING, "-m", "celery", "--quiet", "-A", "src.worker", "worker"]
    pool = ["-P", "prefork", "-O", "fair", "--concurrency", str(settings.worker_processes)]
    return [*celery, *pool, "--without-gossip", "--without-mingle", "--without-heartbeat"]


def scheduler_command() -> list[str]:
    return [sys.executable, "-m", "src.scheduler"]


def prepare_command() -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "src.app", "prepare"]


def samples_command() -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "src.app", "samples"]


@click.command("up")
def up() -> None:
    """Everything on this machine: databases, web, worker, scheduler, until Ctrl-C."""
    try:
        settings = Settings.from_env()
        programs = Programs(
            prepare_command(),
            samples_command(),
            web_command(settings),
            scheduler_command(),
            worker_command(settings),
        )
        run_everything(settings, programs)
    except (SettingsError, ChildError) as error:
        fail(f"Stopped: {error}")


@click.command("prepare")
@domain_errors_as_messages
def prepare() -> None:
    """Migrate; the first time, make the administrator, keep the password and load the samples."""
    from src.cli.database import create_database, ensure_admin, migrate, pair_store
    from src.cli.samples import load_samples
    from src.wiring import adapters, services

    settings = adapters().settings
    create_database(settings.database_url)
    migrate()
    pair_store()
    with services() as s:
        s.events.check_order()
    made = ensure_admin(settings.var_dir / "admin.txt")
    if "password=" in made:
        made = "\n".join([made, *load_samples()])
    click.echo(made, nl=bool(made))


@click.command("serve")
def serve() -> None:
    """The web server alone."""
    _become(web_command(Settings.from_env()))


@click.command("worker")
def worker() -> None:
    """One worker for background jobs."""
    _become(worker_command(Settings.from_env()))


@click.command("scheduler")
def scheduler() -> None:
    """One scheduler; any number may run."""
    _become(scheduler_command())


COMMANDS = (up, prepare, serve, worker, scheduler)


def _become(command: list[str]) -> NoReturn:
    hand_over()
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606  our own command, no shell
