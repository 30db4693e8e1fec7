"""The page of faults: its table and the tests of faults name each other."""

import re

from tests.architecture.tree import ROOT, sources

TESTS = ROOT / "tests" / "faults"
NAMED = re.compile(r"^def test_((?:\d+_)+)", re.MULTILINE)
WORKS = 4  # the last columns of the table
ALL = 27


def numbered(texts: dict[str, str]) -> set[tuple[int, str]]:
    """The faults that tests have in their names, each with its file."""
    return {
        (int(number), name)
        for name, text in texts.items()
        for numbers in NAMED.findall(text)
        for number in numbers.split("_")[:-1]
    }


def listed(page: str) -> set[tuple[int, str]]:
    """The faults of the table, each with the files that it names."""
    rows = [line.split("|")[1:-1] for line in page.splitlines() if re.match(r"\| \d", line)]
    cells = [(int(row[0]), cell) for row in rows for cell in row[-WORKS:]]
    return {(number, name.strip()) for number, cell in cells for name in cell.split(",") if name.strip()}


def test_each_fault_of_the_page_has_the_tests_it_names_and_no_others() -> None:
    files = {name.rpartition("/")[2]: text for name, text in sources(TESTS)}
    tests = {name[5:-3]: text for name, text in files.items() if name.startswith("test_")}
    on_the_page = listed((ROOT / "docs" / "faults.md").read_text())
    assert on_the_page == numbered(tests)
    assert {number for number, _ in on_the_page} == set(range(1, ALL + 1))


def test_names_and_rows_are_read_as_they_are_meant() -> None:
    assert numbered(
        {"a": "def test_1_x() -> None:\ndef test_6_17_y(\ndef test_z(\n    def test_3_in():"}
    ) == {
        (1, "a"),
        (6, "a"),
        (17, "a"),
    }
    assert listed("| | fault |\n|---|\n| 12 | a | b | x | | y, z | |\n") == {(12, "x"), (12, "y"), (12, "z")}
