"""Documents that people write, as JSON or YAML: read strictly, and within bounds."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from src.domain.errors import Invalid, TooLarge

LARGEST = 64 * 1024
DEEPEST = 20


class BadDocument(Invalid):
    slug = "bad-document"
    title = "The document can't be read"


class _Loader(yaml.SafeLoader):
    """Plain values only: no tags, no aliases, no key twice; dates and such stay texts."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refused("aliases and anchors (& and *) are not allowed", event.start_mark)
        if getattr(event, "tag", None):
            raise _refused("tags (! and !!) are not allowed", event.start_mark)
        self.depth += 1
        if self.depth > DEEPEST:
            raise _refused(f"it is nested more than {DEEPEST} levels deep", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if not isinstance(key, str):
                raise _refused("expected a name before «:»", name.start_mark)
            if key in seen:
                raise _refused(f"the key «{key}» is there twice", name.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# As in JSON: true and false, whole numbers and decimals, null; `no`, 12:30 and 2024-01-01 are texts.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _starts in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]{0,17})$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}$", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_starts))


def read_document(content: bytes) -> Any:
    """What a JSON or YAML document says."""
    if len(content) > LARGEST:
        raise TooLarge(f"A document has at most {LARGEST // 1024} KiB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDocument(f"It is not UTF-8: see the byte at place {error.start:,}.") from error
    value = _json(text) if text.lstrip()[:1] in ("{", "[") else _yaml(text)
    if not all(map(_can_be_kept, _texts(value))):
        raise BadDocument("The character U+0000 and halves of surrogate pairs are not allowed.")
    return value


def _json(text: str) -> Any:
    try:
        value = json.loads(text, object_pairs_hook=_without_twins, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadDocument(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"It is not JSON as it should be: {str(error)[:200]}.") from error
    if _depth(value) > DEEPEST:
        raise BadDocument(f"It is nested more than {DEEPEST} levels deep.")
    return value


def _yaml(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506  a SafeLoader, and stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"Line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise BadDocument(f"{place}{error.problem}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadDocument(f"It is neither JSON nor YAML: {str(error)[:200]}.") from error


def _refused(what: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=what, problem_mark=mark)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in counts if counts[name] > 1)
        raise ValueError(f"the key «{twice}» is there twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _texts(value: Any) -> Iterator[str]:
    """Every text in it, names included; it is not deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def _can_be_kept(text: str) -> bool:
    """Escapes bring what UTF-8 has not, and what PostgreSQL takes for an end."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _depth(value: Any) -> int:
    """Level by level, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (
                outer.values() if isinstance(outer, Mapping) else outer if isinstance(outer, list) else ()
            )
        ]
    return depth
