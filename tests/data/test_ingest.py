"""A delivery goes into the lake whole and exactly; what fails is quarantined with its reasons, and nothing else is lost."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import SORTED_BY, SYSTEM_COLUMNS, Lake
from credit_tier.data.report import ADVICE, advice_of
from credit_tier.errors import ContentError, DataError, LakeError, UsageError
from credit_tier.temporal import FOREVER, day_number

Columns = dict[str, list[object]]
Write = Callable[[str, Mapping[str, Sequence[object]]], Path]
Deliver = Callable[[str], Write]


def rows(lake: Path, table: str) -> pl.DataFrame:
    return Lake.open(lake).frame(table).collect().to_native()


def parts(lake: Path) -> dict[str, bytes]:
    return {str(path.relative_to(lake)): path.read_bytes() for path in sorted(lake.rglob("*.parquet"))}


def test_a_clean_delivery_is_taken_in_exactly(first: Path, content: Content, tmp_path: Path, codes: list[str]) -> None:
    """Every value of a messy but sound CSV arrives in the lake in its exact type."""
    report = ingest(tmp_path / "lake", first, content)
    assert report.clean
    assert report.changed
    lake = Lake.open(tmp_path / "lake")
    lake.verify()
    assert (lake.tables, lake.register, lake.enterprises) == (("fines", "firms"), "firms", 12)
    assert lake.cutoff == date(2024, 6, 15)
    assert lake.codes().to_native()["code"].to_list() == sorted(codes)
    assert lake.number_of(codes[3]) == sorted(codes).index(codes[3])
    assert lake.number_of("nobody") is None
    table = rows(tmp_path / "lake", "fines")
    assert table.columns[:5] == list(SYSTEM_COLUMNS)
    assert table.columns[5:] == [name for name in load_specs(content)["fines"].columns if name != "uscc"]
    by_doc = {row["doc"]: row for row in table.iter_rows(named=True)}
    assert [by_doc[f"F{n}"]["amount"] for n in range(6)] == [1_500_000, 0, 20_000, None, 1, 3_000_000]
    assert [by_doc[f"F{n}"]["points"] for n in range(6)] == [3, None, 12, 0, 1, 2]
    assert [by_doc[f"F{n}"]["public"] for n in range(6)] == [True, False, True, False, None, False]
    assert [by_doc[f"F{n}"]["share"] for n in range(6)] == [0.25, None, 1.0, 0.0, 0.5, 0.001]
    assert by_doc["F4"]["event_day"] == by_doc["F4"]["decided_on"] == day_number(date(2024, 5, 5))
    assert by_doc["F4"]["known_day"] == day_number(date(2024, 5, 15))
    assert by_doc["F4"]["superseded_day"] == FOREVER
    assert by_doc["F5"]["note"] == "含\n换行"
    assert {
        name: dtype for name, dtype in table.schema.items() if name in {*SYSTEM_COLUMNS, "decided_on", "amount"}
    } == {
        "enterprise_no": pl.Int32,
        "record_id": pl.String,
        "event_day": pl.Int32,
        "known_day": pl.Int32,
        "superseded_day": pl.Int32,
        "decided_on": pl.Int32,
        "amount": pl.Int64,
    }
    assert rows(tmp_path / "lake", "firms")["event_day"].null_count() == 12


def test_csv_gzip_parquet_and_split_files_say_the_same(
    *, first: Path, content: Content, tmp_path: Path, register: Columns, fines: Columns, deliver: Deliver
) -> None:
    """The form and number of files does not matter: the lake's bytes are the same."""
    ingest(tmp_path / "lake", first, content)
    write = deliver("other")
    typed = pl.DataFrame(fines).with_columns(
        pl.col("CF_JDRQ")
        .replace({"2024/2/5": "2024-02-05", "2024.03.05": "2024-03-05", "2024年4月5日": "2024-04-05"})
        .str.slice(0, 10)
        .str.to_date(),
        pl.Series("罚款金额", [1.5, 0.0, 0.02, None, 0.000001, 3.0]),
        pl.Series("points", [3, None, 12, 0, 1, 2]),
        pl.Series("public", [True, False, True, False, None, False]),
    )
    write("firms.csv", {name: values[:5] for name, values in register.items()})
    other = write("firms-rest.parquet", {name: values[5:] for name, values in register.items()})
    typed[:4].write_parquet(other / "fines-2024Q1.parquet")
    with gzip.open(other / "fines-2024Q2.csv.gz", "wb") as stream:
        stream.write(pl.DataFrame(fines)[4:].write_csv().encode())
    report = ingest(tmp_path / "lake2", other, content)
    assert report.clean
    assert parts(tmp_path / "lake2") == parts(tmp_path / "lake")
    assert [file.rows for table in report.tables for file in table.files] == [7, 5, 4, 2]


