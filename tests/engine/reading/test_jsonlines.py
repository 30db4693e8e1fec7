"""JSON lines: what is written comes out, as text."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.errors import DomainError
from src.engine.reading.jsonlines import read_objects

TEXTS = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def read(text: str, longest: int = 10_000) -> list[tuple[int, dict[str, str]]]:
    return list(read_objects(io.StringIO(text, newline=""), longest))


def test_numbers_keep_their_digits_and_nested_values_stay_json() -> None:
    line = '{"a": 1.10, "b": 12345678901234567890123, "c": {"d": [1.0, "é", null]}, "e": null, "f": true, "g": 1E5}'
    expected = {
        "a": "1.10",
        "b": "12345678901234567890123",
        "c": '{"d": [1.0, "é", null]}',
        "e": "",
        "f": "true",
        "g": "1E5",
    }
    assert read(f"\n{line}\r\n\n{{}}") == [(2, expected), (4, {})]


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_every_object_comes_out_as_it_went_in(value: dict[str, object]) -> None:
    [(_, texts)] = read(json.dumps(value))
    for name, item in value.items():
        if item is None or isinstance(item, str):
            assert texts[name] == (item or "")
        else:
            assert json.loads(texts[name]) == item


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1', "not valid JSON"),
        ("[1]", "not a JSON object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a": ' + "[" * 3000 + "]" * 3000 + "}", "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(line: str, reason: str) -> None:
    with pytest.raises(DomainError, match=f"Line 2 is.*{reason}") as caught:
        read('{"a": 1}\n' + line + "\n")
    assert caught.value.slug == "broken-file"
    source = io.StringIO('{"a": 1}\n' + line + '\n{"a": 2}\n', newline="")
    assert list(read_objects(source, 10_000, is_strict=False)) == [(1, {"a": "1"}), (3, {"a": "2"})]


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert read('{"a": "\\\\u0000"}') == [(1, {"a": "\\u0000"})]


def test_a_giant_line_is_refused() -> None:
    with pytest.raises(DomainError, match="Line 2") as caught:
        read('{"a": 1}\n{"a": "' + "x" * 200 + '"}', 100)
    assert caught.value.slug == "giant-line"
