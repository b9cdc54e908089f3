"""`repair` and `rules` on a real lake: point in time, worklist safe for spreadsheets, exit codes, one JSON object."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from credit_tier.cli.main import app
from credit_tier.cli.repair import safe_cell
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import CreditTierError, LakeError
from credit_tier.features.records import visible_rows
from credit_tier.temporal import AsOf
from credit_tier.types import uscc_check_character

runner = CliRunner()

FIRMS = """\
table: firms
title_zh: 主体名录
kind: entity
key: uscc
record_id: {column: uscc}
known_at: {column: received_on}
source: 测试
legal_basis: 测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  received_on: {type: date, title_zh: 入库日期}
"""
HEADER = "penalty_no,uscc,decided_on,published_on,kinds,procedure,domain,fine,authority,duty_fulfilled_on,commitment_on,repaired_on,received_on"
DONE = "2026-05-20,2026-05-21"


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


def penalty(
    no: str,
    firm: int,
    decided: str,
    *,
    kinds: str = "fine",
    done: str = DONE,
    repaired: str = "",
    received: str = "2026-05-25",
) -> str:
    return f"{no},{code(firm)},{decided},{decided},{kinds},ordinary,market,5,某局,{done},{repaired},{received}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with content (own register, shipped penalties and packs) and a lake of five enterprises."""
    home = tmp_path_factory.mktemp("repair")
    schemas = home / "content" / "data_schemas"
    schemas.mkdir(parents=True)
    (home / "content/content.yaml").write_text("title_zh: 测试\ninherits: [rule_packs]\n", encoding="utf-8")
    (schemas / "firms.yaml").write_text(FIRMS, encoding="utf-8")
    (schemas / "penalties.yaml").write_text(Content.resolve().text("data_schemas", "penalties.yaml"), encoding="utf-8")
    delivery = home / "delivery"
    delivery.mkdir()
    firms = [f"{code(n)},2024-01-01" for n in range(5)]
    (delivery / "firms.csv").write_text("uscc,received_on\n" + "\n".join(firms) + "\n", encoding="utf-8")
    rows = [
        penalty("=cmd|1", 0, "2026-05-10"),
        penalty("B-1", 1, "2026-05-10", done=","),
        penalty("C-1", 2, "2026-07-01", received="2026-07-05"),
        penalty("D-1", 3, "2026-05-10", kinds="suspend_permit"),
        penalty("E-1", 4, "2026-05-10"),
        penalty("E-1", 4, "2026-05-10", repaired="2026-08-20", received="2026-09-15"),
        penalty("E-2", 4, "2026-05-10", kinds="warning;revoke_permit"),
    ]
    (delivery / "penalties.csv").write_text("\n".join([HEADER, *rows]) + "\n", encoding="utf-8")
    report = ingest(home / "lake", delivery, Content.resolve(home / "content"))
    assert report.clean
    return home


def call(home: Path, *arguments: object) -> Result:
    return runner.invoke(app, [*map(str, arguments), "--content", str(home / "content")])


def test_one_enterprise_is_answered_in_both_languages(home):
    """The answer names decision, dates, reasons with instruments, papers, channel, and what was not verified."""
    found = call(home, "repair", "assess", home / "lake", code(1), "--as-of", "2026-09-01", "--jurisdiction", "cn-3205")
    assert found.exit_code == 0, found.output
    for words in (
        "尚不能申请 not_yet",
        "最短 min 2026-08-10 → 最长 max 2027-05-10",
        "缺 missing: 信用修复承诺书",
        "信用修复管理办法(国家发展和改革委员会令第36号)",
        "holiday table does not cover",
        "not compared with the official text",
    ):
        assert words in found.output


def test_json_is_one_object_with_trace_and_digests(home):
    """A program gets the same answer with the facts that were read and the digests of law and data."""
    found = call(home, "repair", "assess", home / "lake", code(4), "--as-of", "2026-09-01", "--json")
    answer = json.loads(found.stdout)
    assert [(item["record_id"], item["decision"]) for item in answer["records"]] == [
        ("E-1", "eligible"),
        ("E-2", "not_yet"),
    ]
    assert answer["records"][0]["trace"]["decided_on"] == "2026-05-10"
    assert answer["lake_digest"] == Lake.open(home / "lake").digest
    assert len(answer["pack_digest"]) == 64
    assert answer["records"][0]["until"] is None
    assert answer["records"][1]["until"] == "2027-05-10"