@given(order=st.permutations(range(12)), other=st.permutations(range(6)))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_row_order_never_matters(
    *,
    order: list[int],
    other: list[int],
    first: Path,
    content: Content,
    tmp_path: Path,
    register: Columns,
    fines: Columns,
    deliver: Deliver,
) -> None:
    """Shuffled deliveries give the same numbers and byte-identical files."""
    if not (tmp_path / "lake").exists():
        ingest(tmp_path / "lake", first, content)
    write = deliver("shuffled")
    write("firms.csv", {name: [values[at] for at in order] for name, values in register.items()})
    folder = write("fines.csv", {name: [values[at] for at in other] for name, values in fines.items()})
    shutil.rmtree(tmp_path / "lake2", ignore_errors=True)
    assert ingest(tmp_path / "lake2", folder, content).lake_digest == Lake.open(tmp_path / "lake").digest
    assert parts(tmp_path / "lake2") == parts(tmp_path / "lake")


def test_a_delivery_applied_twice_changes_nothing(first: Path, content: Content, tmp_path: Path) -> None:
    """Not one byte of the lake differs after the same delivery again, quarantined rows included."""
    with (first / "fines.csv").open("a", encoding="utf-8") as stream:
        stream.write("F9,x,2024-01-05,1,1,1,1,fine,,2024-01-06\n")
    ingest(tmp_path / "lake", first, content)
    before = {**parts(tmp_path / "lake"), "manifest": (tmp_path / "lake/manifest.json").read_bytes()}
    report = ingest(tmp_path / "lake", first, content)
    assert not report.changed
    assert [(table.added, table.unchanged, table.quarantined) for table in report.tables] == [(0, 12, 0), (0, 6, 1)]
    assert {**parts(tmp_path / "lake"), "manifest": (tmp_path / "lake/manifest.json").read_bytes()} == before


def test_new_firms_are_appended_and_old_numbers_stay(
    *, first: Path, content: Content, tmp_path: Path, register: Columns, codes: list[str], deliver: Deliver
) -> None:
    """Numbers of enterprises never change; new ones follow in order of their code."""
    few = {name: values[4:] for name, values in register.items()}
    write = deliver("few")
    ingest(tmp_path / "lake", write("firms.csv", few), content)
    assert Lake.open(tmp_path / "lake").codes().to_native()["code"].to_list() == sorted(codes[4:])
    report = ingest(tmp_path / "lake", first, content)
    assert Lake.open(tmp_path / "lake").codes().to_native()["code"].to_list() == [
        *sorted(codes[4:]),
        *sorted(codes[:4]),
    ]
    firms = next(table for table in report.tables if table.table == "firms")
    assert (firms.added, firms.unchanged) == (4, 8)


def test_a_correction_becomes_a_version(
    first: Path, content: Content, tmp_path: Path, fines: Columns, deliver: Deliver
) -> None:
    """The corrected record supersedes the old one from its own knowledge day on; other records are untouched."""
    ingest(tmp_path / "lake", first, content)
    corrected = {name: [values[0]] for name, values in fines.items()}
    corrected["罚款金额"], corrected["入库日期"] = ["2"], ["2024-07-01"]
    report = ingest(tmp_path / "lake", deliver("second")("fines.csv", corrected), content)
    assert [(table.added, table.unchanged) for table in report.tables] == [(1, 0)]
    table = rows(tmp_path / "lake", "fines")
    july = day_number(date(2024, 7, 1))
    versions = table.filter(pl.col("record_id") == "F0").select("amount", "known_day", "superseded_day").rows()
    assert versions == [(1_500_000, day_number(date(2024, 1, 15)), july), (2_000_000, july, FOREVER)]
    assert table.height == 7
    assert table.equals(table.sort(SORTED_BY, maintain_order=True))
    assert not ingest(tmp_path / "lake", first, content).changed, "an old delivery again does not undo the correction"


