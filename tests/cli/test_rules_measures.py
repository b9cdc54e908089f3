"""`rules measures` on the demo's lake: the joint list of one enterprise, for people and for programs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from credit_tier.data.lake import Lake
from credit_tier.temporal import date_of, day_number


def test_the_joint_list_of_an_enterprise_follows_its_listings(played: tuple[Path, dict], told, call) -> None:
    """An enterprise on an open list has its measures, with law and record; as of the day before it was known it has none."""
    out, _ = played
    lake = Lake.open(out / "lake")
    as_of = date(2026, 1, 1)
    listed = (
        pl.scan_parquet(out / "lake" / "abnormal_listings" / "*.parquet")
        .filter(pl.col("known_day") < day_number(as_of), pl.col("superseded_day") >= day_number(as_of))
        .filter(pl.col("removed_on").is_null(), pl.col("known_day") > day_number(date(2024, 3, 4)))
        .sort("enterprise_no", "listed_on")
        .collect()
    )
    row = listed.row(0, named=True)
    code = lake.codes()["code"][row["enterprise_no"]]
    found = told("rules", "measures", out / "lake", code, "--as-of", as_of)
    mine = [item for item in found["measures"] if item["record_id"] == row["record_id"]]
    assert [item["code"] for item in mine] == ["measures.abnormal_operation"]
    assert (mine[0]["ends_on"], mine[0]["ends_on_repair"], mine[0]["verified"]) == (None, True, False)
    assert found["tables_missing"] == []
    assert found["lake_digest"] == lake.digest
    words = call("rules", "measures", out / "lake", code, "--as-of", as_of).stdout
    assert "〔惩戒 sanction〕" in words
    assert "修复即止 ends on repair" in words
    assert "企业信息公示暂行条例(国务院令第654号) (未核对 unverified)" in words
    before = told("rules", "measures", out / "lake", code, "--as-of", date_of(row["known_day"]))
    assert row["record_id"] not in {item["record_id"] for item in before["measures"]}
    unknown = call("rules", "measures", out / "lake", "91000000MA0000007C", "--as-of", as_of, "--json")
    assert (unknown.returncode, "CT-RULE-053" in unknown.stderr) == (2, True)
    assert "91000000MA0000007C" not in unknown.stderr
