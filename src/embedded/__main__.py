"""`python -m src.embedded COMMAND …`: runs psql, pg_dump and the like against our database."""

import os
import subprocess
import sys
from urllib.parse import parse_qs, unquote, urlsplit

from src.config import Settings, SettingsError
from src.embedded import resolve
from src.embedded.postgres import programs


def libpq_environment(database_url: str) -> dict[str, str]:
    """A database URL as the variables that all of PostgreSQL's programs read."""
    url = urlsplit(database_url)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    values = {
        "PGHOST": query.get("host", url.hostname or ""),
        "PGPORT": query.get("port", str(url.port or "")),
        "PGUSER": unquote(url.username or ""),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": unquote(url.path.lstrip("/")),
        "PGSSLMODE": query.get("sslmode", ""),
    }
    return {name: value for name, value in values.items() if value}


def main(command: list[str]) -> int:
    if not command:
        sys.stderr.write("usage: python -m src.embedded COMMAND [ARGUMENT…]   (for example psql)\n")
        return 2
    try:
        settings = resolve(Settings.from_env())
        path = os.pathsep.join([str(programs()), os.environ.get("PATH", os.defpath)])
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    env = os.environ | libpq_environment(settings.database_url) | {"PATH": path}
    done = subprocess.run(command, env=env, check=False)  # noqa: S603  what the operator typed
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