def test_of_two_versions_of_one_day_the_later_delivered_wins(
    first: Path, content: Content, tmp_path: Path, fines: Columns, deliver: Deliver
) -> None:
    """The earlier version of the day is kept and never visible; each old delivery again changes nothing."""
    ingest(tmp_path / "lake", first, content)
    same_day = {name: [values[0]] for name, values in fines.items()}
    same_day["罚款金额"] = ["2"]
    second = deliver("second")("fines.csv", same_day)
    ingest(tmp_path / "lake", second, content)
    january = day_number(date(2024, 1, 15))

    def versions() -> list[tuple[int, int]]:
        table = rows(tmp_path / "lake", "fines")
        return table.filter(pl.col("record_id") == "F0").select("amount", "superseded_day").rows()

    assert versions() == [(1_500_000, january), (2_000_000, FOREVER)]
    for again in (first, second, first):
        assert not ingest(tmp_path / "lake", again, content).changed
    back = {name: [values[0]] for name, values in fines.items()}
    back["备注"] = ["无"]
    third = deliver("third")("fines-back.csv", back)
    assert ingest(tmp_path / "lake", third, content).changed, "a third file may take the correction back"
    assert versions() == [(1_500_000, january), (2_000_000, january), (1_500_000, FOREVER)]


def test_rejected_rows_can_be_accepted_later(
    content: Content, tmp_path: Path, register: Columns, first: Path, deliver: Deliver
) -> None:
    """Records of firms that were not registered yet are quarantined, and taken when they come again after the register."""
    few = {name: values[2:] for name, values in register.items()}
    write = deliver("early")
    write("firms.csv", few)
    shutil.copy(first / "fines.csv", tmp_path / "early")
    report = ingest(tmp_path / "lake", tmp_path / "early", content)
    assert report.tables[1].rules == {"fines.uscc.not_in_register": 4}
    ingest(tmp_path / "lake", deliver("late")("firms.csv", register), content)
    again = ingest(tmp_path / "lake", tmp_path / "early", content)
    assert again.clean
    assert (again.tables[1].added, again.tables[1].unchanged) == (4, 2)


BAD_ROWS = [
    ({"uscc": "91000000MA0000007D"}, "fines.uscc.check_digit"),
    ({"uscc": "91000000MA0000007C"}, "fines.uscc.not_in_register"),
    ({"uscc": ""}, "fines.uscc.missing"),
    ({"CF_JDRQ": "2024-02-30"}, "fines.decided_on.impossible_date"),
    ({"CF_JDRQ": "1890-01-01"}, "fines.decided_on.impossible_date"),
    ({"CF_JDRQ": "2101-01-01", "入库日期": "2101-01-01"}, "fines.decided_on.impossible_date"),
    ({"CF_JDRQ": "不详"}, "fines.decided_on.unreadable_date"),
    ({"CF_JDRQ": "2024-01-16"}, "fines.decided_on.after_known"),
    ({"罚款金额": "1.0000001"}, "fines.amount.not_whole_fen"),
    ({"罚款金额": "若干"}, "fines.amount.unreadable_amount"),
    ({"罚款金额": "1000.01"}, "fines.amount.range"),
    ({"points": "-1"}, "fines.points.range"),
    ({"points": "1.5"}, "fines.points.unreadable_integer"),
    ({"share": "50%"}, "fines.share.unreadable_number"),
    ({"public": "也许"}, "fines.public.unreadable_boolean"),
    ({"kind": "gift"}, "fines.kind.vocabulary"),
    ({"kind": ""}, "fines.kind.missing"),
    ({"备注": "第2条"}, "fines.note.pattern"),
    ({"文号": "F1"}, None),
    ({"文号": ""}, "fines.doc.missing"),
]


