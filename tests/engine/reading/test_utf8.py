"""Which bytes are text, and in which encoding: as Python's codecs say, over whole files."""

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.engine.reading.encodings import encoding_of_lines
from src.engine.reading.utf8 import CHECKED_AT_ONCE, encoding_of_text, invalid_places, is_utf8, utf8_blocks
from src.engine.sandbox import ignore_progress
from tests.engine.making import Make

PIECES = st.lists(
    st.sampled_from([b"a", "é".encode(), "漢".encode(), "😀".encode(), b"\xed\xa0\x80", b"\xc0\x80", b"\xf5"])
    | st.binary(max_size=3),
    max_size=8,
).map(b"".join)


@settings(deadline=None)
@given(PIECES)
def test_text_and_its_first_wrong_byte_are_what_python_says(text: bytes) -> None:
    places = invalid_places(np.frombuffer(text, np.uint8))
    try:
        text.decode()
    except UnicodeDecodeError as error:
        assert not is_utf8(text)
        assert places[0] == error.start
    else:
        assert is_utf8(text)
        assert len(places) == 0


@settings(deadline=None)
@given(lines=st.lists(PIECES.map(lambda line: line.replace(b"\n", b"").replace(b"\r", b"")), max_size=8))
def test_most_of_the_lines_that_are_not_ascii_decide(
    lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_bytes(b"a\n" + b"\n".join(lines))
    assert encoding_of_text(path, ignore_progress) == encoding_of_lines([b"a", *lines])


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        ("\ufeffaé".encode(), "utf-8", "aé".encode()),
        ("\ufeffaé😀".encode("utf-16-le"), "utf-16-le", "aé😀".encode()),
        ("\ufeffaé".encode("utf-16-be"), "utf-16-be", "aé".encode()),
        (b"\xff\xfea\0\x00\xd8b\0", "utf-16-le", b"a\xed\xa0\x80b"),
        (b"\xff\xfea\0b", "utf-16-le", b"a\xff"),
        (b"\x80\x81\xe9", "cp1252", "€\x81é".encode()),
        (b"\xa1\xe6", "iso8859-2", "Ąć".encode()),
        (b"\x81a", "cp1250", b"\xed\xb2\x81a"),
    ],
)
def test_any_encoding_comes_out_as_utf8(make: Make, content: bytes, encoding: str, text: bytes) -> None:
    assert b"".join(utf8_blocks(make(content), encoding, ignore_progress)) == text


def test_a_text_longer_than_a_block_decides_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"\xe9\n" + b"x" * 9_000_000 + "é\né\n".encode() * 2)
    assert encoding_of_text(path, ignore_progress) == "utf-8"
    path.write_bytes("é\n".encode() + b"x\n" * 5_000_000 + b"\xe9\n" * 2)
    assert encoding_of_text(path, ignore_progress) == "cp1252"


@settings(deadline=None)
@given(PIECES)
def test_places_are_all_that_no_character_of_python_is_made_of(text: bytes) -> None:
    kept = text.decode(errors="ignore").encode()
    wrong = set(invalid_places(np.frombuffer(text, np.uint8)).tolist())
    assert bytes(byte for place, byte in enumerate(text) if place not in wrong) == kept


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["more of others", "as many", "more of UTF-8"])
@pytest.mark.parametrize("seed", range(4))
def test_each_line_counts_once_wherever_the_parts_of_a_large_text_are_cut(
    tmp_path: Path, seed: int, more: int
) -> None:
    """One line more or less, and it is another encoding."""
    chosen = random.Random(seed)
    good, bad = (
        ("é", "a漢b😀", "ñ\t;ñ"),
        (b"\xe9", "é".encode() + b"\xff", b"\xed\xa0\x80,\xc3", b"\xf0\x9f\x98"),
    )
    lines = [chosen.choice(good).encode() for _ in range(3_000 + more)]
    lines += [chosen.choice(bad) for _ in range(3_000)]
    lines += [b"", b"x", b"\t1\r"] * 1_000
    chosen.shuffle(lines)
    lines = [line + b"x" * chosen.choice((1, 9, 900)) + line for line in lines]
    path = tmp_path / "large"
    path.write_bytes(b"\n".join(lines))
    assert path.stat().st_size > 4 * CHECKED_AT_ONCE
    assert encoding_of_lines(lines) == ("utf-8" if more >= 0 else "cp1252")
    assert encoding_of_text(path, ignore_progress) == encoding_of_lines(lines)


@pytest.mark.parametrize("wide", ["é", "日", "😀"])
def test_a_very_long_line_is_not_taken_for_several_that_are_cut(tmp_path: Path, wide: str) -> None:
    """Its characters lie across the parts in which the file is read."""
    path = tmp_path / "a"
    path.write_text(f"a\né\n{wide * 1_000_000}x\n", encoding="utf-8")
    assert encoding_of_text(path, ignore_progress) == "utf-8"
