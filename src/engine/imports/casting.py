"""A column of texts as the values of a field, and what is wrong with the others: each type in one pass."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from src.domain.datasets import FieldType, SignRule
from src.domain.outside_ids import NO_ADDRESS, ONE_LINE
from src.domain.rejects import CELL_ERRORS
from src.engine.imports.amounts import are_above_zero, are_below_zero, are_outside, read_amounts
from src.engine.imports.clocks import DAY
from src.engine.imports.identifiers import with_any_control, without_address
from src.engine.imports.moments import Moments, as_dates, as_timestamps, day_number, read_days, read_moments
from src.engine.imports.plans import LoadPlan, MappedColumn
from src.engine.reading.cell_errors import code_of
from src.engine.reading.faults import Found
from src.engine.reading.stretches import Flags
from src.engine.reading.texts import Texts, each_distinct, flags, texts_of, with_controls, without
from src.engine.reading.utf8 import Places
from src.engine.values import DateOrder

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x{80}-\x{10FFFF}-]+"
_LABEL = r"[A-Za-z0-9\x{80}-\x{10FFFF}](?:[A-Za-z0-9\x{80}-\x{10FFFF}-]{0,61}[A-Za-z0-9\x{80}-\x{10FFFF}])?"
EMAIL = rf"\A{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}\z"
SPACE = r"[\s\x{85}\x{A0}\x{1680}\x{2000}-\x{200B}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}]"
LONGEST_LOCAL_PART = r"\A[^@]{65}"
CODE = r"\A[A-Za-z]{3}\z"
READ_AS: Mapping[DateOrder, str] = {
    "ymd": "It was read as year-month-day.",
    "dmy": "It was read as day/month/year.",
    "mdy": "It was read as month/day/year.",
}


@dataclass
class Cast:
    """One column on its way: its texts, the faults so far, and in the end its values."""

    column: MappedColumn
    header: str
    zone: str
    texts: Texts
    faults: list[Found] = field(default_factory=list)
    values: pa.Array = None

    def refuse(self, code: str, rows: Places, detail: str = "") -> None:
        """These rows have this fault; a row has only one per column, the first that is found."""
        if self.faults and len(rows):
            rows = np.setdiff1d(rows, np.concatenate([found.rows for found in self.faults]))
        if len(rows):
            values = self.texts.original.take(pa.array(rows))
            self.faults.append(Found(code, rows, values, detail, self.header))


def cast_columns(
    plan: LoadPlan,
    columns: Sequence[pa.Array],
    rules: Sequence[SignRule] = (),
    errors: Sequence[Places] = (),
) -> tuple[list[pa.Array], list[Found]]:
    """All columns of a batch; faulty values are null or anything. Cells with `errors` are refused as such."""
    casts = {}
    for place, (column, texts) in enumerate(zip(plan.columns, columns, strict=True)):
        cast = Cast(column, plan.header(column), plan.time_zone, texts_of(texts))
        if errors:
            _refuse_errors(cast, errors[place])
        _cast(cast)
        casts[column.field.name] = cast
    for rule in rules:
        _check_sign(rule, casts)
    return [cast.values for cast in casts.values()], [
        fault for cast in casts.values() for fault in cast.faults
    ]


def _refuse_errors(cast: Cast, rows: Places) -> None:
    """Each with the code of what is wrong with it, which its text shows."""
    texts = cast.texts.original.take(pa.array(rows)).to_pylist()
    codes = np.array([code_of(text) for text in texts], object)
    for code in CELL_ERRORS:
        cast.refuse(code, rows[codes == code])


def _cast(cast: Cast) -> None:
    cast.refuse("control_character", with_controls(cast.texts))
    if cast.column.field.is_required:
        cast.refuse("missing", np.flatnonzero(cast.texts.is_empty))
    _READERS[cast.column.field.type](cast)


def _read_text(cast: Cast) -> None:
    """Names and other texts; `upper` writes them in capitals."""
    values = cast.texts.trimmed
    _keep(cast, pc.utf8_upper(values) if cast.column.field.upper else values)


def _read_identifier(cast: Cast) -> None:
    """As it stands: leading zeros make another one."""
    ids = cast.texts.trimmed
    cast.refuse("control_character", with_any_control(ids), ONE_LINE)
    if cast.column.field.is_addressed:
        cast.refuse("out_of_range", without_address(ids), NO_ADDRESS)
    _keep(cast, ids)


def _read_email(cast: Cast) -> None:
    values = cast.texts.trimmed
    is_one = flags(pc.match_substring_regex(values, EMAIL))
    is_one &= ~flags(pc.match_substring_regex(values, SPACE))
    is_one &= ~flags(pc.match_substring_regex(values, LONGEST_LOCAL_PART))
    cast.refuse("not_an_email", np.flatnonzero(~is_one & ~cast.texts.is_empty))
    _keep(cast, pc.utf8_lower(values))


def _read_choice(cast: Cast) -> None:
    """Any case will do; what is kept is how the choice is declared."""
    choices = cast.column.field.choices
    known = {choice.casefold(): choice for choice in choices}
    codes, found = each_distinct(cast.texts.trimmed, lambda text: known.get(text.casefold()))
    cast.values = pa.array(found, pa.string()).take(pa.array(codes))
    unknown = flags(cast.values.is_null()) & ~cast.texts.is_empty
    cast.refuse("unknown_choice", np.flatnonzero(unknown), f"Allowed: {', '.join(choices)}.")


def _read_code(cast: Cast) -> None:
    values = cast.texts.trimmed
    is_one = flags(pc.match_substring_regex(values, CODE))
    cast.refuse("not_a_code", np.flatnonzero(~is_one & ~cast.texts.is_empty))
    in_case = pc.ascii_upper if cast.column.field.upper else pc.ascii_lower
    cast.values = without(in_case(values), cast.texts.is_empty)


def _read_decimal(cast: Cast) -> None:
    wanted = cast.column.field
    amounts = read_amounts(cast.texts, cast.column.decimal, wanted.digits, wanted.places)
    mark_told = f"a decimal {'comma' if cast.column.decimal == ',' else 'point'}"
    details = {
        "not_a_number": f"It was read with {mark_told}: write it as {_example(cast.column)}.",
        "too_many_decimals": f"At most {wanted.places}, behind {mark_told}.",
        "out_of_range": f"At most {wanted.digits - wanted.places} digits before the decimal mark.",
    }
    for code in sorted(amounts.faults):
        cast.refuse(code, amounts.faults[code], details.get(code, ""))
    low, high = wanted.lowest, wanted.highest
    if low is not None or high is not None:
        is_out = are_outside(amounts.values, low, high)
        cast.refuse("out_of_range", np.flatnonzero(is_out), _bounds(low, high))
    cast.values = amounts.values


def _example(column: MappedColumn) -> str:
    """A number as it is read: most that are refused have the other mark."""
    places = column.field.places
    return f"1234{column.decimal}{'50'[:places]}" if places else "1234"


def _bounds(low: Decimal | None, high: Decimal | None) -> str:
    return f"At least {low}." if high is None else f"From {low or 0} to {high}."


def _read_date(cast: Cast) -> None:
    found = read_days(cast.texts, cast.column.date_order)
    _refuse_undated(cast, found)
    _check_bounds(cast, found.values, found.is_read)
    cast.values = as_dates(found.values, ~found.is_read)


def _read_datetime(cast: Cast) -> None:
    found = read_moments(cast.texts, cast.column.date_order, cast.zone)
    _refuse_undated(cast, found)
    _check_bounds(cast, found.values // DAY, found.is_read)
    cast.values = as_timestamps(found.values, ~found.is_read)


def _refuse_undated(cast: Cast, found: Moments) -> None:
    unread = np.flatnonzero(~found.is_read & ~cast.texts.is_empty)
    cast.refuse("not_a_date", unread, READ_AS[cast.column.date_order])


def _check_bounds(cast: Cast, days: Places, is_read: Flags) -> None:
    first, last = cast.column.field.first, cast.column.field.last
    if first or last:
        lowest, highest = first or date.min, last or date.max
        is_out = (days < day_number(lowest)) | (days > day_number(highest))
        cast.refuse("out_of_range", np.flatnonzero(is_out & is_read), f"From {lowest} to {highest}.")


def _keep(cast: Cast, values: pa.Array) -> None:
    """Texts of bounded length; most are short enough in bytes already."""
    most = cast.column.field.max_length
    if most and len(values) and cast.texts.sizes.max() > most:
        sizes = pc.utf8_length(values).to_numpy()
        cast.refuse("too_long", np.flatnonzero(sizes > most), f"At most {most} characters.")
    cast.values = without(values, cast.texts.is_empty)


def _check_sign(rule: SignRule, casts: Mapping[str, Cast]) -> None:
    """Rows of some choices may not be below zero, rows of others not above."""
    number, choice = casts.get(rule.field), casts.get(rule.choice)
    if number is None or choice is None:
        return
    wanted = f"It must be ≥ 0 for {' or '.join(rule.not_negative)}, ≤ 0 for {' or '.join(rule.not_positive)}."
    for choices, are_wrong in ((rule.not_negative, are_below_zero), (rule.not_positive, are_above_zero)):
        is_chosen = flags(pc.is_in(choice.values, pa.array(choices, pa.string())))
        number.refuse("wrong_sign", np.flatnonzero(is_chosen & are_wrong(number.values)), wanted)


_READERS: Mapping[FieldType, Callable[[Cast], None]] = {
    "text": _read_text,
    "identifier": _read_identifier,
    "email": _read_email,
    "choice": _read_choice,
    "code": _read_code,
    "decimal": _read_decimal,
    "date": _read_date,
    "datetime": _read_datetime,
}
