"""Datasets: what can be imported, and which headers are understood."""

from typing import Any

from src.api.blueprint import VIEWER, Blueprint
from src.api.schemas.datasets import DatasetsSchema
from src.domain.datasets import DATASETS

blp = Blueprint("datasets", url_prefix="/api/v1/datasets", description="What can be imported.")


@blp.get("", needs=VIEWER)
@blp.response(200, DatasetsSchema)
def list_datasets() -> Any:
    """The datasets, their fields, and the headers that mean them."""
    return {"data": list(DATASETS.values())}
