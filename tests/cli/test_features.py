"""`credit-tier features` as a user runs it: every command on a small city, exit codes, one JSON object, nothing personal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from credit_tier.cli import main
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.specs.feature import CatalogueSpec

CATALOGUE = Content.shipped().load("pipelines", "features.yaml", CatalogueSpec).features
AS_OF = ["--as-of", "2026-01-01"]


@dataclass(frozen=True)
class Answer:
    """What a command left behind: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return the one JSON object on standard output."""
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs `credit-tier features …` by the installed program's own entry."""

    def run(*words: str | Path) -> Answer:
        monkeypatch.setattr("sys.argv", ["credit-tier", "features", *map(str, words)])
        with pytest.raises(SystemExit) as done:
            main.run()
        written = capsys.readouterr()
        assert "Traceback" not in written.err
        return Answer(int(done.value.code or 0), written.out, written.err)

    return run


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features") / "city"
    generate(out, enterprises=1500, seed=11)
    return out / "records"


@pytest.fixture(scope="module")
def lake(records: Path) -> Path:
    assert ingest(records.parent / "lake", records, Content.shipped()).clean
    return records.parent / "lake"


@pytest.fixture(scope="module")
def corrected_in_place(records: Path) -> Path:
    """Return a lake whose department wrote the day of removal into the old record instead of sending a new version."""
    folder = records.parent / "corrected"
    folder.mkdir()
    for path in records.iterdir():
        if path.stem != "abnormal_listings":
            (folder / path.name).symlink_to(path)
    versions = pl.read_parquet(records / "abnormal_listings.parquet").sort("received_on")
    last = versions.group_by("listing_no", maintain_order=True).agg(
        pl.exclude("received_on").last(), pl.col("received_on").first()
    )
    last.select(versions.columns).write_parquet(folder / "abnormal_listings.parquet")
    assert ingest(records.parent / "corrected-lake", folder, Content.shipped()).clean
    return records.parent / "corrected-lake"


@pytest.fixture(scope="module")
def penalised(records: Path) -> str:
    """Return the code of the enterprise with most penalties."""
    penalties = pl.read_parquet(records / "penalties.parquet").unique("penalty_no")
    return str(penalties.group_by("uscc").len().sort("len", "uscc")["uscc"][-1])


def test_list_shows_the_whole_catalogue(call: Call) -> None:
    """Every entry, for people in a table with its dimension, for programs in full."""
    told = call("list")
    assert told.code == 0
    for feature in CATALOGUE:
        assert any(line.startswith(f"{feature.id} ") and feature.title_zh in line for line in told.out.splitlines())
    assert [item["id"] for item in call("list", "--json").json["features"]] == [f.id for f in CATALOGUE]


def test_explain_tells_definition_law_and_statement(call: Call) -> None:
    """Without a lake too; with a date the statement is of that day; an attribute of a planned event has none."""
    told = call("explain", "penalties_3y", *AS_OF)
    assert told.code == 0
    for word in ("行政处罚法 第48条", "FROM penalties AS r", "as_of 2026-01-01 = 20454", "repaired_on IS NULL"):
        assert word in told.out
    assert ":as_of" in call("explain", "penalties_3y", "--json").json["sql"]


def test_explain_shows_the_records_of_one_enterprise(call: Call, lake: Path, penalised: str, records: Path) -> None:
    """The very records that were known and not repaired, counted from the delivery itself."""
    known = pl.read_parquet(records / "penalties.parquet").filter(
        pl.col("uscc") == penalised, pl.col("received_on") < pl.date(2026, 1, 1)
    )
    latest = known.sort("received_on").unique("penalty_no", keep="last")
    open_ = latest.filter(pl.col("repaired_on").is_null(), pl.col("decided_on") >= pl.date(2023, 1, 2))
    words = ["explain", "penalties_3y", "--lake", lake, "--enterprise", penalised, *AS_OF]
    told = call(*words, "--json").json
    assert told["value"] == len(told["records"]) == open_.height > 0
    assert {row["record_id"] for row in told["records"]} == set(open_["penalty_no"])
    text = call(*words)
    assert text.code == 0
    assert all(number in text.out for number in open_["penalty_no"])


