"""Ids in files: of one line, and those of clients such that they have an address."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.domain.outside_ids import BELOW, STEPS
from src.engine.reading.stretches import Flags
from src.engine.reading.texts import DELETE, flags, views
from src.engine.reading.utf8 import Bytes, Places

CONTROLS = r"[\x00-\x1f\x7f\x{80}-\x{9f}]"
NOWHERE = np.empty(0, np.int64)


def with_any_control(ids: pa.Array) -> Places:
    """Also line ends and tabs, which other texts may have. Most columns are plain, as their bytes show."""
    data = _bytes(ids)
    if not len(data) or (data.min() >= ord(" ") and data.max() < DELETE):
        return NOWHERE
    return flags(pc.match_substring_regex(ids, CONTROLS)).nonzero()[0]


def without_address(ids: pa.Array) -> Places:
    """Most columns have neither a dot nor a slash, which stand side by side in ASCII."""
    if not (_bytes(ids) - ord(".") <= 1).any():
        return NOWHERE
    found: Flags = flags(pc.is_in(ids, pa.array(STEPS, ids.type)))
    for end in BELOW:
        found = found | flags(pc.ends_with(ids, end))
    return found.nonzero()[0]


def _bytes(ids: pa.Array) -> Bytes:
    ends, data = views(ids)
    return data[ends[0] : ends[-1]]
