"""The unit of work: commit, roll back, what follows a commit, and what becomes of a database in trouble."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from src.database import (
    COMMAND,
    SCHEDULER,
    WORKER,
    Database,
    DatabaseUnavailable,
    Limits,
    after_commit,
    make_engine,
    savepoint,
)
from src.domain.errors import Conflict
from src.statements import MOST_KEPT, Call, told
from src.transactions import TRANSACTION, was_committed
from tests.committing import Workshop, own_settings, workshop
from tests.proxy import Proxy, socket_of, through

__all__ = ["own_settings", "workshop"]

ADD = text("INSERT INTO login_throttle (login_name, network, failures) VALUES (:name, 'here', 1)")
ADD_BY_HAND = ADD.text.replace(":name", "$1")
COUNT = text("SELECT count(*) FROM login_throttle WHERE login_name = :name")


def add(database: Database, name: str = "row") -> None:
    with database.unit_of_work() as session:
        session.execute(ADD, {"name": name})


def count(database: Database, name: str = "row") -> int:
    with database.unit_of_work() as session:
        return session.scalars(COUNT, {"name": name}).one()


class TestUnitOfWork:
    def test_what_it_wrote_is_seen_by_others_afterwards_and_not_before(self, workshop: Workshop) -> None:
        other = workshop.another_database()
        with workshop.database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            assert count(other) == 0
        assert count(other) == 1

    @pytest.mark.parametrize("error", [Conflict("no"), KeyError("k"), KeyboardInterrupt()])
    def test_any_exception_rolls_it_back_and_passes_through(
        self, workshop: Workshop, error: BaseException
    ) -> None:
        with pytest.raises(type(error)) as caught, workshop.database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            raise error
        assert caught.value is error
        assert count(workshop.database) == 0

    def test_what_is_asked_without_one_is_committed_at_once_and_leaves_the_others_theirs(
        self, workshop: Workshop
    ) -> None:
        assert workshop.database.ask(ADD_BY_HAND, "asked") == []
        assert count(workshop.another_database(), "asked") == 1
        with pytest.raises(psycopg.errors.UniqueViolation):
            workshop.database.ask(ADD_BY_HAND, "asked")
        assert workshop.database.ask("SELECT $1::int", 7) == [(b"7",)]
        with suppress(ZeroDivisionError), workshop.database.unit_of_work() as session:
            session.execute(ADD, {"name": "taken back"})
            raise ZeroDivisionError
        assert count(workshop.database, "taken back") == 0

    def test_what_waits_for_the_commit_runs_after_it_in_order(self, workshop: Workshop) -> None:
        other, seen = workshop.another_database(), []
        with workshop.database.unit_of_work() as session:
            after_commit(session, lambda: seen.append(("first", count(other))))
            after_commit(session, lambda: seen.append(("second", count(other))))
            session.execute(ADD, {"name": "row"})
            assert seen == []
        assert seen == [("first", 1), ("second", 1)]

    def test_what_waits_for_the_commit_is_dropped_when_it_is_rolled_back(self, workshop: Workshop) -> None:
        seen: list[str] = []
        with pytest.raises(Conflict), workshop.database.unit_of_work() as session:
            after_commit(session, lambda: seen.append("never"))
            raise Conflict
        assert seen == []

    def test_of_what_is_given_up_on_the_way_nothing_follows(self, workshop: Workshop) -> None:
        seen: list[str] = []
        with workshop.database.unit_of_work() as session:
            after_commit(session, lambda: seen.append("before"))
            with suppress(Conflict), savepoint(session):
                after_commit(session, lambda: seen.append("of a failure"))
                raise Conflict
            with savepoint(session, is_kept=False):
                after_commit(session, lambda: seen.append("of a dry run"))
            with savepoint(session):
                after_commit(session, lambda: seen.append("kept"))
        assert seen == ["before", "kept"]

    def test_what_fails_after_the_commit_is_logged_and_holds_up_nothing(
        self, workshop: Workshop, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[str] = []

        def fail() -> None:
            raise OSError("the store is away")

        with caplog.at_level(logging.ERROR), workshop.database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            after_commit(session, fail)
            after_commit(session, lambda: seen.append("second"))
        assert seen == ["second"]
        assert count(workshop.database) == 1
        assert "was to follow failed" in caplog.text

    @pytest.mark.parametrize("limits", [COMMAND, SCHEDULER, WORKER], ids=lambda limits: limits.name)
    def test_every_session_carries_its_limits(self, workshop: Workshop, limits: Limits) -> None:
        with workshop.another_database(limits).unit_of_work() as session:
            named = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
            asked = text("SELECT name, setting::int FROM pg_settings WHERE name = ANY(:names)")
            found = {row.name: row.setting for row in session.execute(asked, {"names": list(named)})}
        assert found == dict(zip(named, (limits.statement_ms, limits.lock_ms, limits.idle_ms), strict=True))


class TestStatementsByHand:
    def test_a_transaction_is_committed_at_its_end_with_its_last_statement_or_not_at_all(
        self, workshop: Workshop
    ) -> None:
        other = workshop.another_database()
        with workshop.database.transaction() as transaction:
            assert transaction.run("SELECT $1::int", 7) == [(b"7",)]
            transaction.run(ADD_BY_HAND, "at its end")
            assert count(other, "at its end") == 0
        with workshop.database.transaction() as transaction:
            assert transaction.finish(f"{ADD_BY_HAND} RETURNING failures", "with its last") == [(b"1",)]
            assert count(other, "with its last") == 1
        with suppress(ZeroDivisionError), workshop.database.transaction() as transaction:
            transaction.run(ADD_BY_HAND, "not at all")
            raise ZeroDivisionError
        assert [count(other, name) for name in ("at its end", "not at all")] == [1, 0]

    def test_when_one_of_several_fails_none_is_done_and_the_connection_serves_on(
        self, workshop: Workshop
    ) -> None:
        database = workshop.another_database(Limits("t", pool_size=1))
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero), database.transaction() as transaction:
                transaction.run_all(Call(ADD_BY_HAND, ("row",)), Call("SELECT 1 / $1::int", (0,)))
            assert database.ask("SELECT $1::text", None) == [(None,)]
        assert count(workshop.database) == 0

    def test_values_and_rows_may_be_larger_than_what_lies_on_the_way(self, workshop: Workshop) -> None:
        large = "ü" * 5_000_000
        calls = [Call("SELECT $1::text, repeat('x', 5000000)", (large,))] * 2
        with workshop.database.transaction() as transaction:
            for rows in transaction.run_all(*calls):
                assert [len(told(value)) for value in rows[0]] == [5_000_000] * 2

    def test_of_many_statements_only_the_latest_stay_prepared(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1))
        for number in range(MOST_KEPT + 20):
            database.ask(f"SELECT $1::int + {number}", 1)
        kept = database.ask("SELECT count(*) FROM pg_prepared_statements WHERE $1", "true")
        assert kept == [(str(MOST_KEPT).encode(),)]

    def test_all_connections_busy_or_ended_meanwhile(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1, pool_wait_s=0.05))
        with database.transaction() as transaction:
            pid = told(transaction.run("SELECT pg_backend_pid() WHERE $1", "true")[0][0])
            with pytest.raises(DatabaseUnavailable, match="connections to the database are busy"):
                database.ask("SELECT $1::int", 1)
        workshop.database.ask("SELECT pg_terminate_backend($1::int, 5000)", pid)
        assert database.ask("SELECT $1::int", 1) == [(b"1",)]
        with pytest.raises(DatabaseUnavailable), database.transaction() as transaction:
            pid = told(transaction.run("SELECT pg_backend_pid() WHERE $1", "true")[0][0])
            workshop.database.ask("SELECT pg_terminate_backend($1::int, 5000)", pid)
            transaction.run("SELECT $1::text", "a statement that is not prepared yet")


class TestTrouble:
    """Each kind of trouble is a DatabaseUnavailable that says when to try again."""

    def test_a_statement_that_takes_too_long(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", statement_ms=50))
        with self.unavailable("took too long"), database.unit_of_work() as session:
            session.execute(text("SELECT pg_sleep(20)"))

    def test_a_lock_that_someone_else_holds(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", lock_ms=50))
        with workshop.database.unit_of_work() as holder:
            holder.execute(text("LOCK TABLE login_throttle"))
            with self.unavailable("Someone else is changing this"):
                add(database)

    def test_all_connections_of_the_process_busy(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1, pool_wait_s=0.05))
        with database.unit_of_work() as holder:
            holder.execute(text("SELECT 1"))
            with self.unavailable("connections to the database are busy"):
                add(database)
        add(database)

    def test_the_server_out_of_connections(self, workshop: Workshop) -> None:
        database = workshop.another_database()
        with workshop.database.bind.engine.begin() as connection:
            name = connection.scalar(text("SELECT current_database()"))
            connection.execute(text(f'ALTER DATABASE "{name}" CONNECTION LIMIT 1'))
        with workshop.database.unit_of_work() as holder:
            holder.execute(text("SELECT 1"))
            with self.unavailable("does not answer"):
                add(database)

    def test_a_session_that_was_ended_from_outside(self, workshop: Workshop) -> None:
        database = workshop.another_database()
        with self.unavailable("does not answer"), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            self.end_session(workshop, session)
            session.execute(ADD, {"name": "another"})
        assert count(database) == 0

    def test_a_session_that_was_ended_in_the_middle_of_a_copy(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1))
        with self.unavailable("does not answer"), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            self.copy(workshop, session, is_ended=True)
        assert count(database) == 0

    def test_a_copy_that_takes_too_long(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1, statement_ms=50))
        with self.unavailable("took too long"), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            self.copy(workshop, session, is_ended=False)
        assert count(database) == 0

    def test_a_session_that_was_ended_just_before_its_commit(self, workshop: Workshop) -> None:
        database = workshop.another_database()
        with self.unavailable("does not answer"), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            self.end_session(workshop, session)
        assert count(database) == 0

    def test_a_pooled_session_that_was_ended_is_replaced_before_it_is_used(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", pool_size=1))
        with database.unit_of_work() as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
        with workshop.database.unit_of_work() as session:
            session.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        add(database)
        assert count(database) == 1

    def test_a_transaction_that_was_left_idle(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", idle_ms=50))
        with self.unavailable("does not answer"), database.unit_of_work() as session:
            pid = session.scalar(text("SELECT pg_backend_pid()"))
            session.execute(ADD, {"name": "row"})
            self.await_end_of(workshop, pid)
        assert count(database) == 0

    def test_an_error_in_a_transaction_that_was_ended_passes_through(self, workshop: Workshop) -> None:
        database = workshop.another_database(Limits("t", idle_ms=50, pool_size=1))

        def fail_late() -> None:
            with database.unit_of_work() as session:
                pid = session.scalar(text("SELECT pg_backend_pid()"))
                self.await_end_of(workshop, pid)
                raise Conflict("no")

        with pytest.raises(Conflict):
            fail_late()
        add(database)

    def test_a_server_that_is_not_there(self) -> None:
        database = Database(make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", Limits("t")))
        with self.unavailable("does not answer"):
            add(database)

    def unavailable(self, sentence: str) -> AbstractContextManager[pytest.ExceptionInfo[DatabaseUnavailable]]:
        def says_when(error: DatabaseUnavailable) -> bool:
            return sentence in error.detail and error.retry_after == 2

        return pytest.RaisesExc(DatabaseUnavailable, check=says_when)

    def end_session(self, workshop: Workshop, session: Session) -> None:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        with workshop.database.unit_of_work() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    def copy(self, workshop: Workshop, session: Session, *, is_ended: bool) -> None:
        """By the driver, which SQLAlchemy does not see."""
        pid = session.scalar(text("SELECT pg_backend_pid()"))
        raw = session.connection().connection.driver_connection
        assert raw is not None
        with raw.cursor().copy("COPY login_throttle (login_name, network, failures) FROM STDIN") as stream:
            stream.write_row(("name", "here", 1))
            if is_ended:
                with workshop.database.unit_of_work() as other:
                    other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            else:
                time.sleep(0.2)
            stream.write_row(("another", "here", 1))

    def await_end_of(self, workshop: Workshop, pid: int | None) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with workshop.database.unit_of_work() as session:
                if (
                    session.scalar(text("SELECT 1 FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
                    is None
                ):
                    return


class TestUnknownOutcomeOfACommit:
    """The connection breaks while the COMMIT is under way: the outcome is read back, never guessed."""

    @pytest.fixture
    def proxy(self, workshop: Workshop) -> Iterator[Proxy]:
        with Proxy(socket_of(workshop.settings.database_url)) as proxy:
            yield proxy

    @pytest.fixture
    def behind(self, workshop: Workshop, proxy: Proxy) -> Iterator[Callable[[Limits], Database]]:
        made: list[Database] = []

        def make(limits: Limits) -> Database:
            made.append(Database(make_engine(through(proxy, workshop.settings.database_url), limits)))
            add(made[-1], "before")  # so that a connection is there
            return made[-1]

        yield make
        for database in made:
            database.bind.engine.dispose()

    @pytest.mark.parametrize("limits", [Limits("t"), WORKER], ids=["ten connections", "one connection"])
    def test_an_answer_that_was_lost_is_found_to_be_a_success(
        self, workshop: Workshop, proxy: Proxy, behind: Callable[[Limits], Database], limits: Limits
    ) -> None:
        database, seen = behind(limits), []
        proxy.cut_at(b"COMMIT\0", "after")
        with database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            after_commit(session, lambda: seen.append("hint"))
        assert seen == ["hint"]
        assert count(workshop.database) == 1

    @pytest.mark.parametrize("limits", [Limits("t"), WORKER], ids=["ten connections", "one connection"])
    def test_a_commit_that_never_arrived_is_found_to_be_a_failure(
        self, workshop: Workshop, proxy: Proxy, behind: Callable[[Limits], Database], limits: Limits
    ) -> None:
        database, seen = behind(limits), []
        proxy.cut_at(b"COMMIT\0", "before")
        with pytest.raises(DatabaseUnavailable), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            after_commit(session, lambda: seen.append("hint"))
        assert seen == []
        assert count(workshop.database) == 0

    def test_after_a_crash_the_number_may_be_another_s_and_proves_nothing(self, workshop: Workshop) -> None:
        with workshop.database.unit_of_work() as session:
            session.execute(ADD, {"name": "another"})
            transaction = session.scalars(text(f"SELECT {TRANSACTION}")).one()
        xid, _, since = transaction.partition(" ")
        assert was_committed(workshop.database.bind.engine, transaction)
        assert not was_committed(workshop.database.bind.engine, f"{xid} 2020-01-01 {since}")
        assert not was_committed(workshop.database.bind.engine, "999999999999 before the crash")

    def test_a_transaction_that_still_runs_is_no_answer_yet(
        self, workshop: Workshop, proxy: Proxy, behind: Callable[[Limits], Database]
    ) -> None:
        database = behind(Limits("t", idle_ms=600))
        proxy.cut_at(b"COMMIT\0", "unnoticed")
        with pytest.raises(DatabaseUnavailable), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
        with workshop.database.unit_of_work() as session:
            still_open = text("""SELECT count(*) FROM pg_stat_activity
                WHERE state = 'idle in transaction' AND datname = current_database()""")
            assert session.scalars(still_open).one() == 0
        assert count(workshop.database) == 0

    def test_when_the_database_stays_away_the_patience_ends(
        self, proxy: Proxy, behind: Callable[[Limits], Database], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.transactions.OUTCOME_PATIENCE", 0.5)
        database = behind(Limits("t", pool_wait_s=0.1))
        proxy.cut_at(b"COMMIT\0", "after")
        with pytest.raises(DatabaseUnavailable), database.unit_of_work() as session:
            session.execute(ADD, {"name": "row"})
            proxy.target = "/nowhere"

    @pytest.mark.parametrize(("how", "rows"), [("before", 0), ("after", 1), ("between", 1), ("unnoticed", 0)])
    def test_of_a_transaction_by_hand_the_tables_tell_when_its_answer_is_lost(
        self, workshop: Workshop, proxy: Proxy, behind: Callable[[Limits], Database], how: str, rows: int
    ) -> None:
        database = behind(Limits("t", pool_size=2))
        database.ask("SELECT $1::int", 1)
        proxy.cut_at(b"COMMIT\0", how)
        with database.transaction() as transaction:
            assert transaction.finish(f"{ADD_BY_HAND} RETURNING 1", "row") is None
        assert count(workshop.database) == rows
        assert database.ask("SELECT $1::int", 1) == [(b"1",)]

    def test_what_a_session_by_hand_was_at_when_it_was_lost_is_never_done_later(
        self, workshop: Workshop, proxy: Proxy, behind: Callable[[Limits], Database]
    ) -> None:
        database = behind(Limits("t", pool_size=2))

        def add_row() -> object:
            with database.transaction() as transaction:
                return transaction.run_alone(f"{ADD_BY_HAND} RETURNING 1", "row")

        with workshop.database.unit_of_work() as session:
            session.execute(text("LOCK TABLE login_throttle"))
            adding = workshop.in_thread(add_row)
            workshop.await_lock_waiters(1)
            proxy.cut_all()
            assert adding.result(timeout=30) is None
        assert count(workshop.database) == 0

    def test_that_a_lost_session_ended_is_waited_for_only_so_long(
        self, proxy: Proxy, behind: Callable[[Limits], Database], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("src.transactions.OUTCOME_PATIENCE", 0.5)
        database = behind(Limits("t", pool_wait_s=0.1))
        proxy.cut_at(b"COMMIT\0", "after")
        with pytest.raises(DatabaseUnavailable), database.transaction() as transaction:
            transaction.run("SELECT $1::int", 1)
            database.bind.engine.dispose()
            proxy.target = "/nowhere"
            transaction.finish(ADD_BY_HAND, "row")

    def test_the_outcome_of_a_transaction_that_only_read_is_not_asked_for(
        self, proxy: Proxy, behind: Callable[[Limits], Database]
    ) -> None:
        database = behind(Limits("t"))
        before = proxy.connections
        proxy.cut_at(b"COMMIT\0", "after")
        with pytest.raises(DatabaseUnavailable), database.unit_of_work() as session:
            session.execute(text("SELECT 1"))
        assert proxy.connections == before