def test_explain_shows_the_totals_of_a_group(call: Call, lake: Path, penalised: str, records: Path) -> None:
    """The group by the enterprise's own values; the sum that is printed is the value."""
    register = pl.read_parquet(records / "enterprises.parquet").filter(pl.col("uscc") == penalised)
    words = ["explain", "problem_rate_section_district_2y", "--lake", lake, "--enterprise", penalised, *AS_OF]
    told = call(*words, "--json").json
    assert told["is_of_group"] is True
    assert told["group"]["of"]["industry_section"] == told["wider"]["of"]["industry_section"]
    assert told["group"]["of"]["district"] in set(register["district"])
    group, wider, weight = told["group"], told["wider"], told["weight"]
    by_hand = (group["total"] + weight * wider["total"] / wider["records"]) / (group["records"] + weight)
    assert told["value"] == pytest.approx(by_hand, rel=1e-6)
    (line,) = [line for line in call(*words).out.splitlines() if line.startswith("收缩 shrunken: ")]
    total, drawn, above, below, records, again, value = map(float, re.findall(r"[0-9.]+", line))
    assert (total, drawn, records, again) == (group["total"], weight, group["records"], weight)
    assert value == pytest.approx((total + drawn * above / below) / (records + again), rel=1e-6)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["explain", "nothing"], "CT-FEAT-020"),
        (["explain", "penalties_3y", "--enterprise", "91000000MAQMC06P2E"], "CT-FEAT-023"),
        (["explain", "penalties_3y", "--enterprise", "91000000MAQMC06P2E", "--lake", "LAKE", *AS_OF], "CT-FEAT-022"),
        (["explain", "penalties_3y", "--as-of", "yesterday"], "CT-"),
        (["explain", "penalties_3y", "--planned", "trigger"], "CT-FEAT-026"),
        (["coverage", "LAKE"], "--as-of"),
    ],
)
def test_wrong_use_ends_with_2_and_says_why(call: Call, lake: Path, words: list[str], code: str) -> None:
    """Unknown feature, half a question, an enterprise nobody knows, no date; the code asked for is not repeated."""
    told = call(*(str(lake) if word == "LAKE" else word for word in words))
    assert (told.code, told.out) == (2, "")
    assert code in told.err
    assert "91000000MAQMC06P2E" not in told.err


def test_lint_passes_the_shipped_catalogue_and_holds_windows_against_a_lake(call: Call, lake: Path) -> None:
    """No fault in itself; a lake of five years is too short for nothing in it."""
    assert (call("lint", "--json").code, call("lint", "--json").json) == (0, {"faults": 0})
    assert call("lint", "--lake", lake).code == 0


def overlay(folder: Path, entries: str, *, inherits: str = "data_schemas") -> Path:
    """Write a content folder whose catalogue holds the given entries."""
    (folder / "pipelines").mkdir(parents=True)
    (folder / "content.yaml").write_text(f"title_zh: t\ninherits: [{inherits}]\n", "utf-8")
    head = "title_zh: t\ndimensions: [{id: d, title_zh: d}]\nfeatures:\n"
    common = "title_zh: t, dimension: d, missing: {policy: zero}, unit: t, direction: 0, legal_basis: t"
    lines = [f"  - {{{entry}, {common}}}\n" for entry in entries.splitlines()]
    (folder / "pipelines/features.yaml").write_text(head + "".join(lines), "utf-8")
    return folder


