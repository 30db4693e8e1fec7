"""How large the blocks of kept rows are."""

from src.engine.imports.spooling import FIRST_ROWS, rows_of_next


def test_blocks_grow_with_what_was_kept_and_are_never_smaller_than_those_before() -> None:
    sizes, kept = [FIRST_ROWS], FIRST_ROWS
    while kept < 4_000_000:
        sizes.append(rows_of_next(sizes[-1], kept))
        kept += sizes[-1]
    assert sizes[:6] == [8_192, 16_384, 32_768, 65_536, 65_536, 65_536]
    assert sizes == sorted(sizes)
    assert {65_536, 131_072} <= {*sizes}
    assert max(sizes) == 131_072
