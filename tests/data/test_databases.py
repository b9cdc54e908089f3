"""Databases deliver as folders do: by name, read-only, without a query, and with no secret or value in any message."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

import pytest
import sqlalchemy as sa

from credit_tier.content import Content
from credit_tier.data import databases
from credit_tier.data.databases import Database
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import DataError, UsageError

Columns = dict[str, list[object]]

SERVERS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"


def fill(url: str, tables: Mapping[str, Columns], *, schema: str | None = None) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        if schema:
            connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
        for name, columns in tables.items():
            table = sa.Table(name, sa.MetaData(), *(sa.Column(key, sa.Text) for key in columns), schema=schema)
            table.create(connection)
            rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            connection.execute(table.insert(), rows)
    engine.dispose()


@pytest.fixture
def sqlite(tmp_path: Path, register: Columns, fines: Columns) -> str:
    url = f"sqlite:///{tmp_path / 'city.db'}"
    fill(url, {"firms": register, "FINES": {**fines, "法定代表人": ["某人"] * 6}, "users": {"password": ["x"]}})
    return url


def test_a_database_says_the_same_as_a_folder(first: Path, sqlite: str, content: Content, tmp_path: Path) -> None:
    """The lake is the same to the last byte, whether files or tables brought the rows; the same state changes nothing."""
    ingest(tmp_path / "a", first, content)
    before = (tmp_path / "city.db").read_bytes()
    report = ingest(tmp_path / "b", Database(sqlite), content)
    assert report.clean
    assert Lake.open(tmp_path / "a").digest == Lake.open(tmp_path / "b").digest
    assert [(table.table, table.files[0].name) for table in report.tables] == [
        ("firms", "firms (SQL)"),
        ("fines", "FINES (SQL)"),
    ]
    assert report.tables[1].files[0].unmapped_columns == ("法定代表人",)
    assert (tmp_path / "city.db").read_bytes() == before
    assert not ingest(tmp_path / "b", Database(sqlite), content).changed


def test_only_columns_that_a_contract_asks_for_leave_the_database(
    sqlite: str, content: Content, tmp_path: Path, codes: list[str]
) -> None:
    """Personal columns are named, not read: not even a quarantined row brings them along."""
    with sqlite3.connect(tmp_path / "city.db") as connection:
        connection.execute("UPDATE FINES SET CF_JDRQ = '某日' WHERE 文号 = 'F0'")
    report = ingest(tmp_path / "lake", Database(sqlite), content)
    assert report.tables[1].rules == {"fines.decided_on.unreadable_date": 1}
    files = b"".join(path.read_bytes() for path in (tmp_path / "lake").rglob("*.parquet"))
    assert "某日".encode() in files
    assert "某人".encode() not in files


def test_rows_come_in_pieces_and_in_any_order(
    first: Path, sqlite: str, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many rows are fetched at a time, and in which order they lie, changes no digest."""
    whole = ingest(tmp_path / "a", Database(sqlite), content)
    with sqlite3.connect(tmp_path / "city.db") as connection:
        connection.execute("CREATE TABLE turned AS SELECT * FROM FINES ORDER BY 文号 DESC")
        connection.execute("DROP TABLE FINES")
        connection.execute("ALTER TABLE turned RENAME TO FINES")
    monkeypatch.setattr(databases, "ROWS_PER_PIECE", 2)
    pieces = ingest(tmp_path / "b", Database(sqlite), content)
    assert (whole.delivery_digest, whole.lake_digest) == (pieces.delivery_digest, pieces.lake_digest)


