"""Indicators over HTTP: equal to brute force for any question, in every form."""

import csv
import io
import random
import statistics
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from python_calamine import CalamineWorkbook
from sqlalchemy import Connection, text

from src.domain.indicators import WEEKDAYS
from src.wiring import services
from tests.factories.accounts import Caller
from tests.factories.atendimentos import an_atendimento, atendimentos

each = pytest.mark.parametrize
ANGELS = "/api/v1/atendimento/angel_productivity"
POLOS = "/api/v1/atendimento/polo_productivity"
NOUNS = {"angels": "angel", "polos": "polo", "clients": "cliente_id", "trend": None}
GROUPS = (None, "day", "week", "month", "weekday")
PARTS = ("on_time", "late", "open", "overdue")
FIRST = datetime(2023, 11, 20)
RANGES = (
    (None, None),
    ("2023-12-01", "2024-01-31"),
    ("2023-12-05", "2023-12-20"),
    ("2023-12-20", "2024-02-29"),
    (None, "2024-01-10"),
    ("2024-01-10", None),
    ("1990-01-01", "1990-12-31"),
)
LIMIT = datetime(2024, 1, 10, 12)


def local_now() -> datetime:
    return datetime.now(ZoneInfo("America/Sao_Paulo")).replace(tzinfo=None)


def in_rows(content: bytes) -> list[list[Any]]:
    """A table as CSV or XLSX."""
    if content.startswith(b"PK"):
        return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    return list(csv.reader(io.StringIO(content.decode())))


class Visit:
    """A row as the database has it, and what brute force makes of it."""

    def __init__(self, angel: str, polo: str, client: str, limit: datetime, done: datetime | None) -> None:
        self.angel, self.polo, self.cliente_id = angel, polo, int(client)
        self.limit, self.done = limit, done

    @property
    def day(self) -> date:
        return (self.done or self.limit).date()

    @property
    def part(self) -> str:
        if self.done is not None:
            return "on_time" if self.done <= self.limit else "late"
        return "open" if self.limit >= local_now() else "overdue"

    def period(self, group: str | None) -> str | None:
        if group == "weekday":
            return WEEKDAYS[self.day.weekday()]
        if group == "week":
            return (self.day - timedelta(days=self.day.weekday())).isoformat()
        return {None: None, "day": self.day.isoformat(), "month": self.day.replace(day=1).isoformat()}[group]


@pytest.fixture
def visits(connection: Connection) -> list[Visit]:
    """Three months of visits, some of today, some of the future."""
    picker = random.Random(7)
    rows = []
    for number in range(400):
        limit = FIRST + timedelta(minutes=picker.randrange(100 * 24 * 60))
        done: datetime | None = limit + timedelta(minutes=picker.randrange(-2_000, 500))
        if number % 10 == 0:
            done = None
        if number % 50 == 0:
            limit = local_now() + timedelta(minutes=picker.choice((-600, -60, 60, 600, 90_000)))
        who = (f"angel {picker.randrange(3)}", f"polo {picker.randrange(3)}", str(picker.randrange(4)))
        rows.append(Visit(*who, limit, done))
    atendimentos(
        *(
            {
                "id_cliente": str(visit.cliente_id),
                "angel": visit.angel,
                "polo": visit.polo,
                "data_limite": visit.limit,
                "data_de_atendimento": visit.done,
            }
            for visit in rows
        )
    )
    gone = an_atendimento(angel="angel 0", polo="polo 0", id_cliente="0")
    with services() as s:
        s.atendimentos.delete(s.atendimento_rows.lock(gone.id), None)
    return rows


def ask(caller: Caller, noun: str, **query: Any) -> list[dict[str, Any]]:
    names = {"first": "from", "last": "to", "group": "group_by"}
    given = {names.get(name, name): value for name, value in query.items() if value is not None}
    answer = caller.get(f"/api/v1/indicators/{noun}", query_string=given)
    assert answer.status_code == 200, answer.text
    return list(answer.json["data"])


def chosen(
    visits: list[Visit], *, first: Any = None, last: Any = None, angel: Any = None, polo: Any = None
) -> list[Visit]:
    return [
        visit
        for visit in visits
        if (first is None or visit.day >= date.fromisoformat(first))
        and (last is None or visit.day <= date.fromisoformat(last))
        and angel in (None, visit.angel)
        and polo in (None, visit.polo)
    ]


