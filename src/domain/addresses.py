"""Addresses that things may be delivered to: public https, plain e-mail addresses, configured folders."""

import ipaddress
import re
import socket
from collections.abc import Mapping, Set
from urllib.parse import SplitResult, urlsplit

from src.domain.deliveries import Channel, Target
from src.domain.errors import FieldError, Invalid

PORTS = (443, 8443)
LONGEST_URL = 2_000
NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)
LOCAL_ENDINGS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".arpa")
EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
FOLDER = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,63}(/[a-z0-9_][a-z0-9_.-]{0,63}){0,5}")
UNFINISHED = "incoming"  # where a store keeps what is not complete yet
# IPv6 addresses in which an IPv4 address is hidden, and lead where that leads; and a private range of old.
DISGUISES = tuple(
    ipaddress.ip_network(text)
    for text in (
        "fec0::/10",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
    )
)


class BadTarget(Invalid):
    slug = "bad-target"
    title = "Nothing can be delivered to this address"


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet; in doubt it is not."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False  # with a zone (fe80::1%eth0), for one
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return address.version == 4 or not any(address in network for network in DISGUISES)


def check_target(target: Target, *, hosts: Set[str], folders: Mapping[str, str], domains: Set[str]) -> None:
    """Raise unless something may be delivered there, as far as the address alone tells."""
    match target.channel:
        case Channel.WEBHOOK:
            split_webhook(target.address, hosts)
        case Channel.EMAIL:
            _check_email(target.address, domains)
        case Channel.FOLDER:
            _check_folder(target.address, folders)


def split_webhook(url: str, hosts: Set[str]) -> SplitResult:
    """The parts of a webhook's address. `hosts` are `name:port` pairs that are trusted as they are."""
    parts = _split(url)
    host, port = parts.hostname or "", parts.port or 443
    if f"{host}:{port}" in hosts:
        return parts
    if port not in PORTS:
        raise _bad(Channel.WEBHOOK, "port", f"Use port {' or '.join(map(str, PORTS))}.")
    if _is_literal(host):
        if not is_public(_canonical(host)):
            raise _bad(Channel.WEBHOOK, "private_address", "This address is not on the open internet.")
    elif not NAME.fullmatch(host) or host.endswith(LOCAL_ENDINGS):
        raise _bad(Channel.WEBHOOK, "private_address", "This is not a name on the open internet.")
    return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  raises where it is no number
    except ValueError as error:
        raise _bad(Channel.WEBHOOK, "not_a_url", "This is not a URL.") from error
    if parts.scheme != "https" or not parts.hostname or len(url) > LONGEST_URL or not url.isascii():
        raise _bad(Channel.WEBHOOK, "not_https", "Use an https:// address, in ASCII.")
    if not url.isprintable() or " " in url or "\\" in url or parts.fragment:
        raise _bad(Channel.WEBHOOK, "not_a_url", "This is not a URL.")
    if parts.username is not None or parts.password is not None:
        raise _bad(Channel.WEBHOOK, "credentials", "The address must not have a name or password in it.")
    return parts


def _is_literal(host: str) -> bool:
    """Whether it is a number for the resolver, in any of its spellings: 127.1, 0x7f000001, 2130706433."""
    return ":" in host or _canonical(host) != host or host.replace(".", "").isdigit()


def _canonical(host: str) -> str:
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return host


def _check_email(address: str, domains: Set[str]) -> None:
    local, _, domain = address.rpartition("@")
    if not EMAIL.fullmatch(address) or not NAME.fullmatch(domain) or ".." in local or local[:1] == ".":
        raise _bad(Channel.EMAIL, "not_an_email", "This is not an e-mail address.")
    if domains and domain.lower() not in domains:
        raise _bad(Channel.EMAIL, "foreign_domain", f"Mail goes to {', '.join(sorted(domains))} only.")


def _check_folder(path: str, folders: Mapping[str, str]) -> None:
    name, _, below = path.partition("/")
    if not FOLDER.fullmatch(path) or ".." in path or below.partition("/")[0] == UNFINISHED:
        raise _bad(Channel.FOLDER, "not_a_folder", "Use small letters, digits, _ . - and / between folders.")
    if name not in folders:
        there = f"There are: {', '.join(sorted(folders))}." if folders else "There is none here."
        raise _bad(Channel.FOLDER, "unknown_folder", f"«{name}» is not a configured folder. {there}")


def _bad(channel: Channel, code: str, message: str) -> BadTarget:
    return BadTarget(message, errors=[FieldError(f"/{channel}", code, message)])
