"""Writes the Insomnia collection from the OpenAPI document: a folder per tag, a request per operation.

It is a function of the document alone, so that the file under version control can be compared with it.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Json = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
REMEMBER_TOKENS = """\
const answer = insomnia.response.json();
insomnia.environment.set("token", answer.access);
insomnia.environment.set("refresh", answer.refresh);"""
REMEMBER_ID = """\
const answer = insomnia.response.json();
insomnia.environment.set("{name}", answer.id);"""
# What the environment starts with; ids are filled in by the requests that make something.
ENVIRONMENT = {
    "base_url": "http://localhost:7012",
    "email": "admin@localhost",
    "password": "the password in var/admin.txt",
    "token": "",
    "refresh": "",
}
# Values of members that no rule below can guess; what stands in {{ }} comes from the environment.
EXAMPLES: Json = {
    "email": "ana@example.org",
    "username": "ana",
    "password": "an angel visits polo 7",
    "current": "{{ _.password }}",
    "new": "an angel visits polo 8",
    "name": "Ana Souza",
    "refresh": "{{ _.refresh }}",
    "scopes": ["files:read", "files:write"],
    "id_cliente": 7,
    "id_atendimento": 700,
    "angel": "Rita",
    "polo": "Centro",
    "data_limite": "2021-06-30 15:30",
    "data_de_atendimento": "2021-06-30 14:00",
    "date_order": "ymd",
    "status": "DONE",
}
LOGIN = {"email": "{{ _.email }}", "password": "{{ _.password }}"}


class Operation(NamedTuple):
    """One method of one path, with the parameters that the path's operations share."""

    method: str
    path: str
    doc: Json
    parameters: list[Json]

    @property
    def answer(self) -> Json:
        """The schema of what comes back when all goes well; empty when that is no JSON."""
        success = next(code for code in self.doc["responses"] if code.startswith("2"))
        content = self.doc["responses"][success].get("content", {})
        schema: Json = content.get("application/json", {}).get("schema", {})
        return schema


class Text(str):
    """A string that is written as a block, line by line."""

    __slots__ = ()


class Dumper(yaml.SafeDumper):
    """Blocks for scripts and bodies, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_block(dumper: yaml.SafeDumper, text: Text) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")


Dumper.add_representer(Text, _as_block)


def workspace(openapi: Json) -> Json:
    """The collection as plain values."""
    operations = list(operations_of(openapi))
    folders = []
    for place, tag in enumerate(openapi["tags"]):
        mine = [operation for operation in operations if operation.doc["tags"][0] == tag["name"]]
        meta = {"id": _id("fld", tag["name"]), "description": tag["description"], "sortKey": place}
        children = [_request(operation, openapi, number) for number, operation in enumerate(mine)]
        folders.append({"name": tag["name"], "meta": meta, "children": children})
    ids = dict.fromkeys(sorted(name for operation in operations for name in _path_names(operation.path)), "")
    info = openapi["info"]
    environment = {"name": "Base Environment", "meta": {"id": _id("env", "base")}, "data": ENVIRONMENT | ids}
    return {
        "type": "collection.insomnia.rest/5.0",
        "schema_version": "5.1",
        "name": info["title"],
        "meta": {"id": _id("wrk", info["title"]), "description": info["description"]},
        "collection": folders,
        "cookieJar": {"name": "Default Jar", "meta": {"id": _id("jar", info["title"])}},
        "environments": environment,
    }


def operations_of(openapi: Json) -> Iterator[Operation]:
    """Sorted, so that the order of the document's members changes nothing."""
    for path, members in sorted(openapi["paths"].items()):
        for method in METHODS:
            if method in members:
                doc = members[method]
                parameters = [*members.get("parameters", []), *doc.get("parameters", [])]
                yield Operation(method.upper(), path, doc, parameters)