def counted(visits: list[Visit], noun: str, group: str | None) -> dict[Any, dict[str, int]]:
    found: dict[Any, dict[str, int]] = defaultdict(lambda: dict.fromkeys(PARTS, 0))
    for visit in visits:
        name = getattr(visit, NOUNS[noun]) if NOUNS[noun] else None
        found[name, visit.period(group)][visit.part] += 1
    return dict(found)


def empty(first: str, last: str, group: str) -> dict[Any, dict[str, int]]:
    """Nothing, on each day of a trend between two days."""
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [begin + timedelta(days=day) for day in range((end - begin).days + 1)]
    noons = [datetime(day.year, day.month, day.day, 12) for day in days]
    periods = [Visit("", "", "0", noon, noon).period(group) for noon in noons]
    return {(None, period): dict.fromkeys(PARTS, 0) for period in periods}


def shown(rows: list[dict[str, Any]], noun: str) -> dict[Any, dict[str, int]]:
    return {
        (row.get(NOUNS[noun] or ""), row.get("period")): {part: row[part] for part in PARTS} for row in rows
    }


@each("noun", NOUNS)
def test_counts_equal_brute_force_for_every_question(viewer: Caller, visits: list[Visit], noun: str) -> None:
    for (first, last), wish in product(RANGES, GROUPS):
        group = wish or ("day" if noun == "trend" else None)
        for angel, polo in product((None, "angel 1", "nobody"), (None, "polo 2")):
            question = {"first": first, "last": last, "angel": angel, "polo": polo}
            rows = ask(viewer, noun, group=group, delays="never", **question)
            wanted = counted(chosen(visits, **question), noun, group)
            if noun == "trend" and first and last:
                wanted = empty(first, last, str(group)) | wanted
            assert shown(rows, noun) == wanted, (question, group)


@each("group", [None, "month", "weekday"])
@each("noun", ["angels", "polos", "clients"])
def test_percentages_and_delays_are_those_of_the_attended_ones(
    viewer: Caller, visits: list[Visit], noun: str, group: str | None
) -> None:
    question = {"first": "2023-12-05", "last": "2024-02-10", "polo": "polo 1"}
    rows = ask(viewer, noun, group=group, **question)
    assert rows
    for row in rows:
        slot = (row[str(NOUNS[noun])], row.get("period"))
        mine = [
            visit
            for visit in chosen(visits, **question)
            if (getattr(visit, str(NOUNS[noun])), visit.period(group)) == slot
        ]
        delays = sorted((visit.done - visit.limit).total_seconds() for visit in mine if visit.done)
        assert row["total"] == len(mine)
        if not delays:
            assert (
                row["on_time_percentage"] is row["median_delay_seconds"] is row["p90_delay_seconds"] is None
            )
            continue
        assert row["on_time_percentage"] == pytest.approx(100 * row["on_time"] / len(delays), abs=0.00501)
        assert row["median_delay_seconds"] == statistics.median(delays)
        place = 0.9 * (len(delays) - 1)
        low, high = delays[int(place)], delays[min(int(place) + 1, len(delays) - 1)]
        assert row["p90_delay_seconds"] == pytest.approx(low + (high - low) * (place % 1))


def test_the_busiest_names_come_first_and_others_are_left_out(viewer: Caller, visits: list[Visit]) -> None:
    for noun in ("angels", "polos", "clients"):
        for first in (None, "2023-12-01"):
            every = ask(viewer, noun, first=first)
            assert [row["total"] for row in every] == sorted((row["total"] for row in every), reverse=True)
            best = ask(viewer, noun, first=first, at_most=1, group="month")
            assert {row[str(NOUNS[noun])] for row in best} == {every[0][str(NOUNS[noun])]}


