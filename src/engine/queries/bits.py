"""A set of row numbers, one bit a row: fifty million rows take six megabytes."""

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]


class Bits:
    """As long as it must be to be asked about all rows that it covers; several threads may change it.

    The first row is the highest bit of the first byte, as in a BIT of DuckDB.
    """

    def __init__(self, rows: int) -> None:
        import numpy as np

        self._bytes = np.zeros(rows // 8 + 1, np.uint8)
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._bytes.any())

    def cover(self, rows: "Numbers") -> None:
        """Be long enough for these."""
        import numpy as np

        with self._lock:
            if len(rows) and (missing := int(rows.max()) // 8 + 1 - len(self._bytes)) > 0:
                more = np.zeros(max(missing, len(self._bytes)), np.uint8)
                self._bytes = np.concatenate([self._bytes, more])

    def add(self, rows: "Numbers") -> None:
        import numpy as np

        self.cover(rows)
        with self._lock:
            np.bitwise_or.at(self._bytes, rows >> 3, _bit(rows))

    def remove(self, rows: "Numbers") -> None:
        import numpy as np

        with self._lock:
            np.bitwise_and.at(self._bytes, rows >> 3, ~_bit(rows))

    def has(self, rows: "Numbers") -> "NDArray[np.bool_]":
        found: NDArray[np.bool_] = (self._bytes[rows >> 3] & _bit(rows)) != 0
        return found

    def among(self, first: int, count: int) -> "NDArray[np.bool_]":
        """Which of so many rows, one after the other, are in it."""
        import numpy as np

        skipped = first % 8
        some = np.unpackbits(self._bytes[first // 8 : (first + count + 7) // 8])
        found: NDArray[np.bool_] = some[skipped : skipped + count].view(np.bool_)
        return found

    def to_bytes(self) -> bytes:
        return self._bytes.tobytes()


def _bit(rows: "Numbers") -> "NDArray[np.uint8]":
    import numpy as np

    return (128 >> (rows & 7)).astype(np.uint8)
