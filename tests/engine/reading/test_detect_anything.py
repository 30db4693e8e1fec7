"""Whatever bytes come in, detection gives a reading or an expected error, never a crash."""

import json
from dataclasses import asdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.reading.detect import detect
from src.engine.reading.preview import preview
from src.engine.values import ReadLimits
from tests.engine.making import SANDBOX, gzipped, zipped

LIMITS = ReadLimits(head_bytes=200, record_bytes=400, columns=20, sandbox=SANDBOX)
TABLE_LIKE = st.text(st.sampled_from(list("ab1.,;\t|\"'\n\r{}[]:é\0/-")), max_size=300).map(str.encode)
CONTENTS = st.one_of(
    st.binary(max_size=300),
    TABLE_LIKE,
    TABLE_LIKE.map(lambda content: b"\xef\xbb\xbf" + content),
    st.binary(max_size=100).map(lambda content: b"\xff\xfe" + content),
    st.binary(max_size=100).map(lambda content: b"\xfe\xff" + content),
    TABLE_LIKE.map(gzipped),
    TABLE_LIKE.map(lambda content: zipped({"a": content})),
    st.binary(max_size=60).map(lambda content: b"\x1f\x8b\x08\x00" + content),
)
NATIVE = st.tuples(st.sampled_from([b"PK\x03\x04", b"PAR1"]), st.binary(max_size=200)).map(b"".join)


def look(folder_of: pytest.TempPathFactory, content: bytes) -> None:
    path = folder_of.mktemp("anything") / "upload"
    path.write_bytes(content)
    try:
        detected = detect(path, "upload.csv", LIMITS)
        json.dumps(asdict(preview(path, detected, 5, limits=LIMITS)))
    except DomainError as error:
        assert error.detail != error.title  # a sentence of its own, for the clerk
    else:
        json.dumps(asdict(detected))
        assert detected.columns


@given(CONTENTS)
@example(b"{}")
@settings(deadline=None)
def test_any_text_or_noise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    look(tmp_path_factory, content)


@given(st.data(), CONTENTS)
@settings(deadline=None)
def test_archives_with_any_byte_changed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, content: bytes
) -> None:
    for packed in (gzipped(content), zipped({"a.csv": content})):
        place = data.draw(st.integers(0, len(packed) - 1))
        spoiled = packed[:place] + bytes([data.draw(st.integers(0, 255))]) + packed[place + 1 :]
        look(tmp_path_factory, spoiled)


@given(NATIVE)
@settings(deadline=None, max_examples=8)
def test_anything_that_calls_itself_a_workbook_or_parquet(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    look(tmp_path_factory, content)
