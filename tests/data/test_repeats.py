"""Sources without numbers of records, without a date of their own, or with several tables in one file."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content, parse
from credit_tier.data.contracts import failing_rows
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.data.plain import PlainRecords
from credit_tier.errors import ContentError
from credit_tier.specs.dataset import DatasetSpec

FIRMS = """\
table: firms
title_zh: 企业
kind: entity
key: firm
record_id: {column: firm}
known_at: {fixed: 2020-01-01, reason: 测试}
source: 测试
legal_basis: 测试
columns:
  firm: {type: text, title_zh: 企业}
"""

BILLS = """\
table: bills
title_zh: 发票
kind: event
files: [paid_bills, open_bills]
key: firm
record_id: {of: [firm, day, to], repeats: true}
event_on: day
known_at: {column: day}
source: 测试
legal_basis: 测试
columns:
  firm: {type: text, title_zh: 企业}
  day: {type: date, title_zh: 日期}
  to: {type: text, title_zh: 对方, nullable: true}
  amount: {type: number, title_zh: 金额}
"""

FATES = """\
table: fates
title_zh: 结果
kind: event
files: [firms]
key: firm
record_id: {column: firm}
event_on: on
known_at: {column: on}
source: 测试
legal_basis: 测试
columns:
  firm: {type: text, title_zh: 企业}
  on: {type: date, title_zh: 结果日, constant: 2024-03-01}
  state: {type: code, title_zh: 状态, vocabulary: {open: 存续, shut: 注销}, constant: open}
  failed: {type: boolean, title_zh: 失败, nullable: true}
"""


@pytest.fixture
def here(tmp_path: Path) -> Content:
    rooms = tmp_path / "content"
    (rooms / "data_schemas").mkdir(parents=True)
    (rooms / "content.yaml").write_text("title_zh: 测试\ninherits: []\n", "utf-8")
    for text in (FIRMS, BILLS, FATES):
        table = text.split("\n", 1)[0].removeprefix("table: ")
        (rooms / "data_schemas" / f"{table}.yaml").write_text(text, "utf-8")
    return Content.resolve(rooms)


def deliver(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, "utf-8")
    return folder


FIRST = {
    "firms": "firm,failed\nA,1\nB,0\nC,\n",
    "paid_bills": "firm,day,to,amount\nA,2024-01-05,x,1.5\nA,2024-01-05,x,1.5\nA,2024-01-05,x,2\nA,2024-01-05,,1.5\n",
    "open_bills": "firm,day,to,amount\nA,2024-01-05,x,1.5\nB,2024-01-06,x,1.5\n",
}


def bills(lake: Path) -> pl.DataFrame:
    frame: pl.DataFrame = Lake.open(lake).frame("bills").collect().to_native()
    return frame


def test_rows_that_agree_in_everything_are_records_of_their_own(here: Content, tmp_path: Path) -> None:
    """Over both files of the table no row is lost, each has an id of its own, and no version supersedes another."""
    report = ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    assert report.clean
    found = bills(tmp_path / "lake")
    assert sorted(found["amount"].to_list()) == [1.5, 1.5, 1.5, 1.5, 1.5, 2.0]
    assert found["record_id"].n_unique() == 6
    assert found["superseded_day"].n_unique() == 1
    again = ingest(tmp_path / "lake", deliver(tmp_path / "again", **{**FIRST, "note": "x"}), here)
    assert not again.changed


def test_a_grown_file_adds_only_what_is_new(here: Content, tmp_path: Path) -> None:
    """The same rows keep their ids when more of the same kind come behind them."""
    ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    before = bills(tmp_path / "lake")
    grown = {"paid_bills": FIRST["paid_bills"] + "A,2024-01-05,x,3\n", "open_bills": FIRST["open_bills"]}
    report = ingest(tmp_path / "lake", deliver(tmp_path / "second", **grown), here)
    assert [(table.table, table.added) for table in report.tables] == [("bills", 1)]
    after = bills(tmp_path / "lake")
    assert set(before["record_id"]) < set(after["record_id"])
    assert after.height == 7


def test_a_row_pushed_in_between_leaves_what_was_delivered(here: Content, tmp_path: Path) -> None:
    """Those behind it move on by one: what counts afterwards is the last delivery, no row more or less."""
    ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    grown = {"paid_bills": FIRST["paid_bills"], "open_bills": FIRST["open_bills"] + "A,2024-01-05,x,7\n"}
    ingest(tmp_path / "lake", deliver(tmp_path / "second", **grown), here)
    found = bills(tmp_path / "lake").filter(pl.col("superseded_day") > pl.col("known_day"))
    assert sorted(found["amount"].to_list()) == [1.5, 1.5, 1.5, 1.5, 1.5, 2.0, 7.0]


def test_without_repeats_such_rows_are_one_record_or_a_contradiction(here: Content, tmp_path: Path) -> None:
    """The same files under a contract that knows no repeats: copies dropped, contradicting rows set aside."""
    path = here.file("data_schemas", "bills.yaml").path
    path.write_text(BILLS.replace(", repeats: true", ""), "utf-8")
    report = ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    table = next(item for item in report.tables if item.table == "bills")
    assert (table.accepted, table.duplicates, table.quarantined) == (2, 2, 2)


def test_many_repeats_over_many_batches_are_counted_once_each(
    here: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However files are cut into batches, ids are those of one batch."""
    lines = "".join(f"A,2024-01-{day:02d},x,{day % 3}\n" for day in range(1, 29) for _ in range(day % 5))
    files = {"firms": FIRST["firms"], "paid_bills": "firm,day,to,amount\n" + lines, "open_bills": FIRST["open_bills"]}
    ingest(tmp_path / "lake", deliver(tmp_path / "first", **files), here)
    monkeypatch.setattr("credit_tier.data.batches.ROWS_PER_BATCH", 7)
    monkeypatch.setattr("credit_tier.data.staging.ROWS_COMPARED", 10)
    ingest(tmp_path / "small", tmp_path / "first", here)
    assert bills(tmp_path / "lake").equals(bills(tmp_path / "small"))
    assert bills(tmp_path / "lake").height == lines.count("\n") + 2


