"""Lines of a regular file beside those that we would write: where they are the same, they can be copied."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Places = NDArray[np.int64]

HASH = ord("#")  # DuckDB quotes texts with one, which many readers take for a comment
SIGNS = b"'=+-@\t\r"  # what a spreadsheet takes for the beginning of a formula, or a mark of ours before it


@dataclass(frozen=True)
class Lines:
    """Some bytes of a file that are whole records, and where in them its marks stand.

    `marks` are all delimiters, `delimiters` those outside quotes.
    """

    data: "NDArray[np.uint8]"
    quotes: "Places"
    marks: "Places"
    delimiters: "Places"
    ends: "Places"

    def are_as_written(self) -> bool:
        """None is blank; cells with a delimiter, a quote or a «#» inside are quoted, and no others."""
        import numpy as np

        hashes = np.flatnonzero(self.data == HASH)
        if (np.searchsorted(self.quotes, hashes) % 2 == 0).any():
            return False
        marks = np.sort(np.concatenate([self.marks, hashes])) if len(hashes) else self.marks
        opening, closing = self.quotes[::2], self.quotes[1::2]
        is_needed = np.searchsorted(marks, closing) > np.searchsorted(marks, opening)
        is_pair = opening[1:] == closing[:-1] + 1
        is_needed[1:] |= is_pair
        is_needed[:-1] |= is_pair
        return bool(is_needed.all() and np.diff(self.ends, prepend=-1).min() > 1)

    def signed_columns(self, width: int) -> set[int]:
        """The columns in which a cell begins with such a sign, within its quotes if it has some."""
        import numpy as np

        is_sign = np.zeros(256, np.bool_)
        is_sign[list(SIGNS)] = True
        begins = (np.zeros(1, np.int64), self.delimiters + 1, self.ends[:-1] + 1, self.quotes[::2] + 1)
        places = np.concatenate([some[is_sign[self.data[some]]] for some in begins])
        before = np.searchsorted(self.ends, places) * (width - 1)
        return set(np.unique(np.searchsorted(self.delimiters, places) - before).tolist())