@each("at_most", [1, 2, 4, 150])
def test_the_busiest_of_many_clients_are_found_wherever_their_counts_stand(
    viewer: Caller, connection: Connection, at_most: int
) -> None:
    """Later ones have more; the last ones of a stretch and the first ones of the next have as many."""
    for statement in (
        """INSERT INTO client (id, external_id) OVERRIDING SYSTEM VALUE
           SELECT n, n::text FROM generate_series(1, 150) AS n""",
        "INSERT INTO angel (name) VALUES ('Ana')",
        "INSERT INTO polo (name) VALUES ('Centro')",
        """INSERT INTO atendimento (client_id, angel_id, polo_id, data_limite, data_de_atendimento)
           SELECT client.id, angel.id, polo.id, '2024-02-29', ('{2024-02-28,2024-03-01,NULL}'::date[])[1 + n % 3]
           FROM client, angel, polo, generate_series(1, 1 + least(client.id / 10, 12) + client.id % 3) AS n""",
    ):
        connection.execute(text(statement))
    busiest = text(
        """SELECT client.external_id, count(*) FILTER (WHERE data_de_atendimento <= data_limite),
                count(*) FILTER (WHERE data_de_atendimento > data_limite),
                count(*) FILTER (WHERE data_de_atendimento IS NULL) FROM atendimento JOIN client ON client.id = client_id
            GROUP BY client.id ORDER BY count(*) DESC, client.id LIMIT :at_most"""
    )
    parts = ("cliente_id", "on_time", "late", "overdue")
    found = {tuple(row[part] for part in parts) for row in ask(viewer, "clients", at_most=at_most)}
    wanted = connection.execute(busiest, {"at_most": at_most})
    assert found == {(int(name), *counts) for name, *counts in wanted}


def test_the_parts_of_a_period_follow_each_other(viewer: Caller, visits: list[Visit]) -> None:
    for group in ("day", "week", "month"):
        periods = [row["period"] for row in ask(viewer, "trend", group=group)]
        assert periods == sorted(periods)
    assert [row["period"] for row in ask(viewer, "trend", group="weekday")] == list(WEEKDAYS)


class TestToday:
    """What is not attended is open until its limit, to the minute, on the wall clock of the business."""

    @each("minutes", [-1, 1])
    @each("noun", NOUNS)
    @each("group", [None, "day", "month"])
    def test_an_atendimento_is_overdue_from_its_limit_on(
        self, viewer: Caller, noun: str, minutes: int, group: str | None
    ) -> None:
        an_atendimento(data_limite=local_now() + timedelta(minutes=minutes), data_de_atendimento=None)
        (row,) = ask(viewer, noun, group=group)
        assert (row["open"], row["overdue"]) == ((0, 1) if minutes < 0 else (1, 0))
        assert row["total"] == 1

    def test_today_is_that_of_the_business(self, viewer: Caller, change: Any) -> None:
        an_atendimento(data_limite=local_now() + timedelta(hours=1), data_de_atendimento=None)
        change(business_time_zone="Pacific/Kiritimati")  # seventeen hours ahead
        (row,) = ask(viewer, "angels")
        assert (row["open"], row["overdue"]) == (0, 1)