@pytest.mark.parametrize(("change", "rule"), BAD_ROWS, ids=[str(rule) for _, rule in BAD_ROWS])
def test_each_bad_row_is_quarantined_alone_with_its_reason(
    *,
    change: Mapping[str, str],
    rule: str | None,
    first: Path,
    content: Content,
    tmp_path: Path,
    fines: Columns,
    deliver: Deliver,
) -> None:
    """The row goes to quarantine as it was delivered, under a stable rule id with advice; all other rows are kept."""
    row = {name: [str(values[0])] for name, values in fines.items()} | {"文号": ["F77"]}
    row |= {name: [value] for name, value in change.items()}
    deliver("first")("fines-more.csv", row)
    report = ingest(tmp_path / "lake", first, content)
    table = next(item for item in report.tables if item.table == "fines")
    assert table.rows_read == table.accepted + table.quarantined + table.duplicates == 7
    if rule is None:
        assert report.clean, "two records with one number and different days are two versions"
        return
    assert (table.accepted, table.quarantined) == (6, 1)
    for found, count in table.rules.items():
        assert count == 1
        assert advice_of(found)
    assert rule in table.rules
    held = pl.read_parquet(tmp_path / "lake" / str(table.quarantine_file))
    assert held["_file"].to_list() == ["fines-more.csv"]
    assert held["_row"].to_list() == [1]
    assert held["_rules"].to_list() == [" ".join(sorted(table.rules))]
    assert {name: held[name][0] or "" for name in row} == {name: values[0] for name, values in row.items()}
    text = json.dumps(report.to_json(), ensure_ascii=False)
    for value in change.values():
        assert len(value) < 3 or value not in text, "values never stand in a report"


def test_identical_rows_are_dropped_and_counted_conflicting_ones_quarantined(
    first: Path, content: Content, tmp_path: Path, fines: Columns, deliver: Deliver
) -> None:
    """A row sent twice is one record; two rows that contradict each other are both set aside."""
    twice = {name: [values[1], values[1], values[2]] for name, values in fines.items()}
    twice["points"] = [*twice["points"][:2], "13"]
    deliver("first")("fines-again.csv", twice)
    table = ingest(tmp_path / "lake", first, content).tables[1]
    assert (table.rows_read, table.accepted, table.duplicates, table.quarantined) == (9, 5, 2, 2)
    assert table.rules == {"fines.record_id.duplicate": 2}
    held = pl.read_parquet(tmp_path / "lake" / str(table.quarantine_file))
    assert held.select("_file", "_row").rows() == [("fines-again.csv", 3), ("fines.csv", 3)]


def test_record_ids_made_of_columns_tell_empty_from_text(
    content: Content, tmp_path: Path, register: Columns, codes: list[str], deliver: Deliver
) -> None:
    """The digest is injective: moving a character over a column border, or emptying one, makes another record."""
    write = deliver("first")
    write("firms.csv", register)
    folder = write(
        "calls.csv",
        {
            "uscc": [codes[0]] * 4 + [codes[1]],
            "called_on": ["2024-01-05"] * 4 + ["2024-01-05"],
            "topic": ["", "-;", "a;1:b", "a", "a"],
        },
    )
    ingest(tmp_path / "lake", folder, content)
    table = rows(tmp_path / "lake", "calls")
    assert table["record_id"].n_unique() == 5
    assert table["record_id"].str.len_chars().unique().to_list() == [24]
    assert set(table["known_day"]) == {day_number(date(2024, 1, 8))}


def test_days_known_after_the_delivery_are_rejected_if_its_day_is_given(
    first: Path, content: Content, tmp_path: Path
) -> None:
    """A mistyped year would move the data cut-off; the day of receipt catches it."""
    report = ingest(tmp_path / "lake", first, content, received_on=date(2024, 5, 31))
    assert report.tables[1].rules == {"fines.received_on.known_after_delivery": 1}
    assert Lake.open(tmp_path / "lake").cutoff == date(2024, 5, 15)


