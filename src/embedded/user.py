"""Who a server runs as: this process's own user or, under root, an unprivileged one."""

import os
import pwd
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from src.embedded.control import EmbeddedError, not_ours

NAME = "indicators"
LAST_RESORT = "nobody"
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # the kernel's capability numbers


@dataclass(frozen=True)
class ServerUser:
    """The system user that owns a server's data and runs it."""

    uid: int
    gid: int
    name: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """The owner of the data when there is some; otherwise ourselves, but never root."""
        owner = folder.stat().st_uid if folder.exists() else os.geteuid()
        if os.geteuid() not in (0, owner):
            raise not_ours(folder, folder.parent)
        if owner == 0:
            entry = _unprivileged()
            return cls(entry.pw_uid, entry.pw_gid, entry.pw_name)
        return cls(owner, folder.stat().st_gid if folder.exists() else os.getegid(), system_name(owner))

    def own(self, path: Path, mode: int) -> None:
        """Hand a file or folder of ours to this user."""
        path.chmod(mode)
        if os.geteuid() != 0:
            return
        try:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        except PermissionError as error:
            raise EmbeddedError(
                f"PostgreSQL does not run as root, and root may not hand {path} to the user {self.name} here "
                "(a container without capabilities?). Run this as a plain user."
            ) from error

    def command(self, argv: list[str], *needed: Path, dies_with_parent: str = "keep") -> list[str]:
        """`argv` so that it runs as this user, able to reach the `needed` paths."""
        if os.geteuid() != 0:
            return argv
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise EmbeddedError(
                "PostgreSQL does not run as root, and `setpriv` (package util-linux), which starts it as "
                "another user, is missing. Install it, or run this as a plain user."
            )
        switch = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        death = f"--pdeathsig={dies_with_parent}"
        return [setpriv, *switch, death, *self._capability(*needed, Path(argv[0])), "--", *argv]

    def _capability(self, *needed: Path) -> list[str]:
        """What it takes to pass through a closed folder such as /root without opening it for everyone."""
        if all(is_reachable(path, self.uid, self.gid) for path in needed):
            return []
        held = _held_capabilities()
        if not held & (1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH):
            raise EmbeddedError(
                f"The user {self.name}, as whom PostgreSQL runs under root, cannot enter {needed[0].parent}. "
                "Move the project to a folder that others may enter, or run it as a plain user."
            )
        name = "dac_read_search" if held & 1 << DAC_READ_SEARCH else "dac_override"
        return [f"--inh-caps=+{name}", f"--ambient-caps=+{name}"]


def is_reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether the modes of all folders above, and of the file itself, let this user in."""
    for folder in path.resolve().parents:
        if not _may(folder.stat(), uid, gid, stat.S_IXOTH):
            return False
    return path.is_dir() or _may(path.stat(), uid, gid, stat.S_IXOTH | stat.S_IROTH)


def _may(status: os.stat_result, uid: int, gid: int, wanted: int) -> bool:
    shift = 6 if status.st_uid == uid else 3 if status.st_gid == gid else 0
    return status.st_mode >> shift & wanted == wanted


def _held_capabilities() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


def system_name(uid: int) -> str:
    """The name of a user, or its number in containers that have no entry for it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unprivileged() -> pwd.struct_passwd:
    """The system user made for this; `nobody` where no user can be made."""
    useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
    for _ in range(5):  # the two servers start at once, and useradd locks the user database
        try:
            return pwd.getpwnam(NAME)
        except KeyError:
            if useradd is None:
                break
        command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603  a constant command
        time.sleep(0.2)
    try:
        return pwd.getpwnam(LAST_RESORT)
    except KeyError as error:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and neither the user {NAME} nor {LAST_RESORT} exists here. "
            f"Create one (useradd --system {NAME}), or run this as a plain user."
        ) from error