class TestCompare:
    def test_with_as_many_days_before(self, viewer: Caller) -> None:
        for day, is_late in ((10, False), (11, True), (12, False), (13, False)):
            limit = LIMIT.replace(day=day)
            an_atendimento(
                data_limite=limit, data_de_atendimento=limit + timedelta(hours=1 if is_late else 0)
            )
        (row,) = ask(viewer, "angels", first="2024-01-12", last="2024-01-13", compare="previous")
        assert row["previous"] == {
            "total": 2, "on_time": 1, "late": 1, "open": 0, "overdue": 0, "on_time_percentage": 50.0
        }  # fmt: skip
        assert row["change"] == {
            "total": 0, "on_time": 1, "late": -1, "open": 0, "overdue": 0, "on_time_percentage": 50.0
        }  # fmt: skip

    def test_where_there_was_nothing_the_change_is_all_and_the_percentage_unknown(
        self, viewer: Caller
    ) -> None:
        an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT)
        (row,) = ask(viewer, "polos", first="2024-01-10", last="2024-01-10", compare="previous")
        assert (row["previous"]["total"], row["change"]["total"]) == (0, 1)
        assert row["previous"]["on_time_percentage"] is row["change"]["on_time_percentage"] is None

    @each(
        ("group", "days", "first"),
        [
            ("day", (9, 10, 11), "2024-01-10"),
            ("week", (3, 10, 17), "2024-01-11"),
            ("month", (1, 32, 62), "2024-02-01"),
        ],
    )
    def test_a_day_week_or_month_with_the_one_before_it(
        self, viewer: Caller, group: str, days: tuple[int, ...], first: str
    ) -> None:
        for count, day in enumerate(days, 1):
            moment = datetime(2024, 1, 1, 12) + timedelta(days=day - 1)
            for _ in range(count):
                an_atendimento(data_limite=moment, data_de_atendimento=moment)
        rows = ask(viewer, "trend", group=group, first=first, compare="previous")
        found = [(row["total"], row["previous"]["total"]) for row in rows]
        assert found == ([(3, 2)] if group == "week" else [(2, 1), (3, 2)])

    @each(("group", "first"), [("week", "2024-01-10"), ("month", "2024-01-20")])
    @each("noun", ["trend", "angels", "clients"])
    def test_all_of_the_one_before_counts_also_if_the_period_begins_within_it(
        self, viewer: Caller, noun: str, group: str, first: str
    ) -> None:
        for day, count in (("2024-01-08", 2), ("2024-01-20", 1), ("2024-02-05", 1)):
            moment = datetime.fromisoformat(f"{day}T12:00")
            for _ in range(count):
                an_atendimento(id_cliente="7", data_limite=moment, data_de_atendimento=moment)
        an_atendimento(id_cliente="7", data_limite=datetime(2024, 1, 12, 12), data_de_atendimento=None)
        rows = ask(viewer, noun, group=group, first=first, compare="previous")
        found = [(row["period"], row["total"], row["previous"]["total"]) for row in rows]
        if group == "month":
            assert found == [("2024-01-01", 1, 0), ("2024-02-01", 1, 4)]
        else:
            assert found == [("2024-01-08", 1, 0), ("2024-01-15", 1, 3), ("2024-02-05", 1, 0)]

    def test_a_weekday_with_the_same_weekday_of_the_days_before(self, viewer: Caller) -> None:
        for day in (3, 10, 10):
            an_atendimento(data_limite=LIMIT.replace(day=day), data_de_atendimento=LIMIT.replace(day=day))
        rows = ask(
            viewer, "trend", group="weekday", first="2024-01-08", last="2024-01-14", compare="previous"
        )
        wanted = {day: (2, 1) if day == "Wednesday" else (0, 0) for day in WEEKDAYS}
        assert {row["period"]: (row["total"], row["previous"]["total"]) for row in rows} == wanted

    def test_a_day_without_any_with_the_day_before_it(self, viewer: Caller) -> None:
        an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT)
        rows = ask(viewer, "trend", first="2024-01-10", last="2024-01-12", compare="previous")
        found = [(row["period"], row["total"], row["previous"]["total"]) for row in rows]
        assert found == [("2024-01-10", 1, 0), ("2024-01-11", 0, 1), ("2024-01-12", 0, 0)]


class TestBadQuestions:
    @each(
        ("query", "pointer"),
        [
            ("from=2024-02-30", "/from"),
            ("from=2024-01-10T12:00", "/from"),
            ("to=soon", "/to"),
            ("from=2024-01-11&to=2024-01-10", "/from"),
            ("compare=previous", "/compare"),
            ("compare=next", "/compare"),
            ("group_by=year", "/group_by"),
            ("at_most=0", "/at_most"),
            ("at_most=1001", "/at_most"),
            ("delays=perhaps", "/delays"),
            ("format=pdf", "/format"),
            ("compare=previous&from=0001-01-01&to=0001-01-02", "/from"),
            ("compare=previous&from=0001-01-01&group_by=week", "/from"),
        ],
    )
    def test_it_is_400_with_a_pointer(self, viewer: Caller, query: str, pointer: str) -> None:
        answer = viewer.get(f"/api/v1/indicators/angels?{query}")
        assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (400, pointer)

    def test_more_lines_than_anyone_reads_are_refused(self, viewer: Caller, monkeypatch: Any) -> None:
        for day in range(1, 5):
            an_atendimento(data_limite=LIMIT.replace(day=day), data_de_atendimento=None)
        monkeypatch.setattr("src.repositories.indicators.MOST_ROWS", 3)
        monkeypatch.setattr("src.services.indicators.MOST_ROWS", 3)
        for days in ("", "&from=2024-01-01&to=2024-01-04"):
            answer = viewer.get(f"/api/v1/indicators/trend?group_by=day{days}")
            assert (answer.status_code, answer.json["type"]) == (400, "/problems/too-many-figures")
        assert len(ask(viewer, "trend", first="2024-01-05", last="2024-01-07")) == 3
        answer = viewer.get("/api/v1/indicators/trend?from=0001-01-01&to=9999-12-31")
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/too-many-figures")

    @each("first", ["0001-01-01", "9999-12-31"])
    def test_the_ends_of_the_calendar_are_days_too(self, viewer: Caller, first: str) -> None:
        for group in GROUPS:
            assert ask(viewer, "clients", group=group, first=first, last=first) == []
            assert ask(viewer, "angels", group=group, first=first, last=first) == []
            assert [row["total"] for row in ask(viewer, "trend", group=group, first=first, last=first)] == [0]

    def test_days_may_come_first_when_that_is_said(self, viewer: Caller) -> None:
        answer = viewer.get("/api/v1/indicators/angels?from=03/04/2024&to=2024-04-05&date_order=dmy")
        assert (answer.json["from"], answer.json["to"]) == ("2024-04-03", "2024-04-05")