def test_lint_ends_with_1_naming_every_fault(call: Call, lake: Path, tmp_path: Path) -> None:
    """A doublet and a window longer than the records; or, before a lake is asked, a column that no table has."""
    twins = "id: one, source: penalties, aggregate: count\nid: two, source: penalties, aggregate: count"
    long = "\nid: three, source: penalties, aggregate: count, window: {days: 20000}"
    told = call("lint", "--lake", lake, "--content", overlay(tmp_path / "a", twins + long))
    assert told.code == 1
    assert "CT-FEAT-030 pipelines/features.yaml two" in told.err
    assert "CT-FEAT-032 pipelines/features.yaml three" in told.err
    unknown = overlay(tmp_path / "b", "id: one, source: penalties, aggregate: sum, column: nowhere")
    faults = call("lint", "--json", "--content", unknown).json["error"]
    assert [(fault["code"], fault["where"]) for fault in faults] == [("CT-CONTENT-023", "pipelines/features.yaml one")]


def test_coverage_counts_by_a_column_of_the_register(call: Call, lake: Path) -> None:
    """The groups add up to everybody, for each feature."""
    whole = {item["feature"]: item for item in call("coverage", lake, *AS_OF, "--json").json["features"]}
    assert set(whole) == {f.id for f in CATALOGUE if f.source != "spine"}
    parts = call("coverage", lake, *AS_OF, "--by", "district", "--json").json
    assert parts["left_out"] == []
    assert len({item["group"] for item in parts["features"]}) > 5
    for name, item in whole.items():
        of = [part for part in parts["features"] if part["feature"] == name]
        assert all(sum(part[count] for part in of) == item[count] for count in ("rows", "known", "zeros"))
    text = call("coverage", lake, *AS_OF, "--by", "district")
    assert text.code == 0
    assert any(line.startswith("penalties_3y ") and "320505" in line for line in text.out.splitlines())
    unknown = call("coverage", lake, *AS_OF, "--by", "nothing")
    assert (unknown.code, "CT-FEAT-001" in unknown.err) == (1, True)


def test_coverage_and_build_leave_out_what_no_table_holds(call: Call, records: Path, tmp_path: Path) -> None:
    """A lake of two tables serves the features that it can, and the others are named."""
    (tmp_path / "records").mkdir()
    for name in ("enterprises.parquet", "penalties.parquet"):
        (tmp_path / "records" / name).symlink_to(records / name)
    assert ingest(tmp_path / "lake", tmp_path / "records", Content.shipped()).clean
    told = call("coverage", tmp_path / "lake", *AS_OF, "--json").json
    built = call("build", tmp_path / "lake", *AS_OF, "--out", tmp_path / "out.parquet", "--json").json
    there = {f.id for f in CATALOGUE if f.source in {"enterprises", "penalties"} and f.via is None}
    assert {item["feature"] for item in told["features"]} == there
    assert told["left_out"] == built["left_out"] == [f.id for f in CATALOGUE if f.id not in there]
    assert "related_broken_commitments_3y" in call("coverage", tmp_path / "lake", *AS_OF).out


def test_build_writes_a_row_for_everybody(call: Call, lake: Path, penalised: str, tmp_path: Path) -> None:
    """Codes and one column a feature; the value is the one that explain gives."""
    told = call("build", lake, *AS_OF, "--out", tmp_path / "out.parquet", "--json")
    assert told.code == 0
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert (told.json["rows"], told.json["features"]) == (frame.height, len(CATALOGUE))
    assert [name for name in frame.columns if name in {f.id for f in CATALOGUE}] == [f.id for f in CATALOGUE]
    (mine,) = frame.filter(code=penalised).rows(named=True)
    for name in ("penalties_3y", "problem_rate_section_district_2y", "commitment_fulfilled_share_3y"):
        explained = call("explain", name, "--lake", lake, "--enterprise", penalised, *AS_OF, "--json").json
        assert explained["value"] == mine[name]
    assert told.json["digest"] in call("build", lake, *AS_OF, "--out", tmp_path / "again.parquet").out
    assert pl.read_parquet(tmp_path / "again.parquet").equals(frame)


def test_audit_passes_a_clean_city(call: Call, lake: Path) -> None:
    """Exit code 0, no leak and no warning."""
    told = call("audit", "violation_risk", lake, "--json")
    assert (told.code, told.json["leaks"], told.json["findings"]) == (0, 0, [])
    text = call("audit", "violation_risk", lake)
    assert (text.code, "泄漏 leaks 0" in text.out) == (0, True)


