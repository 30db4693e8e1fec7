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
# A moment that lies ahead cannot stand in a file.
SET_TOMORROW = """\
insomnia.environment.set("tomorrow", new Date(Date.now() + 86400000).toISOString());"""
# What the environment starts with; ids are filled in by the requests that make something.
ENVIRONMENT = {
    "base_url": "http://localhost:7012",
    "email": "admin@localhost",
    "password": "the password in var/admin.txt",
    "token": "",
    "refresh": "",
    "tomorrow": "",
}
# Values of members that no rule below can guess and whose schema has no example; what stands in {{ }} comes
# from the environment. Optional members that are not here and have no example and no default are left out.
EXAMPLES: Json = {
    "email": "ana@example.org",
    "username": "ana",
    "password": "an angel visits polo 7",
    "current": "{{ _.password }}",
    "new": "an angel visits polo 8",
    "name": "Ana Souza",
    "country": "Brasil",
    "date_of_birth": "1990-05-17",
    "account_balance": "100.00",
    "file_id": "{{ _.file_id }}",
    "input_file_id": "{{ _.file_id }}",
    "rules_id": "{{ _.rules_id }}",
    "until": "{{ _.tomorrow }}",
    "text": "Seen.",
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
# Parts without which a form is whole; others that the schema does not require stand in place of an id.
SPARE_PARTS = ("reference", "reference_file")


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
    request: Json = {
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
    if "{{ _.tomorrow }}" in request["body"].get("text", ""):
        request["scripts"] = {"preRequest": Text(SET_TOMORROW)} | request["scripts"]
    return {name: value for name, value in request.items() if value}


def _body(operation: Operation, openapi: Json) -> Json:
    content = operation.doc.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        schema = _resolve(content["multipart/form-data"]["schema"], openapi)
        return {"mimeType": "multipart/form-data", "params": list(_parts(schema, openapi))}
    if "application/json" not in content:
        return {}
    example = _example(content["application/json"]["schema"], openapi)
    if operation.path.endswith("/auth/login"):
        example = LOGIN
    text = json.dumps(example, indent=2, ensure_ascii=False)
    return {"mimeType": "application/json", "text": Text(text)}


def _parts(schema: Json, openapi: Json) -> Iterator[Json]:
    """The files of a form, and the texts that it cannot do without."""
    for name, inner in sorted(schema["properties"].items()):
        if inner.get("format") == "binary":
            part = {"name": name, "type": "file", "fileName": ""}
            yield part | ({"disabled": True} if name in SPARE_PARTS else {})
        elif name in schema.get("required", []):
            yield {"name": name, "type": "text", "value": str(_example(inner, openapi, name))}


def _example(schema: Json, openapi: Json, name: str = "") -> Any:
    """A value that the service accepts."""
    if _is_told(schema, name):
        return _told(schema, name)
    schema = _resolve(schema, openapi)
    if schema.get("type") == "object":
        required = schema.get("required", [])
        return {
            member: _example(inner, openapi, member)
            for member, inner in sorted(schema.get("properties", {}).items())
            if member in required or _is_told(inner, member)
        }
    if schema.get("type") == "array":
        return [_example(schema["items"], openapi)]
    return _guessed(schema, name)


def _is_told(schema: Json, name: str) -> bool:
    return "example" in schema or "default" in schema or _is_known(schema, name)


def _told(schema: Json, name: str) -> Any:
    if "example" in schema:
        return schema["example"]
    return EXAMPLES[name] if _is_known(schema, name) else schema["default"]


def _is_known(schema: Json, name: str) -> bool:
    """Some members have a name in common and are a list here, a text there."""
    return name in EXAMPLES and isinstance(EXAMPLES[name], list) == (schema.get("type") == "array")


def _guessed(schema: Json, name: str) -> Any:
    """The first or least value. A text is not guessed: what one place takes, another refuses."""
    if "enum" in schema:
        return schema["enum"][0]
    plain = {"boolean": False, "integer": schema.get("minimum", 1), "number": schema.get("minimum", 1)}
    if schema.get("type") not in plain:
        raise ValueError(f"«{name}» is required: give its schema an example, or this file.")
    return plain[schema["type"]]


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