class TestDelays:
    def test_they_are_left_out_or_looked_at_as_asked(self, viewer: Caller, monkeypatch: Any) -> None:
        an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT + timedelta(seconds=90))
        monkeypatch.setattr("src.services.indicators.DELAYS_AT_ONCE", 0)
        for delays, wanted in (("auto", None), ("never", None), ("always", 90.0)):
            (row,) = ask(viewer, "angels", delays=delays)
            assert row["median_delay_seconds"] == row["p90_delay_seconds"] == wanted


class TestPublished:
    def test_angels_are_ordered_by_their_percentage(self, viewer: Caller, app: Any) -> None:
        late = LIMIT + timedelta(seconds=1)
        for angel, dones in {
            "A": (LIMIT, late, late),
            "B": (LIMIT, LIMIT, late),
            "C": (None,),
            "D": (late,),
        }.items():
            for done in dones:
                an_atendimento(angel=angel, data_limite=LIMIT, data_de_atendimento=done)
        assert viewer.get(ANGELS).json == {
            "total": 3,
            "data": [
                {"angel": "B", "total_deliveries": 3, "on_time_deliveries": 2, "on_time_percentage": 66.67},
                {"angel": "A", "total_deliveries": 3, "on_time_deliveries": 1, "on_time_percentage": 33.33},
                {"angel": "D", "total_deliveries": 1, "on_time_deliveries": 0, "on_time_percentage": 0.0},
            ],
        }
        assert viewer.get(f"{ANGELS}?at_most=1").json["total"] == 3
        assert len(viewer.get(f"{ANGELS}?at_most=1").json["data"]) == 1

    def test_polos_are_counted_by_the_weekday_of_the_done_date(self, viewer: Caller, app: Any) -> None:
        wednesday = LIMIT
        for polo, done in (
            ("A", wednesday),
            ("A", wednesday),
            ("A", wednesday + timedelta(days=4)),
            ("B", None),
        ):
            an_atendimento(polo=polo, data_limite=LIMIT, data_de_atendimento=done)
        assert viewer.get(POLOS).json == {
            "total": 2,
            "data": [
                {"polo": "A", "weekday": "Wednesday", "total_deliveries": 2},
                {"polo": "A", "weekday": "Sunday", "total_deliveries": 1},
            ],
        }

    @each("path", [ANGELS, POLOS])
    def test_without_anything_they_are_empty(self, viewer: Caller, path: str) -> None:
        assert viewer.get(path).json == {"total": 0, "data": []}

    def test_what_is_changed_or_deleted_counts_at_once(self, operator: Caller) -> None:
        row = an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT)
        address = f"/api/v1/atendimento/{row.id}"
        operator.patch(address, json={"data_limite": "2024-01-01"})
        assert operator.get(ANGELS).json["data"][0]["on_time_deliveries"] == 0
        operator.delete(address)
        assert operator.get(ANGELS).json == operator.get(POLOS).json == {"total": 0, "data": []}


PATHS = [ANGELS, POLOS, *(f"/api/v1/indicators/{noun}" for noun in NOUNS)]