@pytest.mark.parametrize(("as_of", "decision"), [("2026-09-15", "eligible"), ("2026-09-16", "repaired")])
def test_a_repair_counts_from_the_day_after_it_was_known(home, as_of, decision):
    """The version received on 15 September does not exist for a question as of that day."""
    answer = json.loads(call(home, "repair", "assess", home / "lake", code(4), "--as-of", as_of, "--json").stdout)
    assert answer["records"][0]["decision"] == decision


def test_the_law_of_the_day_is_used(home):
    """A question about a day before any record was received finds none; the pack is that of the day."""
    answer = json.loads(
        call(home, "repair", "assess", home / "lake", code(0), "--as-of", "2025-09-01", "--json").stdout
    )
    assert answer["pack"] == "cn/repair/2023-05-01"
    assert answer["records"] == []


def test_the_worklist_is_ordered_and_safe_for_spreadsheets(home, tmp_path):
    """The file opens in a spreadsheet as text only; nothing that looks like a formula survives; counts add up."""
    out = tmp_path / "out" / "worklist.csv"
    found = call(
        home, "repair", "worklist", home / "lake", "--as-of", "2026-09-01", "--jurisdiction", "cn-3205", "--out", out
    )
    assert found.exit_code == 0, found.output
    data = out.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    assert [row["文号"] for row in rows] == ["'=cmd|1", "E-1", "B-1", "C-1", "E-2", "D-1"]
    assert [row["办理"] for row in rows] == ["现在可申请"] * 2 + ["补齐条件即可申请"] + ["等待期满"] * 2 + ["人工判定"]
    assert all(not cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row.values())
    assert rows[0]["统一社会信用代码"] == code(0)
    assert rows[3]["最早可申请日"] == "2026-10-01"
    assert "36号" in rows[0]["依据"]
    assert not list(out.parent.glob(".tmp-*"))
    counts = json.loads(call(home, "repair", "worklist", home / "lake", "--as-of", "2026-09-01", "--json").stdout)
    assert counts["records"] == 6
    assert counts["decisions"] == {"eligible": 2, "needs_human": 1, "not_yet": 3}
    assert counts["steps"] == {"apply": 2, "bring_papers": 1, "wait": 2, "ask_person": 1}
    assert [item["record_id"] for item in counts["worklist"]] == [row["文号"].lstrip("'") for row in rows]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\r=1", "\n=1"])
def test_no_cell_starts_a_formula(text):
    """Each character that a spreadsheet acts upon is disarmed; other text is left as it is."""
    assert safe_cell(text) == "'" + text
    assert safe_cell("a" + text) == "a" + text


def test_wrong_use_is_told_apart_and_repeats_no_code(home):
    """An unknown code, a missing output, an unknown day of law: each its own code; the credit code is never echoed."""
    unknown = code(77)
    for arguments, exit_code, fault in (
        (("repair", "assess", home / "lake", unknown, "--as-of", "2026-09-01"), 2, "CT-REPAIR-001"),
        (("repair", "worklist", home / "lake", "--as-of", "2026-09-01"), 2, "CT-REPAIR-002"),
        (("repair", "assess", home / "lake", code(0), "--as-of", "2016-01-01"), 1, "CT-RULE-001"),
        (("repair", "assess", home / "lake", code(0), "--as-of", "2026-9-1"), 2, "CT-TIME-001"),
        (("repair", "assess", home / "none", code(0), "--as-of", "2026-09-01"), 4, "CT-LAKE-001"),
        (
            ("repair", "assess", home / "lake", code(0), "--as-of", "2026-09-01", "--jurisdiction", "x"),
            2,
            "CT-RULE-002",
        ),
    ):
        found = call(home, *arguments)
        assert isinstance(found.exception, CreditTierError), found.output
        assert (found.exception.code, found.exception.exit_code) == (fault, exit_code)
        assert unknown not in str(found.exception)


def test_a_table_without_a_named_column_is_refused(home):
    """A pack newer than the lake's contract is told apart from a lake that is damaged."""
    lake = Lake.open(home / "lake")
    with pytest.raises(LakeError, match=r"CT-LAKE-011 .*no column settled_on"):
        list(visible_rows(lake, "penalties", ["uscc", "settled_on"], AsOf.parse("2026-09-01")))


