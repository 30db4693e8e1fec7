"""flask files and flask storage."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from src.cli.database import pair_store
from src.integrations.storage_disk import DiskStorage
from src.wiring import EXTENSION, Adapters, Services
from tests.cli.conftest import Run
from tests.factories.accounts import Caller

Json = Callable[..., Any]
CONTENT = b"nome;valor\r\nAna;1,50\r\nRui;2,25\r\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "valores.csv"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def stored(run_json: Json, source: Path, operator: Caller) -> dict[str, Any]:
    put: dict[str, Any] = run_json("files", "put", str(source), "--as", operator.email)
    return put


def test_a_put_file_belongs_to_its_account(stored: dict[str, Any], operator: Caller) -> None:
    assert stored["detected"]["delimiter"] == ";"
    answer = operator.get(f"/api/v1/files/{stored['id']}/content")
    assert answer.data == CONTENT


def test_what_is_no_table_is_refused_and_leaves_nothing(
    run: Run, operator: Caller, tmp_path: Path, adapters: Adapters
) -> None:
    program = tmp_path / "table.csv"
    program.write_bytes(b"\x7fELF" + b"\x00" * 2_000)
    run("files", "put", str(program), "--as", operator.email, code=1)
    assert "swept 0" in run("storage", "sweep", "--minutes", "0").output


def test_putting_needs_a_file_and_an_account(
    run: Run, source: Path, tmp_path: Path, operator: Caller
) -> None:
    run("files", "put", str(tmp_path / "nothing.csv"), "--as", operator.email, code=2)
    run("files", "put", str(source), "--as", "nobody@example.org", code=1)


def test_the_list_shows_names_and_sizes(run: Run, run_json: Json, stored: dict[str, Any]) -> None:
    assert stored["id"] in {row["id"] for row in run_json("files", "list")}
    assert f"valores.csv\t{len(CONTENT)}" in run("files", "list").stdout


def test_a_file_comes_back_to_a_path_or_to_stdout(run: Run, stored: dict[str, Any], tmp_path: Path) -> None:
    target = tmp_path / "back.csv"
    run("files", "get", stored["id"], str(target))
    assert target.read_bytes() == CONTENT
    assert run("files", "get", stored["id"]).stdout_bytes == CONTENT


def test_getting_an_unknown_file_fails(run: Run) -> None:
    run("files", "get", "01a1fbb9-d3d2-716b-bf41-df3a54a91899", code=1)


def test_fsck_finds_what_is_missing_or_changed(
    run: Run, run_json: Json, stored: dict[str, Any], adapters: Adapters
) -> None:
    run("storage", "fsck", "--deep")
    path = next(path for path in Path(adapters.settings.storage_url).rglob("*") if _holds(path, CONTENT))
    path.write_bytes(CONTENT.replace(b"Ana", b"Eva"))
    run("storage", "fsck")
    assert stored["id"] in run("storage", "fsck", "--deep", code=1).stdout
    path.write_bytes(b"short")
    assert "another size" in run("storage", "fsck", code=1).stdout
    path.unlink()
    assert stored["id"] in run("storage", "fsck", "--json", code=1).stdout


def test_a_sweep_deletes_what_no_file_names(run: Run, stored: dict[str, Any], adapters: Adapters) -> None:
    with adapters.storage.create("files/aa/bb/orphan") as upload:
        upload.write(b"nobody's")
        upload.finish()
    assert "swept 0" in run("storage", "sweep").output
    assert "swept 1" in run("storage", "sweep", "--minutes", "0").output


def test_a_store_is_adopted_after_a_question(run: Run, run_json: Json, services: Services) -> None:
    run("storage", "adopt", code=1, typed="n\n")
    assert services.stores.mark() is None
    adopted = run_json("storage", "adopt", "--yes")["store_id"]
    services.stores.check()
    assert str(services.stores.mark()) == adopted


def test_the_first_start_pairs_the_database_with_its_store(run: Run, services: Services) -> None:
    pair_store()
    services.stores.check()
    assert services.stores.mark() is not None


def test_a_full_store_does_not_keep_an_upgrade_from_its_end(
    app: Flask, adapters: Adapters, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    full = DiskStorage(Path(adapters.settings.storage_url), reserve_bytes=2**62)
    app.extensions[EXTENSION] = replace(adapters, storage=full)
    pair_store()
    assert "could not be marked" in capsys.readouterr().err
    app.extensions[EXTENSION] = adapters
    services.stores.check()
    assert services.stores.mark() is None


def _holds(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content
