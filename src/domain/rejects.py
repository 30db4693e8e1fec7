"""Why a row is not loaded: stable codes, and a sentence for each that a clerk can act on."""

from collections.abc import Iterable
from dataclasses import dataclass

WHOLE_ROW = ""  # the column of a fault that concerns the row as a whole

# Rows without a sound shape, so that nothing is known of their values.
SHAPELESS = frozenset(("wrong_column_count", "broken_quotes", "invalid_encoding", "giant_line", "not_json"))
# Cells of a workbook that hold no value to trust.
CELL_ERRORS = ("error_value", "unsaved_formula", "inexact_number")
# Rows that are there already; everything else is wrong with the row itself.
DUPLICATES = frozenset(("duplicate", "already_there", "already_loaded"))

MESSAGES = {
    "wrong_column_count": "This row has more or fewer columns than the header. Check delimiters and quotes.",
    "broken_quotes": "A quote is never closed, or text follows a closing quote. Double it or remove it.",
    "invalid_encoding": "This row holds bytes that are no text in the file's encoding. Save it as UTF-8.",
    "giant_line": "This row is longer than is allowed.",
    "not_json": "This line is no JSON object.",
    "error_value": "This cell of the workbook holds an error. Correct its formula, or empty it.",
    "unsaved_formula": "This formula was saved without its result. "
    "Open the workbook in a spreadsheet program and save it.",
    "inexact_number": "A number of so many digits loses some in a workbook. Format the column as text.",
    "missing": "This value is required, and empty.",
    "too_long": "This value is longer than is allowed here.",
    "control_character": "This value holds a character that no text has, such as NUL. Remove it.",
    "not_a_number": "This is not a number.",
    "too_many_decimals": "This number has more decimals than are kept here.",
    "out_of_range": "This value is outside of what is allowed here.",
    "not_a_date": "This is not a date that exists, written as the other dates of the file.",
    "not_an_email": "This is not an e-mail address.",
    "unknown_choice": "This is none of the values allowed here.",
    "not_a_code": "This must be a code of three letters.",
    "wrong_sign": "The sign of this number does not fit the type of the row.",
    "duplicate": "This key stands on an earlier line of the file already.",
    "already_there": "This key is in the table already.",
    "already_loaded": "This line is none of those still refused. It was left as it is.",
    "unknown_client": "There is no client of this id. Import the client first, or correct the id.",
    "not_rising": "Events are kept in the order of t, and this t is not above the latest.",
    "email_taken": "Another client has this e-mail address already.",
    "refused": "The database refused this row.",
}


def is_duplicate(codes: Iterable[str]) -> bool:
    """Whether a row with these faults is nothing worse than there already."""
    return DUPLICATES.issuperset(codes)


@dataclass(frozen=True, slots=True)
class Reject:
    """One fault of a row: the line that it starts on, the column, a code, and the value that stands there."""

    line: int
    column: str
    code: str
    value: str = ""
    detail: str = ""

    @property
    def message(self) -> str:
        return f"{MESSAGES[self.code]} {self.detail}".rstrip()
