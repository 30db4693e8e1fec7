"""What may be delivered to: the open internet over https, plain mail addresses, configured folders."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.addresses import BadTarget, check_target, is_public
from src.domain.deliveries import Channel, Target

each = pytest.mark.parametrize
LISTED = frozenset(("hooks.intranet:443", "localhost:9443"))


def check(channel: Channel, address: str) -> None:
    check_target(Target(channel, address), hosts=LISTED, folders={"reports": "/srv"}, domains={"example.org"})


@each(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "not an address",
    ],
)
def test_an_address_that_is_not_of_the_open_internet_is_not_public(address: str) -> None:
    assert not is_public(address)


@each("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001::1"])
def test_an_address_of_the_open_internet_is(address: str) -> None:
    assert is_public(address)


@given(st.integers(0, 2**32 - 1))
def test_no_spelling_in_ipv6_makes_an_ipv4_address_public(number: int) -> None:
    for prefix in ("::", "::ffff:0:0", "64:ff9b::"):
        hidden = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number)
        assert not is_public(str(hidden))


@each(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "//example.org",
        "https://",
        "https:///path",
        "https://user@example.org/",
        "https://user:word@example.org/",
        "https://example.org:22/",
        "https://example.org:99999/",
        "https://example.org:x/",
        "https://localhost/",
        "https://printer/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
        "https://example.org\\@127.0.0.1/",
        "https://exämple.org/",
        "https://example.org/#part",
        "https://hooks.intranet/",
        "https://example.org/" + "x" * 2_000,
    ],
)
def test_a_webhook_goes_to_no_address_like_this(url: str) -> None:
    if url == "https://hooks.intranet/":
        url = "https://hooks.intranet:8443/"  # another port than the one that is listed
    with pytest.raises(BadTarget) as caught:
        check(Channel.WEBHOOK, url)
    assert caught.value.errors[0].pointer == "/webhook"


@each(
    "url",
    [
        "https://example.org",
        "https://example.org/hook?a=b",
        "https://Hooks.Example.org:8443/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://hooks.intranet/",
        "https://localhost:9443/x",
    ],
)
def test_a_webhook_goes_to_the_open_internet_and_to_what_is_listed(url: str) -> None:
    check(Channel.WEBHOOK, url)


@each(
    "address",
    [
        "ana",
        "ana@",
        "@example.org",
        "ana@example",
        "a b@example.org",
        "ana@example.org\r\nBcc: x@y.zz",
        "ana@example.org,rui@example.org",
        "<ana@example.org>",
        ".ana@example.org",
        "a..b@example.org",
        "ana@else.where.org",
        "x" * 65 + "@example.org",
    ],
)
def test_mail_goes_to_no_address_like_this(address: str) -> None:
    with pytest.raises(BadTarget):
        check(Channel.EMAIL, address)


def test_mail_goes_to_the_domains_that_are_allowed() -> None:
    check(Channel.EMAIL, "ana.souza+x@Example.org")


@each(
    "path",
    [
        "",
        "/",
        "/etc",
        "..",
        "reports/..",
        "reports/../x",
        "reports//x",
        "reports/",
        "reports/.x",
        "reports/X",
        "other",
        "reports/incoming",
        "reports/a/b/c/d/e/f/g",
        "reports/a\n",
        "reports/a\x00",
        "reports\\x",
    ],
)
def test_files_go_to_no_folder_like_this(path: str) -> None:
    with pytest.raises(BadTarget):
        check(Channel.FOLDER, path)


@each("path", ["reports", "reports/daily", "reports/2026/11-a_b.c"])
def test_files_go_below_a_configured_folder(path: str) -> None:
    check(Channel.FOLDER, path)


@given(st.text(max_size=40))
def test_whatever_is_given_is_taken_or_refused_as_a_bad_target(text: str) -> None:
    for channel in Channel:
        for address in (text, f"https://{text}/", f"https://example.org:{text}"):
            try:
                check(channel, address)
            except BadTarget:
                continue
