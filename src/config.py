"""The one reader of the environment: `Settings.from_env()` gives a frozen value that is passed on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

MIB = 1024 * 1024
GIB = 1024 * MIB
SHORTEST_SECRET = 32
LAST_PORT = 65_535
CHOICES = {
    "registration": ("open", "closed"),
    "registration_role": ("viewer", "operator"),
    "log_format": ("auto", "json", "text"),
    "event_ordering": ("global", "per_client"),
    "event_time_unit": ("s", "ms", "us"),
    "smtp_security": ("starttls", "tls", "off"),
}
CLUSTERS = ("spark://", "local[")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
AT_LEAST_ONE = (
    "web_processes",
    "web_threads",
    "worker_processes",
    "max_readers",
    "heartbeat_seconds",
    "mail_link_days",
)
RATES = ("rate_limit_default", "rate_limit_events", "rate_limit_login", "rate_limit_clients")
ADDRESSES = {
    "database_url": ("postgresql", "postgresql+psycopg"),
    "redis_url": ("redis", "rediss", "unix"),
}


class SettingsError(ValueError):
    """A setting is missing or makes no sense; the process must not start."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an operator may set. `.env.example` documents each variable."""

    database_url: str = field(default="", repr=False)  # empty: the embedded PostgreSQL under var/
    redis_url: str = field(default="", repr=False)  # empty: the embedded Redis under var/
    jwt_secret: str = field(default="", repr=False)
    jwt_secret_previous: str = field(default="", repr=False)
    storage_url: str = "var/files"
    s3_endpoint_url: str = ""
    var_dir: Path = Path("var")

    host: str = "127.0.0.1"
    port: int = 7012
    web_processes: int = 1
    web_threads: int = 16
    worker_processes: int = 2
    trusted_proxies: int = 0
    allowed_hosts: tuple[str, ...] = ()

    registration: str = "closed"
    registration_role: str = "operator"
    admin_email: str = ""
    admin_password: str = field(default="", repr=False)
    access_minutes: int = 10
    refresh_days: int = 14

    business_time_zone: str = "America/Sao_Paulo"  # of dates and times without an offset

    event_ordering: str = "global"  # over whom t rises; the first event fixes it
    event_time_unit: str = "s"  # what t counts, and windows with it; the first event fixes it
    event_max_ahead_seconds: int = 0  # how far t may lie in the future; 0: as far as it likes

    max_upload_bytes: int = 2 * GIB
    quota_bytes: int = 20 * GIB
    disk_reserve_bytes: int = 512 * MIB
    upload_days: int = 365
    produced_days: int = 30
    download_link_minutes: int = 60
    job_days: int = 90

    rate_limits: bool = True
    rate_limit_default: str = "600 per minute"
    rate_limit_login: str = "10 per minute"
    rate_limit_events: str = "60000 per minute"  # of keys with events:write, where events are sent
    rate_limit_clients: str = "10 per minute"
    max_queued_jobs: int = 10_000
    max_queued_jobs_per_owner: int = 1_000
    max_waiters: int = 8
    max_readers: int = 2

    public_url: str = ""  # https://indicators.example.org: what links in mails begin with
    webhook_hosts: tuple[str, ...] = ()  # name:port pairs that webhooks may go to though they are not public
    webhook_ca_file: str = ""
    delivery_seconds: int = 10
    delivery_folders: tuple[str, ...] = ()  # name=folder or name=s3://bucket/prefix
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password: str = field(default="", repr=False)
    smtp_ca_file: str = ""
    mail_from: str = ""
    mail_domains: tuple[str, ...] = ()  # empty: mail may go to any domain
    mail_attachment_bytes: int = 10 * MIB
    mail_link_days: int = 7  # how long the link in a mail is good, to a file that is too large for it

    lease_seconds: int = 30
    heartbeat_seconds: int = 10
    rehint_seconds: int = 30

    engine_url: str = ""  # empty: DuckDB in a child of the worker; else a Spark master
    engine_folder: Path = Path("var/cluster")
    engine_wait_seconds: int = 900  # without any machine of the cluster
    java_home: str = ""
    spark_conf_dir: str = ""

    log_level: str = "INFO"
    log_format: str = "auto"
    log_dir: str = "logs"  # «off»: no log file

    def __post_init__(self) -> None:
        for name in ("jwt_secret", "jwt_secret_previous"):
            secret = getattr(self, name)
            if secret and len(secret.encode()) < SHORTEST_SECRET:
                raise SettingsError(f"{name.upper()} must have at least {SHORTEST_SECRET} bytes")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name.upper()} must be {' or '.join(allowed)}")
        self._check_numbers()
        self._check_rates()
        for name, schemes in ADDRESSES.items():
            _check_address(name, getattr(self, name), schemes)
        if self.engine_url and not self.engine_url.startswith(CLUSTERS):
            raise SettingsError(f"ENGINE_URL must be empty, or begin with {' or '.join(CLUSTERS)}")
        if self.log_level.upper() not in LEVELS:
            raise SettingsError(f"LOG_LEVEL must be {' or '.join(LEVELS)}")
        try:
            ZoneInfo(self.business_time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise SettingsError("BUSINESS_TIME_ZONE must be a time zone, as America/Sao_Paulo") from error
        self._check_deliveries()

    def _check_deliveries(self) -> None:
        if self.smtp_host and "@" not in self.mail_from:
            raise SettingsError("MAIL_FROM must be an e-mail address when SMTP_HOST is set")
        if any("=" not in folder for folder in self.delivery_folders):
            raise SettingsError("DELIVERY_FOLDERS must be name=folder pairs, separated by commas")

    def _check_rates(self) -> None:
        for name in RATES:
            text = getattr(self, name)
            if text != getattr(type(self), name):  # else its parser need not be loaded
                _check_rate(name, text)

    def _check_numbers(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise SettingsError(f"{name.upper()} must be at least 1")
        if self.lease_seconds <= self.heartbeat_seconds:
            raise SettingsError(
                "LEASE_SECONDS must be more than HEARTBEAT_SECONDS, or no job keeps its lease"
            )
        if self.port > LAST_PORT:
            raise SettingsError(f"PORT must be at most {LAST_PORT}")

    @property
    def delivery_roots(self) -> dict[str, str]:
        """The folders that files may be delivered to, by name."""
        return {name: place for name, _, place in (pair.partition("=") for pair in self.delivery_folders)}

    @property
    def is_embedded(self) -> bool:
        """PostgreSQL comes from a wheel, and with it generous defaults for a single machine."""
        return not self.database_url

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read the environment; names are the fields in capitals, empty values mean the default."""
        env = os.environ if env is None else env
        given = {name: env[name.upper()] for name in cls.__dataclass_fields__ if env.get(name.upper())}
        values: dict[str, Any] = {
            name: _convert(name, text, cls.__dataclass_fields__[name].type) for name, text in given.items()
        }
        values.setdefault("storage_url", str(values.get("var_dir", cls.var_dir) / "files"))
        if not given.get("database_url"):
            values.setdefault("registration", "open")
        return cls(**values)


def _check_address(name: str, url: str, schemes: tuple[str, ...]) -> None:
    """Whether this may be the address of a server. It may hold a password, so it is not shown."""
    try:
        is_good = not url or (urlsplit(url).scheme in schemes and urlsplit(url).port != 0)
    except ValueError:  # a port that is no number
        is_good = False
    if not is_good:
        raise SettingsError(f"{name.upper()} must be an address as {schemes[0]}://host:port/name")


def _check_rate(name: str, text: str) -> None:
    """Found out at the start: later, every request would fail."""
    from limits import parse_many

    try:
        parse_many(text)
    except ValueError as error:
        raise SettingsError(f"{name.upper()} must be like «600 per minute», not {text!r}") from error


def _convert(name: str, text: str, kind: object) -> object:
    """One environment text as the type of its field."""
    if kind is int:
        if not (text.isascii() and text.isdigit()):
            raise SettingsError(f"{name.upper()} must be a whole number, not {text!r}")
        return int(text)
    if kind is bool:
        if text.lower() not in ("on", "off", "true", "false", "1", "0"):
            raise SettingsError(f"{name.upper()} must be on or off, not {text!r}")
        return text.lower() in ("on", "true", "1")
    if kind is Path:
        return Path(text)
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text