def test_audit_ends_with_1_naming_the_features_that_know_the_future(call: Call, corrected_in_place: Path) -> None:
    """Those that ask whether a listing has ended; the column is named, no other feature is."""
    told = call("audit", "violation_risk", corrected_in_place, "--json")
    assert told.code == 1
    found = {(item["feature"], item["reason"], item["is_leak"]) for item in told.json["findings"]}
    assert found == {(name, "known_too_early", True) for name in ("abnormal_active", "abnormal_unreachable_active")}
    text = call("audit", "violation_risk", corrected_in_place)
    assert text.code == 1
    for word in ("abnormal_active", "abnormal_unreachable_active", "abnormal_listings.removed_on"):
        assert word in text.out
    assert "91000000" not in text.out + text.err


PERSONAL = {
    "firms": """
table: firms
title_zh: 登记
kind: entity
key: firm
record_id: {column: firm}
known_at: {column: seen_on}
source: test
legal_basis: test
columns:
  firm: {type: text, title_zh: 编号}
  area: {type: code, title_zh: 区}
  contact: {type: text, title_zh: 联系人, sensitivity: personal}
  seen_on: {type: date, title_zh: 入库}
""",
    "visits": """
table: visits
title_zh: 检查
kind: event
key: firm
record_id: {column: visit_no}
event_on: happened_on
known_at: {column: seen_on}
source: test
legal_basis: test
columns:
  visit_no: {type: text, title_zh: 编号}
  firm: {type: text, title_zh: 主体}
  inspector: {type: text, title_zh: 检查人, sensitivity: personal}
  happened_on: {type: date, title_zh: 日期}
  seen_on: {type: date, title_zh: 入库}
""",
}


def test_no_personal_value_comes_out(call: Call, tmp_path: Path) -> None:
    """Neither in the records of a feature that reads it, nor as the name of a group; lint refuses both, coverage by it ends with 3."""
    entries = """id: visits, source: visits, aggregate: count
id: by_wu, source: visits, aggregate: count, filter: [{column: inspector, not_one_of: [nobody]}]
id: of_contact, source: visits, aggregate: count, group_by: [contact]"""
    content = overlay(tmp_path / "content", entries, inherits="")
    (content / "data_schemas").mkdir()
    for name, text in PERSONAL.items():
        (content / "data_schemas" / f"{name}.yaml").write_text(text, "utf-8")
    delivery = tmp_path / "delivery"
    delivery.mkdir()
    (delivery / "firms.csv").write_text("firm,area,contact,seen_on\nf1,x,Zhao-Liu,2024-01-01\n", "utf-8")
    visit = "visit_no,firm,inspector,happened_on,seen_on\nv1,f1,Wu-Qi,2024-02-01,2024-02-02\n"
    (delivery / "visits.csv").write_text(visit, "utf-8")
    lake = tmp_path / "lake"
    assert ingest(lake, delivery, Content.resolve(content)).clean
    answers = [call("lint", "--content", content), call("list", "--content", content)]
    assert answers[0].code == 1
    assert answers[0].err.count("CT-CONTENT-029") == 2
    when = ["--as-of", "2024-03-01", "--content", content]
    for name in ("visits", "by_wu", "of_contact"):
        for as_json in ([], ["--json"]):
            told = call("explain", name, "--lake", lake, "--enterprise", "f1", *when, *as_json)
            assert (told.code, "v1" in told.out) == (0, True)
            answers.append(told)
    answers.append(call("coverage", lake, *when, "--by", "area"))
    assert answers[-1].code == 0
    refused = call("coverage", lake, *when, "--by", "contact")
    assert (refused.code, "CT-FEAT-024 firms.contact" in refused.err) == (3, True)
    for told in [*answers, refused]:
        assert "Zhao-Liu" not in told.out + told.err
        assert "Wu-Qi" not in told.out + told.err
