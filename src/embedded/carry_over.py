"""The message for data of another PostgreSQL major: the commands that carry it over, ready to be pasted."""

import shlex
import sys
from pathlib import Path

from src.embedded import addresses
from src.embedded.user import ServerUser

PROJECT = Path(__file__).resolve().parents[2]


def carry_over(data: Path, found: str, user: ServerUser, new: Path, sockets: Path) -> str:
    """What to tell the operator about a data folder whose PG_VERSION says `found`."""
    if not found.isdigit():
        return f"{data} is not empty and not a PostgreSQL data folder. Move it away and start again."
    old = old_programs(found, new)
    lines = "\n".join(f"  {command}" for command in commands(data, found, user, old, new, sockets))
    hint = "" if (old / "pg_ctl").exists() else f"\n({old} stands for the programs of PostgreSQL {found}.)"
    return (
        f"{data} holds data of PostgreSQL {found}, which this version cannot read. Nothing was touched.\n"
        f"These commands carry it over and leave the old folder beside it:\n{lines}{hint}\nThen start again."
    )


def commands(data: Path, found: str, user: ServerUser, old: Path, new: Path, sockets: Path) -> list[str]:
    """Dump from the old server with the new pg_dump, then restore into a new cluster."""
    aside, dump = data.with_name(f"postgres-{found}"), data.with_name(f"postgres-{found}.dump")
    control = [str(old / "pg_ctl"), "-D", str(aside), "-w"]
    options = f"-k {sockets} -p {addresses.PORT} -c listen_addresses="
    server = ["-h", str(sockets), "-p", str(addresses.PORT), "-U", addresses.ROLE]
    restore = ["-m", "src.embedded", "pg_restore", "--no-owner", "-d", addresses.DATABASE, str(dump)]
    place = f"cd {shlex.quote(str(PROJECT))} && VAR_DIR={shlex.quote(str(data.parent))}"
    return [
        shlex.join(["mv", str(data), str(aside)]),
        shlex.join(user.command(["/bin/mkdir", "-p", "-m", "700", str(sockets)])),
        shlex.join(user.command([*control, "-o", options, "-l", "/dev/null", "start"], data.parent)),
        shlex.join([str(new / "pg_dump"), *server, "-Fc", "-f", str(dump), addresses.DATABASE]),
        shlex.join(user.command([*control, "stop"], data.parent)),
        f"{place} {shlex.join([sys.executable, *restore])}",
    ]


def old_programs(found: str, new: Path) -> Path:
    """The wheel brings some older majors along; the others come from the distribution."""
    for installation in sorted(new.parents[1].glob("pginstall*")):
        if _major(installation) == found:
            return installation / "bin"
    return Path(f"/usr/lib/postgresql/{found}/bin")


def _major(installation: Path) -> str:
    """Each installation says its version in the header for those who compile against it."""
    header = installation / "include" / "pg_config.h"
    lines = header.read_text().splitlines() if header.exists() else []
    return next((line.split('"')[1] for line in lines if line.startswith("#define PG_MAJORVERSION ")), "")