def test_rows_come_back_in_plain_terms_and_in_key_ranges(home, monkeypatch):
    """Reading in small key ranges gives the same rows as reading at once; one code gives exactly its own."""
    lake, as_of = Lake.open(home / "lake"), AsOf.parse("2026-09-01")
    columns = ("uscc", "penalty_no", "decided_on", "fine", "repaired_on")
    whole = list(visible_rows(lake, "penalties", columns, as_of))
    monkeypatch.setattr("credit_tier.features.records.RANGE", 2)
    assert list(visible_rows(lake, "penalties", columns, as_of)) == whole
    assert [row for row in whole if row["uscc"] == code(4)] == list(
        visible_rows(lake, "penalties", columns, as_of, code=code(4))
    )
    assert list(visible_rows(lake, "penalties", columns, as_of, code=code(99))) == []
    assert whole[0]["fine"] == 5_000_000
    assert whole[0]["decided_on"].isoformat() == "2026-05-10"
    assert whole[0]["repaired_on"] is None


def test_rules_can_be_listed_shown_linted_and_tested(tmp_path):
    """The packs are shown with what is verified; a case that fails ends with 1 and says which expectation."""
    listed = json.loads(runner.invoke(app, ["rules", "list", "--json"]).stdout)["packs"]
    assert [item["pack"] for item in listed if item["pack"].startswith("cn/repair")] == sorted(
        item["pack"] for item in listed if item["pack"].startswith("cn/repair")
    )
    assert all(item["verified"] <= item["entries"] for item in listed)
    shown = runner.invoke(app, ["rules", "show", "cn-3205", "repair", "--on", "2026-05-01"])
    assert "values.min_general" in shown.output
    assert "未知 unknown" in shown.output
    assert "否 no (s34, N)" in shown.output
    assert json.loads(runner.invoke(app, ["rules", "lint", "--json"]).stdout) == {"faults": 0, "packs": len(listed)}
    cases = Path(__file__).resolve().parents[1] / "cases" / "repair" / "order_36_2026.yaml"
    assert runner.invoke(app, ["rules", "test", str(cases)]).exit_code == 0
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(
        cases.read_text(encoding="utf-8").replace("max_end_on: 2027-05-10", "max_end_on: 2027-05-11", 1),
        encoding="utf-8",
    )
    failed = runner.invoke(app, ["rules", "test", str(wrong)])
    assert failed.exit_code == 1
    assert "max_end_on: expected 2027-05-11, got 2027-05-10" in failed.output


def test_two_packs_are_compared_rule_by_rule_and_on_a_caseload(home):
    """The differences stand in words; the same records under both packs tell who fares better or worse, by record id and never by code."""
    packs = ("cn/repair/2026-03-31", "cn-3205/repair/2026-04-01")
    trial = (*packs, "--lake", home / "lake", "--as-of", "2026-09-01")
    found = json.loads(call(home, "rules", "diff", *trial, "--json").stdout)
    assert (found["before"]["pack"], found["after"]["pack"]) == ("cn/repair/2023-05-01", "cn/repair/2026-04-01")
    assert {item["kind"] for item in found["differences"]} == {"added", "removed", "changed", "cited"}
    case = found["caseload"]
    assert case["records"] == {"better": 4, "worse": 1, "open": 1, "same": 0}
    assert case["enterprises"] == {"better": 3, "worse": 0, "open": 2, "same": 0}
    worse = next(group for group in case["groups"] if group["direction"] == "worse")
    assert worse["record_ids"] == ["E-2"]
    assert (worse["before"]["decision"], worse["after"]) == ("eligible", {"decision": "not_yet", "class": "serious"})
    assert [reason["code"] for reason in worse["only_after"]] == ["classes.serious", "values.min_serious"]
    told = call(home, "rules", "diff", *trial)
    assert told.exit_code == 0
    assert "更不利 worse · 1 条 records: 可以申请修复 eligible (other) → 尚不能申请 not_yet (serious)" in told.output
    assert "≠变更 changed  requirements.duty_fulfilled" in told.output
    assert not [number for number in range(5) if code(number) in told.output]
    assert not [name for name in ("E-2", "B-1", "D-1") if name in told.output]
    same = call(home, "rules", "diff", packs[1], packs[1])
    assert "没有不同 no difference" in same.output.replace(" · ", " ")
    for arguments, fault in (
        ((*packs, "--lake", home / "lake"), "CT-RULE-051"),
        (("cn/repair", packs[1]), "CT-RULE-052"),
        (("cn/repair/2016-01-01", packs[1]), "CT-RULE-001"),
        (("cn/market_repair/2022-01-01", "cn/classification/2022-02-01"), None),
    ):
        wrong = call(home, "rules", "diff", *arguments)
        assert getattr(wrong.exception, "code", None) == fault


