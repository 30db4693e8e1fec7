"""Where the embedded servers listen, as a folder and as URLs in the dialect of each client."""

import hashlib
from pathlib import Path

DATABASE = "indicators"
ROLE = "indicators"
PORT = 5432  # only a part of the socket's name: nothing listens on TCP
SOCKETS = Path("/tmp")  # noqa: S108  a socket's path has at most 107 bytes; the folder made in it is private


def socket_folder(var_dir: Path) -> Path:
    """The same short folder for every process that names the same `var_dir`."""
    digest = hashlib.sha256(str(var_dir.resolve()).encode()).hexdigest()
    return SOCKETS / f"indicators-{digest[:12]}"


def postgres_socket(var_dir: Path) -> Path:
    """The file on which PostgreSQL listens."""
    return socket_folder(var_dir) / f".s.PGSQL.{PORT}"


def redis_socket(var_dir: Path) -> Path:
    """The file on which Redis listens."""
    return socket_folder(var_dir) / "redis.sock"


def database_url(var_dir: Path) -> str:
    """For SQLAlchemy. The port is named so that a PGPORT in the environment changes nothing."""
    return f"postgresql+psycopg://{ROLE}@/{DATABASE}?host={socket_folder(var_dir)}&port={PORT}"


def redis_url(var_dir: Path) -> str:
    """For redis-py; `celery_url` and `limiter_url` turn it into the other dialects."""
    return f"unix://{redis_socket(var_dir)}?db=0"


def celery_url(redis_url: str) -> str:
    """A Redis URL as Celery's broker wants it: `redis+socket://` for a socket, TCP as it is."""
    if not redis_url.startswith("unix://"):
        return redis_url
    return redis_url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")


def limiter_url(redis_url: str) -> str:
    """A Redis URL as Flask-Limiter's storage wants it: `redis+unix://` for a socket, TCP as it is."""
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url