def test_records_given_one_by_one_have_the_ids_of_the_lake(here: Content, tmp_path: Path) -> None:
    """A service that is handed the same bills numbers them as a delivery would, and puts in the constant."""
    ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    given = [{"firm": "A", "day": "2024-01-05", "to": to, "amount": n} for to, n in (("x", 1.5), ("x", 1.5), ("x", 2))]
    read = PlainRecords.read(load_specs(here), {"bills": given, "fates": [{"firm": "A"}]}, {"fates": ["state"]})
    assert len(set(read.tables["bills"]["record_id"])) == 3
    assert set(read.tables["bills"]["record_id"]) < set(bills(tmp_path / "lake")["record_id"])
    assert read.tables["fates"]["state"] == ["open"]


def test_one_file_delivers_two_tables_and_constants_stand_for_what_it_lacks(here: Content, tmp_path: Path) -> None:
    """The outcome comes out of the register's file, on the declared day; a column that the file has goes before the constant."""
    ingest(tmp_path / "lake", deliver(tmp_path / "first", **FIRST), here)
    lake = Lake.open(tmp_path / "lake")
    found = lake.frame("fates").collect().to_native().sort("enterprise_no")
    assert found["failed"].to_list() == [True, False, None]
    assert found["state"].to_list() == ["open"] * 3
    assert found["event_day"].n_unique() == found["known_day"].n_unique() == 1
    assert str(lake.cutoff_of("fates")) == "2024-03-01"
    told = deliver(tmp_path / "told", firms="firm,failed,state,on\nA,1,shut,2024-02-01\n")
    ingest(tmp_path / "other", told, here)
    other = Lake.open(tmp_path / "other")
    assert other.frame("fates").collect()["state"].to_list() == ["shut"]
    assert str(other.cutoff_of("fates")) == "2024-02-01"


def test_a_contract_with_repeats_refuses_no_copy(here: Content) -> None:
    """The rule against doublets does not stand in its schema; all others do."""
    spec = load_specs(here)["bills"]
    rows = pl.DataFrame({"firm": ["A", "A"], "day": ["2024-01-05"] * 2, "to": ["x", "x"], "amount": [1.0, 1.0]})
    typed = rows.with_columns(pl.col("day").str.to_date())
    assert failing_rows(typed, spec).height == 0
    assert (
        failing_rows(typed.with_columns(firm=pl.lit(None, pl.String)), spec)["rule"].to_list()
        == ["bills.firm.missing"] * 2
    )


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("constant: 2024-03-01", "constant: 20240301", "YYYY-MM-DD"),
        ("constant: 2024-03-01", "constant: 2024-02-30", "on"),
        ("constant: open", "constant: gone", "not in the vocabulary"),
        ("failed: {", "failed: {constant: 'true', ", "only a date or code column"),
        ("record_id: {column: firm}", "record_id: {column: firm, repeats: true}", "repeats goes with of"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_contract_is_read(old: str, new: str, what: str) -> None:
    """With the words that say why."""
    assert old in FATES
    with pytest.raises(ContentError, match=what):
        parse(FATES.replace(old, new), DatasetSpec, where="fates.yaml")
