"""A formula → columns of the engine. What the tree means is said once, in `src/domain/formulas`."""

from src.engine.formulas.compiling import aggregates_in, as_cells, compute, compute_aggregate
from src.engine.formulas.computed import Computed, data_type
from src.engine.formulas.texts import as_text

__all__ = [
    "Computed",
    "aggregates_in",
    "as_cells",
    "as_text",
    "compute",
    "compute_aggregate",
    "data_type",
]
