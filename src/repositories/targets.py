"""Where the rows of a dataset go: what SQL has to know of the table beside the dataset's declaration."""

from collections.abc import Mapping
from dataclasses import dataclass

from src.domain.datasets import ATENDIMENTOS, CLIENTS, EVENTS, TRANSACTIONS, Dataset, Field


@dataclass(frozen=True, kw_only=True)
class Target:
    """A dataset's table. `t` stands for it in the conditions, `s` for the staged rows."""

    dataset: Dataset
    is_present: str = "true"  # which rows count when a key is looked up
    has_versions: bool = True  # whether a row may change after it was made
    on_update: str = ""  # what else an upsert sets in a row that it changes
    counted: Mapping[str, str] | None = None  # rollups, by the files that an import brings its counts in
    has_counts: str = ""  # the function that keeps others from adding, and says if anything was added yet
    merge: str = ""  # the function that adds them
    keys: str = ""  # the table of its keys, where its own has no index on them
    # What a key repeats: the record `t`, and the import that it came from.
    as_record: str = "'It is record ' || t.id || coalesce(' of import ' || t.import_id, '') || '.'"

    def column(self, field: Field) -> str:
        """The column of the table that a field goes to."""
        if field.reference:
            return field.reference.key
        if field.name == self.dataset.key:
            return self.dataset.key_column or field.name
        return field.name

    def value(self, field: Field) -> str:
        """What goes there from a staged row, apart from references, which are joined."""
        value = f's."{field.name}"'
        if field.type == "datetime" and self.dataset.time_zone:
            value = f"({value} AT TIME ZONE '{self.dataset.time_zone}')"
        if field.default is not None:
            value = f"coalesce({value}, '{field.default}')"
        return value


TARGETS: dict[str, Target] = {
    target.dataset.name: target
    for target in (
        Target(
            dataset=ATENDIMENTOS,
            is_present="t.deleted_at IS NULL",
            counted={
                "months": "indicator_month",
                "clients": "indicator_client_stretch",
                "angels": "indicator_angel",
                "polos": "indicator_polo",
            },
            has_counts="atendimento_has_counts",
            merge="atendimento_merge_counted",
        ),
        Target(
            dataset=CLIENTS,
            on_update="deleted_at = NULL",
        ),
        Target(dataset=TRANSACTIONS, has_versions=False, keys="transaction_key"),
        Target(dataset=EVENTS, has_versions=False),
    )
}


def made_on_the_way() -> list[str]:
    """The tables whose rows imports make because other rows name them."""
    references = (field.reference for target in TARGETS.values() for field in target.dataset.fields)
    return sorted({reference.table for reference in references if reference and reference.is_made})