def test_a_refused_file_does_not_stop_the_others(
    first: Path, content: Content, tmp_path: Path, codes: list[str], deliver: Deliver
) -> None:
    """A file without a required column is refused by name; unknown files are reported, not fatal."""
    write = deliver("first")
    write("calls.csv", {"uscc": codes[:1], "topic": ["a"]})
    write("weather.csv", {"a": [1]})
    (first / "readme.txt").write_text("x", encoding="utf-8")
    report = ingest(tmp_path / "lake", first, content)
    assert [str(fault) for fault in report.refused] == [
        "CT-DATA-008 calls.csv: the required column calls.called_on (投诉日期) is missing. Add it under one of these headers: called_on."
    ]
    assert report.unknown_files == ("readme.txt", "weather.csv")
    assert not report.clean
    assert Lake.open(tmp_path / "lake").tables == ("fines", "firms")


def test_optional_columns_may_be_absent_and_others_are_reported(
    content: Content, tmp_path: Path, register: Columns, fines: Columns, deliver: Deliver
) -> None:
    """What a file lacks or brings beyond the contract is told per file."""
    write = deliver("first")
    write("firms.csv", register | {"法人": ["某"] * 12})
    folder = write("fines.csv", {name: values for name, values in fines.items() if name not in {"share", "备注"}})
    report = ingest(tmp_path / "lake", folder, content)
    assert report.clean
    assert report.tables[0].files[0].unmapped_columns == ("法人",)
    assert report.tables[1].files[0].absent_columns == ("share", "note")
    assert rows(tmp_path / "lake", "fines")["share"].null_count() == 6


def test_a_first_delivery_needs_the_register(
    content: Content, tmp_path: Path, fines: Columns, deliver: Deliver
) -> None:
    """Without a register nothing can be numbered, and no half lake is left that would open."""
    with pytest.raises(DataError, match=r"CT-DATA-010 firms: .*register.*firms\.csv"):
        ingest(tmp_path / "lake", deliver("first")("fines.csv", fines), content)
    with pytest.raises(LakeError, match="CT-LAKE-001"):
        Lake.open(tmp_path / "lake")


def test_folders_that_deliver_nothing_are_named(content: Content, tmp_path: Path) -> None:
    """A missing folder is wrong use; an empty one lists the names that would be taken."""
    with pytest.raises(UsageError, match="CT-DATA-002"):
        ingest(tmp_path / "lake", tmp_path / "nowhere", content)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"CT-DATA-003.*calls, fines, firms"):
        ingest(tmp_path / "lake", tmp_path / "empty", content)


def test_a_contract_may_grow_headers_but_not_change_its_meaning(first: Path, content: Content, tmp_path: Path) -> None:
    """New aliases and limits are taken over; another type of a column asks for a new lake."""
    ingest(tmp_path / "lake", first, content)
    path = tmp_path / "content/data_schemas/fines.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("[CF_JDRQ]", "[CF_JDRQ, 处罚日期]"), encoding="utf-8")
    assert ingest(tmp_path / "lake", first, Content.resolve(tmp_path / "content")).changed
    assert "处罚日期" in Lake.open(tmp_path / "lake").spec("fines").columns["decided_on"].aliases
    path.write_text(text.replace("share: {type: number", "share: {type: text"), encoding="utf-8")
    with pytest.raises(LakeError, match=r"CT-LAKE-007 data_schemas/fines\.yaml"):
        ingest(tmp_path / "lake", first, Content.resolve(tmp_path / "content"))


def test_contracts_are_found_under_their_names(content: Content, tmp_path: Path) -> None:
    """One register, and files named after their tables."""
    assert sorted(load_specs(content)) == ["calls", "fines", "firms"]
    home = tmp_path / "content/data_schemas"
    (home / "firms.yaml").rename(home / "companies.yaml")
    with pytest.raises(ContentError, match=r"CT-CONTENT-022.*firms\.yaml"):
        load_specs(Content.resolve(tmp_path / "content"))
    (home / "companies.yaml").unlink()
    with pytest.raises(ContentError, match="CT-CONTENT-021"):
        load_specs(Content.resolve(tmp_path / "content"))


def test_every_rule_has_advice_in_both_languages() -> None:
    """A person who reads a rule id is told what to do, for each rule something of its own."""
    for texts in zip(*ADVICE.values(), strict=True):
        assert len(set(texts)) == len(ADVICE)
    for label, chinese, english in ADVICE.values():
        assert all(any("\u4e00" <= letter <= "\u9fff" for letter in text) for text in (label, chinese))
        assert min(len(chinese), len(english)) > 8