class TestForms:
    @pytest.fixture(autouse=True)
    def some(self, app: Any) -> None:
        an_atendimento(angel="=João <&>", polo="São Paulo", data_limite=LIMIT, data_de_atendimento=LIMIT)

    @each("path", PATHS)
    @each(
        ("form", "kind", "start"),
        [
            ("csv", "text/csv; charset=utf-8", b""),
            ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
            ("svg", "image/svg+xml", b"<svg "),
            ("png", "image/png", b"\x89PNG"),
        ],
    )
    def test_each_comes_in_every_form_by_format_and_by_accept(
        self, viewer: Caller, path: str, form: str, kind: str, start: bytes
    ) -> None:
        accept = {"Accept": f"{kind.partition(';')[0]}, application/json;q=0.5"}
        for answer in (viewer.get(f"{path}?format={form}"), viewer.get(path, headers=accept)):
            assert answer.status_code == 200
            assert answer.headers["Content-Type"].startswith(kind)
            assert answer.data.startswith(start)
            assert f'.{form}"' in answer.headers["Content-Disposition"]

    @each("accept", ["*/*", "application/json", "application/*", ""])
    def test_json_is_what_comes_unless_something_else_is_asked_for(self, viewer: Caller, accept: str) -> None:
        assert viewer.get(ANGELS, headers={"Accept": accept}).json["total"] == 1

    @each(
        ("accept", "kind"),
        [
            ("application/json; charset=utf-8", "application/json"),
            ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
            ("text/csv;charset=utf-8;q=0.2, application/json;version=1;q=0.9", "application/json"),
            ("application/pdf, text/*;q=0.1", "text/csv; charset=utf-8"),
            ("image/*;level=1", "image/svg+xml; charset=utf-8"),
        ],
    )
    def test_parameters_of_a_type_choose_nothing(self, viewer: Caller, accept: str, kind: str) -> None:
        answer = viewer.get(ANGELS, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)

    def test_what_is_said_in_the_address_counts_more(self, viewer: Caller) -> None:
        assert viewer.get(f"{ANGELS}?format=json", headers={"Accept": "image/png"}).json["total"] == 1

    def test_a_form_that_there_is_not_is_400(self, viewer: Caller) -> None:
        answer = viewer.get(ANGELS, headers={"Accept": "application/pdf"})
        assert (answer.status_code, answer.json["type"]) == (400, "/problems/not-acceptable")

    def test_as_csv_members_have_columns_and_nothing_is_a_formula(self, viewer: Caller) -> None:
        query = "format=csv&from=2024-01-10&to=2024-01-10&compare=previous"
        answer = viewer.get(f"/api/v1/indicators/angels?{query}")
        (row,) = csv.DictReader(io.StringIO(answer.text))
        assert (row["angel"], row["on_time_percentage"]) == ("'=João <&>", "100.0")
        assert (row["previous_total"], row["change_total"]) == ("0", "1")

    @each("form", ["csv", "xlsx"])
    @each(
        "path",
        [
            *PATHS,
            "/api/v1/indicators/clients?compare=previous&group_by=weekday&from=2024-01-01&to=2024-01-31",
            "/api/v1/indicators/trend?group_by=month",
        ],
    )
    def test_a_table_without_rows_has_the_columns_of_one_with_rows(
        self, viewer: Caller, connection: Connection, path: str, form: str
    ) -> None:
        path += f"{'&' if '?' in path else '?'}format={form}"
        full = in_rows(viewer.get(path).data)
        connection.execute(text("UPDATE atendimento SET deleted_at = now()"))
        assert len(full) > 1
        assert in_rows(viewer.get(path).data) == full[:1]

    def test_as_xlsx_numbers_are_numbers(self, viewer: Caller) -> None:
        answer = viewer.get(f"{ANGELS}?format=xlsx")
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(answer.data)).get_sheet_by_index(0).to_python()
        assert sheet[1][1:] == [1.0, 1.0, 100.0]

    def test_a_picture_shows_names_as_they_are_and_without_markup(self, viewer: Caller) -> None:
        picture = viewer.get(f"{ANGELS}?format=svg").text
        assert "=João &lt;&amp;&gt;" in picture
        assert "style" not in picture


def test_rows_that_were_deleted_do_not_count_in_delays(viewer: Caller, connection: Connection) -> None:
    an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT + timedelta(seconds=10))
    an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT + timedelta(seconds=99))
    connection.execute(
        text("UPDATE atendimento SET deleted_at = now() WHERE id = (SELECT max(id) FROM atendimento)")
    )
    assert ask(viewer, "angels")[0]["median_delay_seconds"] == 10


def test_delays_are_told_to_the_microsecond_and_not_with_the_dust_of_binary_fractions(viewer: Caller) -> None:
    for seconds in [0] * 10 + [100] * 2:
        an_atendimento(data_limite=LIMIT, data_de_atendimento=LIMIT + timedelta(seconds=seconds))
    assert ask(viewer, "trend")[0]["p90_delay_seconds"] == 90
