"""Applications of a whole city: every limit as a plain count of working days says, overdue ones first, nothing from the future."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from credit_tier.cli.main import app
from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.following import Followed, follow_applications
from credit_tier.rules.applications import Pace
from credit_tier.temporal import AsOf

ON = AsOf(dt.date(2025, 3, 10))


@pytest.fixture(scope="module")
def followed(lake: Lake, content: Content) -> list[Followed]:
    return follow_applications(lake, content, ON)


def test_every_application_known_is_there_once(followed: list[Followed], city: Path) -> None:
    """As many as numbers received before the as_of, with the stage of the version known then."""
    records = pl.read_parquet(city / "records" / "repair_applications.parquet")
    known = records.filter(pl.col("received_on") < ON.on)
    assert sorted(item.application_id for item in followed) == sorted(set(known["application_no"].to_list()))
    last = known.sort("received_on").group_by("application_no", maintain_order=True).last()
    ended = set(last.filter(pl.col("publicity_ended_on").is_not_null())["application_no"].to_list())
    assert {item.application_id for item in followed if item.stage_en == "publicity ended"} == ended
    assert ended


def test_seven_working_days_for_the_decision_under_the_rules_of_2023(followed: list[Followed], city: Path) -> None:
    """Pace of each decision equals NumPy's count of business days between application and decision or the day before as_of."""
    records = pl.read_parquet(city / "records" / "repair_applications.parquet")
    last = records.filter(pl.col("received_on") < ON.on).sort("received_on").group_by("application_no").last()
    days = {no: (a, d) for no, a, d in last.select("application_no", "applied_on", "decided_on").iter_rows()}
    checked = 0
    for item in followed:
        if item.pack != "cn/repair/2023-05-01":
            continue
        applied, decided = days[item.application_id]
        until = decided or ON.on - dt.timedelta(days=1)
        used = int(np.busday_count(applied + dt.timedelta(days=1), until + dt.timedelta(days=1)))
        limit = next(each for each in item.limits if each.reason.code == "clocks.decision")
        expected = (Pace.KEPT if decided else Pace.RUNNING) if used <= 7 else (Pace.LATE if decided else Pace.OVERDUE)
        assert (limit.pace, limit.days) == (expected, 7 - used)
        checked += 1
    assert checked > 100


def test_the_most_urgent_stand_first(followed: list[Followed]) -> None:
    """Overdue, then running, late and kept; among the overdue the longest first."""
    paces = [item.pace for item in followed if item.pace is not None]
    assert paces == sorted(paces)
    assert {Pace.OVERDUE, Pace.KEPT} <= set(paces)
    overdue = [
        min(each.days for each in item.limits if each.pace is Pace.OVERDUE)
        for item in followed
        if item.pace is Pace.OVERDUE
    ]
    assert overdue == sorted(overdue)


def test_nothing_later_than_the_day_is_known(lake: Lake, content: Content) -> None:
    """No end lies on or after the as_of, whatever later versions say."""
    early = follow_applications(lake, content, AsOf(dt.date(2023, 7, 3)))
    ends = [limit.ended_on for item in early for limit in item.limits if limit.ended_on is not None]
    assert ends
    assert max(ends) < dt.date(2023, 7, 3)


def test_the_command_lists_alarms_and_ends_with_1(lake: Lake, tmp_path: Path) -> None:
    """One JSON object with counts and the open list; a CSV line per limit, no cell a formula."""
    out = tmp_path / "applications.csv"
    arguments = ["repair", "applications", str(lake.path), "--as-of", str(ON), "--out", str(out), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["paces"]["overdue"] > 0
    assert told["list"][0]["pace"] == "overdue"
    assert all(item["pace"] != "kept" for item in told["list"])
    assert "clocks.decision" in told["unverified"]
    lines = list(csv.reader(io.StringIO(out.read_text("utf-8-sig"))))
    assert lines[1][0] == "已超期" or "已超期" in {line[0] for line in lines[1:4]}
    assert len(lines) == 1 + sum(len(item["limits"]) for item in told["list"])


def test_a_content_without_applications_says_so(lake: Lake, content: Content, tmp_path: Path) -> None:
    """CT-REPAIR-012 where the overlay declares none."""
    (tmp_path / "pipelines").mkdir()
    shipped = next(item for item in content.files("pipelines") if item.name == "repairs.yaml")
    text = f"supersedes: sha256:{shipped.digest}\ntitle_zh: 无\nrecords:\n  penalties: {{repaired_on: day}}\n"
    (tmp_path / "pipelines" / "repairs.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="CT-REPAIR-012"):
        follow_applications(lake, Content.resolve(tmp_path), ON)