def test_typed_columns_are_read_as_their_text(first: Path, content: Content, tmp_path: Path, codes: list[str]) -> None:
    """Dates, instants, decimals, floats and booleans arrive exactly; a view named like ours is enough."""
    (first / "fines.csv").unlink()
    ingest(tmp_path / "lake", first, content)
    url = f"sqlite:///{tmp_path / 'typed.db'}"
    engine = sa.create_engine(url)
    table = sa.Table(
        "penalty_2024",
        sa.MetaData(),
        *(sa.Column("doc", sa.Integer), sa.Column("uscc", sa.String), sa.Column("decided_on", sa.Date)),
        *(sa.Column("amount", sa.Float), sa.Column("public", sa.Boolean), sa.Column("kind", sa.String)),
        sa.Column("received_on", sa.DateTime),
    )
    with engine.begin() as connection:
        table.create(connection)
        days = {"decided_on": date(2024, 1, 5), "received_on": datetime.fromisoformat("2024-01-06 23:59:00")}
        rest = {"amount": 0.1 + 0.2, "public": True, "kind": "罚款"}
        connection.execute(table.insert(), {"doc": 17, "uscc": codes[0], **days, **rest})
        connection.execute(sa.text("CREATE VIEW fines AS SELECT * FROM penalty_2024"))
    engine.dispose()
    report = ingest(tmp_path / "lake", Database(url), content)
    assert report.clean
    row = Lake.open(tmp_path / "lake").frame("fines").collect().to_native().row(0, named=True)
    assert (row["doc"], row["event_day"], row["known_day"]) == ("17", 19727, 19728)
    assert (row["amount"], row["public"], row["kind"]) == (300_000, True, "fine")


def test_tables_under_other_names_are_mapped(sqlite: str, first: Path, content: Content, tmp_path: Path) -> None:
    """An option says what our table is called there; what is not there, or is no table of ours, is named."""
    with sqlite3.connect(tmp_path / "city.db") as connection:
        connection.execute("CREATE VIEW \"v 处罚%\" AS SELECT * FROM FINES WHERE 文号 < 'F3'")
    names = {"fines": "v 处罚%"}
    report = ingest(tmp_path / "lake", Database(sqlite, names=names), content)
    assert report.tables[1].rows_read == 3
    with pytest.raises(UsageError, match=r"CT-DATA-021.*no table or view nowhere"):
        ingest(tmp_path / "lake", Database(sqlite, names={"fines": "nowhere"}), content)
    with pytest.raises(UsageError, match=r"CT-DATA-021.*no contract for fine"):
        ingest(tmp_path / "lake", Database(sqlite, names={"fine": "FINES"}), content)


def test_a_database_that_cannot_be_read_is_named_without_secrets(content: Content, tmp_path: Path) -> None:
    """A wrong address, a missing driver, no file, no database and no table: each in words, none with the password."""
    (tmp_path / "no.db").write_text("序号,文号\n" * 200, encoding="utf-8")
    sqlite3.connect(tmp_path / "empty.db").close()
    cases = [
        ("postgresql://reader:geheim@127.0.0.1:1/city", DataError, "CT-DATA-022.*postgresql://127.0.0.1/city"),
        ("oracle+nodriver://reader:geheim@h/city", UsageError, "CT-DATA-020"),
        ("postgresql://reader:geheim@h:port/city", UsageError, "CT-DATA-020"),
        ("://geheim", UsageError, "CT-DATA-020"),
        (f"sqlite:///{tmp_path / 'none.db'}", DataError, "CT-DATA-022"),
        (f"sqlite:///{tmp_path / 'no.db'}", DataError, "CT-DATA-022"),
        (f"sqlite:///{tmp_path / 'empty.db'}", DataError, "CT-DATA-003.*fines, firms"),
    ]
    for url, error, words in cases:
        with pytest.raises(error, match=words) as caught:
            ingest(tmp_path / "lake", Database(url), content)
        assert "geheim" not in str(caught.value) + repr(Database(url))
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "lake").exists()


def test_binary_columns_are_refused(sqlite: str, content: Content, tmp_path: Path) -> None:
    """Bytes are not guessed to be text; the message names the column, not what is in it."""
    with sqlite3.connect(tmp_path / "city.db") as connection:
        connection.execute("UPDATE FINES SET 备注 = x'00ff' WHERE 文号 = 'F0'")
    with pytest.raises(DataError, match=r"CT-DATA-023 FINES \(SQL\): the column 备注 holds binary"):
        ingest(tmp_path / "lake", Database(sqlite), content)


