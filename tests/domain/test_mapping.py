"""Headers as offices write them, and the fields that they mean."""

import pytest

from src.domain.datasets import ATENDIMENTOS, CLIENTS, DATASETS, TRANSACTIONS, Dataset
from src.domain.mapping import BadMapping, MissingColumns, check_mapping, mapping_of, normalised, propose


@pytest.mark.parametrize(
    ("header", "means"),
    [
        ("Id Cliente", "id_cliente"),
        ("ID_CLIENTE", "id_cliente"),
        (" id-cliente ", "id_cliente"),
        ("Código do Cliente", "id_cliente"),
        ("Data Límite", "data_limite"),
        ("Prazo", "data_limite"),
        ("Data de Atendimnto", "data_de_atendimento"),
        ("Anjo", "angel"),
        ("Situação", "status"),
        ("Observações", None),
        ("", None),
    ],
)
def test_a_header_means_a_field(header: str, means: str | None) -> None:
    assert list(mapping_of(propose(ATENDIMENTOS, [header]))) == ([means] if means else [])


def test_what_is_only_like_a_field_is_proposed_and_not_taken() -> None:
    (proposal,) = propose(CLIENTS, ["emial adress"])
    assert (proposal.field, proposal.match) == ("email", "proposed")
    assert mapping_of([proposal]) == {}


def test_the_surest_match_wins_and_nothing_is_used_twice() -> None:
    mapping = mapping_of(propose(TRANSACTIONS, ["Data", "date", "transaction_date", "tipo", "Type"]))
    assert mapping["transaction_date"] == "transaction_date"
    assert len(set(mapping.values())) == len(mapping)


@pytest.mark.parametrize("headers", [["NAME", "Name", "name"], ["name", "NAME"], ["Náme", " name", "name"]])
def test_a_header_that_is_the_very_name_goes_before_those_that_are_like_it(headers: list[str]) -> None:
    assert mapping_of(propose(CLIENTS, headers)) == {"name": "name"}


def test_a_header_in_other_letters_is_no_field() -> None:
    assert normalised("Имя Клиента") == "имя клиента"
    assert propose(CLIENTS, ["Имя", "名前"]) == []


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda dataset: dataset.name)
def test_every_name_and_other_name_of_a_field_leads_to_it_alone(dataset: Dataset) -> None:
    seen: dict[str, str] = {}
    for field in dataset.fields:
        for name in {normalised(name) for name in (field.name, *field.aliases)}:
            assert seen.setdefault(name, field.name) == field.name
            assert mapping_of(propose(dataset, [name])) == {field.name: name}


def test_a_mapping_is_checked_against_the_file_and_the_dataset() -> None:
    with pytest.raises(BadMapping) as caught:
        check_mapping(CLIENTS, {"nme": "a", "name": "b", "email": "c", "country": "c"}, ["a", "c"])
    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/mapping/nme", "unknown_field"),
        ("/mapping/name", "unknown_column"),
        ("/mapping/email", "used_twice"),
        ("/mapping/country", "used_twice"),
    ]


def test_a_header_that_stands_there_twice_cannot_be_meant() -> None:
    mapping = {"client_id": "id", "name": "name", "email": "mail", "date_of_birth": "born"}
    with pytest.raises(BadMapping) as caught:
        check_mapping(CLIENTS, mapping, ["id", "name", "mail", "born", "mail"])
    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/mapping/email", "ambiguous_column")
    ]


def test_what_is_missing_is_named_with_what_was_found_and_what_is_accepted() -> None:
    with pytest.raises(
        MissingColumns, match="Missing: name, email, date_of_birth. Found: id, saldo"
    ) as caught:
        check_mapping(CLIENTS, {"client_id": "id"}, ["id", "saldo"])
    assert "nascimento" in caught.value.errors[2].message
