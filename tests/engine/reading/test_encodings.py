"""Encodings: found by mark or by the lines with accents, over the head and over the whole file."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.reading.detect import detect
from src.engine.reading.encodings import encoding_of_file, encoding_of_head, recode, utf16_without_mark
from src.engine.reading.preview import preview
from src.engine.sandbox import ignore_progress
from tests.engine.importing import LIMITS
from tests.engine.making import Make

TEXT = "id,name\r\n1,José\r\n2,Ação\r\n3,naïve\r\n"


@pytest.mark.parametrize(
    ("codec", "encoding", "has_bom"),
    [
        ("utf-8", "utf-8", False),
        ("utf-8-sig", "utf-8", True),
        ("cp1252", "cp1252", False),
        ("latin-1", "cp1252", False),
    ],
)
def test_a_text_is_read_in_the_encoding_it_was_saved_in(
    make: Make, codec: str, encoding: str, has_bom: bool
) -> None:
    path = make(TEXT.encode(codec))
    detected = detect(path, "a.csv")
    assert (detected.encoding, detected.has_bom) == (encoding, has_bom)
    assert detected.columns[0].name == "id"
    assert preview(path, detected, 2).rows == (("1", "José"), ("2", "Ação"))


@pytest.mark.parametrize(("codec", "mark"), [("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")])
def test_utf_16_is_read_by_its_mark(make: Make, codec: str, mark: bytes) -> None:
    path = make(mark + TEXT.encode(codec))
    detected = detect(path, "a.csv")
    assert (detected.encoding, detected.has_bom) == (codec, True)
    assert preview(path, detected, 1).rows == (("1", "José"),)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_read_by_its_nuls(make: Make, codec: str) -> None:
    path = make((TEXT + "4,😀\r\n").encode(codec))
    detected = detect(path, "a.csv")
    assert (detected.encoding, detected.has_bom, detected.is_utf16) == (codec, False, True)
    assert preview(path, detected, 4).rows[::3] == (("1", "José"), ("4", "😀"))
    assert encoding_of_file(path) == (codec, False)


@pytest.mark.parametrize("head_bytes", range(60, 70))
def test_a_head_of_utf_16_may_be_cut_in_a_character(make: Make, head_bytes: int) -> None:
    path = make(("id,name\n" + "1,a😀b\n" * 50).encode("utf-16-le"))
    assert detect(path, "a.csv", replace(LIMITS, head_bytes=head_bytes)).encoding == "utf-16-le"


@given(
    st.text(st.sampled_from("ab1,;\n\r\té😀"), min_size=6, max_size=40), st.sampled_from(["utf-8", "cp1252"])
)
def test_a_text_without_nuls_is_no_utf_16(text: str, codec: str) -> None:
    assert utf16_without_mark(text.encode(codec, "ignore")) is None


def test_a_text_with_a_stray_nul_is_no_utf_16(make: Make) -> None:
    assert detect(make(b"id,name\n1,a\0b\n"), "a.csv").encoding == "utf-8"


LINES = st.lists(st.tuples(st.sampled_from(["José", "plain", "€ 5", "Ação"]), st.booleans()), max_size=30)


@given(LINES)
def test_most_of_the_lines_with_accents_decide(lines: list[tuple[str, bool]]) -> None:
    content = b"".join(text.encode("utf-8" if is_utf8 else "cp1252") + b"\n" for text, is_utf8 in lines)
    balance = sum((1 if is_utf8 else -1) for text, is_utf8 in lines if not text.isascii())
    assert encoding_of_head(content, is_whole=True) == ("utf-8" if balance >= 0 else "cp1252")


def test_the_last_line_of_a_head_may_be_cut_in_a_character() -> None:
    content = ("é\n" * 10).encode() + "é".encode()[:1]
    assert encoding_of_head(content, is_whole=False) == "utf-8"
    assert encoding_of_head("Jos\xe9\nJos\xe9\n\xc3\xa9".encode("latin-1"), is_whole=False) == "cp1252"


def test_the_whole_file_has_the_last_word(make: Make) -> None:
    plain = b"only plain text\n" * 300_000
    assert encoding_of_file(make(plain + "é\n".encode())) == ("utf-8", True)
    assert encoding_of_file(make(plain + b"\xe9\n")) == ("cp1252", False)
    assert encoding_of_file(make("é\n".encode() * 2 + plain + b"\xe9\n")) == ("utf-8", False)
    assert encoding_of_file(make(b"\xef\xbb\xbf" + b"\xe9\n" * 3)) == ("utf-8", False)
    assert encoding_of_file(make(b"\xff\xfea\0")) == ("utf-16-le", False)


@given(st.binary(max_size=300))
def test_every_byte_has_a_meaning_in_cp1252(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("recode")
    (folder / "in").write_bytes(content)
    text = recode(folder / "in", "cp1252", folder / "out", ignore_progress).read_bytes().decode()
    assert len(text) == len(content)
    assert all(
        ord(char) == byte for char, byte in zip(text, content, strict=True) if byte < 0x80 or byte >= 0xA0
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_that_does_not_fit_is_named_by_its_line(make: Make, tmp_path: Path, end: str) -> None:
    lines = [b"some words that fill the line" for _ in range(400_000)]
    lines[390_000] = b"bad \xff byte"
    with pytest.raises(DomainError) as caught:
        recode(make(end.encode().join(lines)), "utf-8", tmp_path / "out", ignore_progress)
    assert (caught.value.slug, caught.value.detail.split(" holds")[0]) == ("broken-file", "Line 390001")


def test_half_a_character_at_the_end_of_utf_16_is_broken(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="Line 2 holds bytes that are not UTF-16-LE"):
        recode(make(b"\xff\xfea\0\n\0b"), "utf-16-le", tmp_path / "out", ignore_progress)