def absent(server: str) -> NoReturn:
    """Skip where a server is not installed; in CI that is a failure."""
    message = f"{server} is not installed: make system-deps"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def home_of_nobody(prefix: str) -> tuple[Path, list[str]]:
    """Return a folder and the words before a command that let it run in it by an account that is not root."""
    home = Path(tempfile.mkdtemp(prefix=prefix))
    if os.geteuid() != 0:
        return home, []
    shutil.chown(home, "nobody")
    return home, ["runuser", "-u", "nobody", "--"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of its own on loopback, run by an account that is not root, stopped and deleted afterwards."""
    found = shutil.which("pg_ctl") or next(
        (str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), None
    )
    if found is None:
        absent("PostgreSQL")
    program = Path(str(found)).resolve()
    home, account = home_of_nobody("ct-postgres-")
    port = free_port()

    def control(*arguments: str) -> None:
        command = [*account, str(program), "-D", str(home / "data"), *arguments]
        with (home.parent / f"{home.name}.log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=60, cwd="/")

    try:
        control("initdb", "-o", "-U tester -A trust -E UTF8 --locale=C --no-sync")
        control("start", "-w", "-o", f"-p {port} -c listen_addresses=127.0.0.1 -k {home} -F")
        try:
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)
        (home.parent / f"{home.name}.log").unlink(missing_ok=True)


def test_postgresql_says_the_same_as_a_folder(
    *, postgres: str, first: Path, content: Content, tmp_path: Path, register: Columns, fines: Columns
) -> None:
    """Tables in a schema of a real server, one of them through a materialised view, give the same lake as CSV files."""
    ingest(tmp_path / "a", first, content)
    fill(postgres, {"firms": register, "raw": {**fines, "法定代表人": ["某人"] * 6}}, schema="信用")
    engine = sa.create_engine(postgres)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE MATERIALIZED VIEW 信用.fines AS SELECT * FROM 信用.raw"))
    engine.dispose()
    report = ingest(tmp_path / "b", Database(postgres, schema="信用"), content)
    assert report.clean
    assert Lake.open(tmp_path / "a").digest == Lake.open(tmp_path / "b").digest
    with pytest.raises(DataError, match="CT-DATA-003"):
        ingest(tmp_path / "c", Database(postgres), content)


def test_types_of_postgresql_arrive_exactly(
    *, postgres: str, first: Path, content: Content, tmp_path: Path, codes: list[str]
) -> None:
    """Numeric, date, instant with zone and boolean keep their values; an instant has the day it has in China."""
    (first / "fines.csv").unlink()
    ingest(tmp_path / "lake", first, content)
    engine = sa.create_engine(postgres)
    table = sa.Table(
        "cf",
        sa.MetaData(),
        *(sa.Column("doc", sa.Text), sa.Column("uscc", sa.CHAR(20)), sa.Column("decided_on", sa.Date)),
        *(sa.Column("罚款金额(元)", sa.Numeric(20, 2)), sa.Column("public", sa.Boolean), sa.Column("kind", sa.Text)),
        sa.Column("received_on", sa.DateTime(timezone=True)),
    )
    with engine.begin() as connection:
        table.create(connection)
        values = ["F", codes[0], date(2024, 1, 5), Decimal("9000000.01"), False, "警告"]
        instant = datetime(2024, 1, 6, 17, tzinfo=timezone(timedelta(0)))
        connection.execute(table.insert(), dict(zip(table.columns.keys(), [*values, instant], strict=True)))
    engine.dispose()
    report = ingest(tmp_path / "lake", Database(postgres, names={"fines": "cf"}), content)
    assert report.clean
    row = Lake.open(tmp_path / "lake").frame("fines").collect().to_native().row(0, named=True)
    assert (row["doc"], row["event_day"], row["known_day"]) == ("F", 19727, 19729)
    assert (row["amount"], row["public"], row["kind"]) == (900_000_001, False, "warning")


def test_nothing_can_be_written_through_the_connection(postgres: str) -> None:
    """The server itself refuses writes in the session that reads."""
    with (
        databases._connection(Database(postgres)) as (connection, _),
        pytest.raises(sa.exc.DBAPIError, match="read-only"),
    ):
        connection.execute(sa.text("CREATE TABLE nope (a int)"))


@pytest.fixture(scope="module")
def mysql() -> Iterator[str]:
    """A MariaDB server of its own on loopback, run by an account that is not root, stopped and deleted afterwards."""
    server, installer = shutil.which("mariadbd", path=SERVERS), shutil.which("mariadb-install-db", path=SERVERS)
    if server is None or installer is None:
        absent("MariaDB")
    home, account = home_of_nobody("ct-mariadb-")
    port = free_port()
    place = [f"--datadir={home / 'data'}", "--no-defaults"]
    log = home.parent / f"{home.name}.log"
    try:
        with log.open("ab") as out:
            told = {"stdout": out, "stderr": out, "stdin": subprocess.DEVNULL, "cwd": "/"}
            install = [
                *account,
                installer,
                place[1],
                place[0],
                "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ]
            subprocess.run(install, check=True, timeout=120, **told)
            listen = [
                f"--port={port}",
                "--bind-address=127.0.0.1",
                f"--socket={home / 's'}",
                f"--pid-file={home / 'p'}",
            ]
            command = [
                *account,
                server,
                place[1],
                place[0],
                *listen,
                "--skip-grant-tables",
                "--character-set-server=utf8mb4",
                "--innodb-flush-log-at-trx-commit=0",
            ]
            running = subprocess.Popen(command, **told)
        try:
            url = f"mysql+pymysql://root@127.0.0.1:{port}"
            wait_for(url, running)
            yield url
        finally:
            running.terminate()
            running.wait(60)
    finally:
        shutil.rmtree(home, ignore_errors=True)
        log.unlink(missing_ok=True)


def wait_for(url: str, running: subprocess.Popen[bytes]) -> None:
    """Return once the server answers."""
    engine = sa.create_engine(url)
    for _ in range(600):
        assert running.poll() is None, "the server ended"
        try:
            engine.connect().close()
        except sa.exc.OperationalError:
            time.sleep(0.1)
        else:
            engine.dispose()
            return
    pytest.fail("the server does not answer")


def test_mysql_says_the_same_as_a_folder(
    *, mysql: str, first: Path, content: Content, tmp_path: Path, register: Columns, fines: Columns
) -> None:
    """Tables in a database of a real server, one of them through a view, give the same lake as CSV files."""
    ingest(tmp_path / "a", first, content)
    fill(f"{mysql}/", {"firms": register, "raw": {**fines, "法定代表人": ["某人"] * 6}}, schema="信用")
    engine = sa.create_engine(f"{mysql}/信用")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW FINES AS SELECT * FROM raw"))
    engine.dispose()
    report = ingest(tmp_path / "b", Database(f"{mysql}/信用"), content)
    assert report.clean
    assert Lake.open(tmp_path / "a").digest == Lake.open(tmp_path / "b").digest


def test_types_of_mysql_arrive_exactly(
    *, mysql: str, first: Path, content: Content, tmp_path: Path, codes: list[str]
) -> None:
    """Decimal, date, date with time and boolean keep their values."""
    (first / "fines.csv").unlink()
    ingest(tmp_path / "lake", first, content)
    engine = sa.create_engine(f"{mysql}/")
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("cf", if_not_exists=True))
    engine.dispose()
    engine = sa.create_engine(f"{mysql}/cf")
    table = sa.Table(
        "cf",
        sa.MetaData(),
        *(sa.Column("doc", sa.String(40)), sa.Column("uscc", sa.CHAR(20)), sa.Column("decided_on", sa.Date)),
        *(sa.Column("罚款金额(元)", sa.Numeric(20, 2)), sa.Column("public", sa.Boolean), sa.Column("kind", sa.Text)),
        sa.Column("received_on", sa.DateTime),
    )
    with engine.begin() as connection:
        table.create(connection)
        values = ["F", codes[0], date(2024, 1, 5), Decimal("9000000.01"), False, "警告", datetime(2024, 1, 7, 1)]  # noqa: DTZ001
        connection.execute(table.insert(), dict(zip(table.columns.keys(), values, strict=True)))
    engine.dispose()
    report = ingest(tmp_path / "lake", Database(f"{mysql}/cf", names={"fines": "cf"}), content)
    assert report.clean
    row = Lake.open(tmp_path / "lake").frame("fines").collect().to_native().row(0, named=True)
    assert (row["doc"], row["event_day"], row["known_day"]) == ("F", 19727, 19729)
    assert (row["amount"], row["public"], row["kind"]) == (900_000_001, False, "warning")


def test_nothing_can_be_written_through_the_connection_to_mysql(mysql: str) -> None:
    """The server itself refuses writes in the session that reads."""
    with (
        databases._connection(Database(f"{mysql}/mysql")) as (connection, _),
        pytest.raises(sa.exc.DBAPIError, match="READ ONLY"),
    ):
        connection.execute(sa.text("CREATE TABLE nope (a int)"))