def write(openapi: Json) -> str:
    """The collection as YAML."""
    text: str = yaml.dump(workspace(openapi), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text


def _request(operation: Operation, openapi: Json, place: int) -> Json:
    summary = operation.doc["summary"]
    token = {"type": "bearer", "token": "{{ _.token }}", "prefix": "Bearer"}
    request = {
        "url": "{{ _.base_url }}" + re.sub(r"\{(\w+)\}", r"{{ _.\1 }}", operation.path),
        "name": summary.split(". ")[0].rstrip("."),
        "meta": {
            "id": _id("req", f"{operation.method} {operation.path}"),
            "description": summary,
            "sortKey": place,
        },
        "method": operation.method,
        "body": _body(operation, openapi),
        "parameters": [_parameter(found) for found in operation.parameters if found["in"] == "query"],
        "headers": [_header(found) for found in operation.parameters if found["in"] == "header"],
        "authentication": token if operation.doc.get("security") else {"type": "none"},
        "scripts": {"afterResponse": Text(script)} if (script := _script(operation, openapi)) else {},
    }
    return {name: value for name, value in request.items() if value}


def _body(operation: Operation, openapi: Json) -> Json:
    content = operation.doc.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        schema = _resolve(content["multipart/form-data"]["schema"], openapi)
        files = [name for name, one in schema["properties"].items() if one.get("format") == "binary"]
        parts = [{"name": name, "type": "file", "fileName": ""} for name in sorted(files)]
        return {"mimeType": "multipart/form-data", "params": parts}
    if "application/json" not in content:
        return {}
    example = _example(content["application/json"]["schema"], openapi)
    if operation.path.endswith("/auth/login"):
        example = LOGIN
    text = json.dumps(example, indent=2, ensure_ascii=False)
    return {"mimeType": "application/json", "text": Text(text)}


def _example(schema: Json, openapi: Json, name: str = "") -> Any:
    """A value that the schema allows."""
    schema = _resolve(schema, openapi)
    if name in EXAMPLES:
        return EXAMPLES[name]
    if schema.get("type") == "object":
        members = sorted(schema.get("properties", {}).items())
        return {member: _example(inner, openapi, member) for member, inner in members}
    if schema.get("type") == "array":
        return [_example(schema["items"], openapi)]
    plain = {"boolean": False, "integer": 1, "number": 1, "string": ""}
    kinds = schema.get("type", "string")
    if isinstance(kinds, list) and "null" in kinds:
        return schema.get("default")
    kinds = kinds[0] if isinstance(kinds, list) else kinds
    return schema.get("example", schema.get("default", next(iter(schema.get("enum", [])), plain.get(kinds))))


def _parameter(found: Json) -> Json:
    """Optional ones are there to be switched on."""
    schema = found["schema"]
    value = str(schema.get("default", next(iter(schema.get("enum", [])), "")))
    parameter = {"name": found["name"], "value": value, "disabled": not found.get("required")}
    return parameter | ({"description": found["description"]} if "description" in found else {})


def _header(found: Json) -> Json:
    value = "{% uuid 'v4' %}" if found["name"] == "Idempotency-Key" else ""
    return {"name": found["name"], "value": value, "disabled": not found.get("required")}


def _script(operation: Operation, openapi: Json) -> str:
    """What to remember of the answer: the tokens of a login, the id of something new."""
    members = _resolve(operation.answer, openapi).get("properties", {})
    if {"access", "refresh"} <= members.keys():
        return REMEMBER_TOKENS
    name = _made(operation, openapi) if operation.method == "POST" and "id" in members else ""
    return REMEMBER_ID.format(name=name) if name else ""


def _made(operation: Operation, openapi: Json) -> str:
    """The path parameter that names what this makes: its own collection's, or that of what it answers."""
    single = [other for other in operations_of(openapi) if other.method == "GET" and other.path.endswith("}")]
    for other in single:
        if other.path.rpartition("/")[0] == operation.path:
            return _path_names(other.path)[-1]
    return next((_path_names(other.path)[-1] for other in single if other.answer == operation.answer), "")


def _resolve(schema: Json, openapi: Json) -> Json:
    if "$ref" not in schema:
        return schema
    found: Json = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _path_names(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def _id(prefix: str, name: str) -> str:
    return f"{prefix}_{hashlib.sha256(name.encode()).hexdigest()[:32]}"


if __name__ == "__main__":
    source, target = sys.argv[1:3]
    Path(target).write_text(write(json.loads(Path(source).read_text(encoding="utf-8"))), encoding="utf-8")
    sys.stdout.write(f"{target} is written\n")