def test_lint_reports_a_broken_pack_and_a_pack_without_its_table(home, tmp_path):
    """A local pack that does not fit is refused with its file; a pack whose table is not declared is refused too."""
    city = tmp_path / "city" / "rule_packs" / "cn-3205" / "repair"
    city.mkdir(parents=True)
    (city / "2026-06-01.yaml").write_text(
        "pack: cn-3205/repair/2026-06-01\njurisdiction: cn-3205\ntopic: repair\ntitle_zh: 市\ntitle_en: city\n"
        "effective_from: 2026-06-01\nextends: true\napply_with: [letter]\n",
        encoding="utf-8",
    )
    found = runner.invoke(app, ["rules", "lint", "--content", str(tmp_path / "city")])
    assert isinstance(found.exception, CreditTierError)
    assert "CT-RULE-004 rule_packs/cn-3205/repair/2026-06-01.yaml: 'apply_with': there is no paper 'letter'" in str(
        found.exception
    )
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "content.yaml").write_text("title_zh: 空\ninherits: [rule_packs]\n", encoding="utf-8")
    found = runner.invoke(app, ["rules", "lint", "--content", str(tmp_path / "bare")])
    assert isinstance(found.exception, CreditTierError)
    assert {fault.code for fault in found.exception.faults} == {"CT-RULE-012"}


def test_with_a_model_the_worklist_and_one_enterprise_tell_points_and_class_after_repair(
    played: tuple[Path, dict], told, call, tmp_path: Path
) -> None:
    """The champion of a store answers beside the rules: in JSON, in the spreadsheet and in words; a district can be asked alone."""
    out, _ = played
    model = ("--as-of", "2026-01-01", "--store", out / "mlflow", "--scores", out / "scores")
    lake = out / "lake"
    whole = told("repair", "worklist", lake, *model, "--out", tmp_path / "all.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text("utf-8-sig"))))
    assert len(rows) == len(whole["worklist"])
    for row, item in zip(rows, whole["worklist"], strict=True):
        after = item.get("after_repair", {})
        assert row["信用分(修复后)"] == str(after.get("points_after", ""))
        assert row["信用风险类别(修复后,内部参考)"] == after.get("class_after", "")
    assert sum("after_repair" in item for item in whole["worklist"]) > 20
    part = told("repair", "worklist", lake, *model, "--where", "district=320506")
    assert 0 < len(part["worklist"]) < len(whole["worklist"])
    every = {item["record_id"]: item for item in whole["worklist"]}
    assert all(every[item["record_id"]] == item for item in part["worklist"])
    known = next(item for item in whole["worklist"] if "after_repair" in item)
    one = told("repair", "assess", lake, known["code"], *model)
    assert {r["record_id"]: r.get("after_repair") for r in one["records"]}[known["record_id"]] == known["after_repair"]
    words = call("repair", "assess", lake, known["code"], *model).stdout
    assert "修复后 after repair: 信用分 points" in words
    assert "guidance, never a ground" in words
    plain = told("repair", "assess", lake, known["code"], "--as-of", "2026-01-01")
    assert all("after_repair" not in record for record in plain["records"])
    wrong = call("repair", "worklist", lake, *model, "--where", "district", "--json")
    assert (wrong.returncode, "CT-REPAIR-003" in wrong.stderr) == (2, True)


def test_the_profile_names_law_and_records(played: tuple[Path, dict], told, call) -> None:
    """Given the lake of the scores, each reason names its newest records; an override names its law and the listing behind it."""
    out, demo = played
    code = demo["next"][0].split()[-1]
    found = told("profile", out / "scores", code, "--lake", out / "lake", "--store", out / "mlflow")
    named = [reason["records"] for reason in found["reasons"] if reason["records"]]
    assert named
    assert all(len(item["newest"]) == min(5, item["count"]) for item in named)
    held = pl.read_parquet(out / "scores/overrides.parquet").filter(pl.col("rule") == "abnormal_operation")
    words = call("profile", out / "scores", held["code"][0]).stdout
    assert "国市监信发〔2022〕6号" in words
    assert held["record_id"][0] in words
    assert "未核对 unverified" in words
    scored = demo["scores"]["overrides"]
    assert scored["rules"]["abnormal_operation"]["holds"] == held["code"].n_unique()
    assert call("profile", out / "scores", code, "--lake", out / "lake").returncode == 2
    page = (out / "index.html").read_text("utf-8")
    assert "直接判定 · overrides · cn/classification/2022-01-13" in page
    assert scored["rules"]["abnormal_operation"]["zh"] in page
