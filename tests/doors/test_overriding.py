"""Overrides in the scores of a city: who is held, by which record, what the model alone said, and days without a pack."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier import profiles
from credit_tier.content import Content
from credit_tier.features import build, spine
from credit_tier.features.coverage import without_records
from credit_tier.specs.model import ModelSpec
from credit_tier.temporal import AsOf, date_of

AS_OF = AsOf(dt.date(2026, 1, 1))
RANK = {"A": 0, "B": 1, "C": 2, "D": 3}


@pytest.fixture(scope="session")
def standing(lake) -> pl.DataFrame:
    """Open listings as of the day, read from the lake by hand: code, table, record, rank that the shipped pack gives at least."""
    found = []
    codes = lake.codes().to_native()
    for table in ("serious_listings", "abnormal_listings"):
        rows = lake.frame(table).collect().to_native()
        rows = rows.filter((pl.col("known_day") < AS_OF.day) & (pl.col("superseded_day") >= AS_OF.day))
        rows = rows.filter((pl.col("listed_on") <= AS_OF.day) & ~(pl.col("removed_on") <= AS_OF.day).fill_null(False))
        if table == "serious_listings":
            least = pl.when(pl.col("list_name") == "market").then(3).otherwise(2)
        else:
            least = pl.lit(1)
        rows = rows.join(codes, on="enterprise_no")
        found.append(rows.select("code", pl.lit(table).alias("table"), "record_id", "event_day", least.alias("least")))
    return pl.concat(found)


def test_whoever_is_listed_is_classed_no_better_and_nobody_else_changes(scored, standing) -> None:
    """The class is the riskier of the model's and of the highest limit of an open listing; the rule is named where it gives it."""
    limits = standing.group_by("code").agg(pl.col("least").max())
    table = scored.scores.to_native().with_columns(pl.col("risk_class", "model_class").replace_strict(RANK))
    table = table.join(limits, on="code", how="left").with_columns(pl.col("least").fill_null(0))
    assert (table["risk_class"] == table.select(pl.max_horizontal("model_class", "least")).to_series()).all()
    named = (table["least"] > 0) & (table["least"] >= table["model_class"])
    assert ((table["override"].cast(pl.String) != "") == named).all()
    assert (table["risk_class"] > table["model_class"]).sum() > 20
    rules = scored.summary["overrides"]["rules"]
    assert sum(rule["gives"] for rule in rules.values()) == named.sum()
    assert sum(rule["changes"] for rule in rules.values()) == (table["risk_class"] > table["model_class"]).sum()
    assert scored.summary["overrides"]["verified"] is False
    assert scored.summary["overrides"]["pack"] == "cn/classification/2022-01-13"


def test_the_records_behind_are_those_that_stand_in_the_lake(scored, standing) -> None:
    """Every open listing of somebody who was scored is named with its day, and no other record."""
    codes = set(scored.scores["code"].to_list())
    wanted = {
        (code, table, record, date_of(day)) for code, table, record, day, _ in standing.iter_rows() if code in codes
    }
    found = scored.overrides.to_native()
    assert set(found.select("code", "table", "record_id", "event_on").iter_rows()) == wanted
    assert len(found) == len(wanted)


def test_a_profile_tells_the_override_its_law_and_its_records(scored, tmp_path: Path) -> None:
    """Rule, instrument, whether it was verified and the record stand beside the class; without one nothing is told."""
    scored.save(tmp_path)
    table = scored.scores.to_native()
    code = table.filter((pl.col("override") == "other_serious_lists") & (pl.col("model_class") == "A"))["code"][0]
    told = profiles.profile(tmp_path, code)
    assert (told.risk_class, told.model_class) == ("C", "A")
    first = told.overrides[0]
    assert (first["rule"], first["gives"], first["at_least"]) == ("other_serious_lists", True, "C")
    assert first["reference"]["instrument"] == "国市监信发〔2022〕6号"
    assert first["verified"] is False
    own = scored.overrides.to_native().filter(pl.col("code") == code, pl.col("rule") == "other_serious_lists")
    assert [(r["record_id"], r["event_on"]) for r in first["records"]] == own.select("record_id", "event_on").rows()
    assert all(not item["gives"] for item in told.overrides[1:])
    free = set(table["code"]) - set(scored.overrides["code"].to_list())
    assert profiles.profile(tmp_path, min(free)).overrides == []


def test_hysteresis_holds_the_models_class_and_an_override_ends_with_its_record(
    lake, content, trained, tmp_path: Path
) -> None:
    """The class kept from run to run is the model's: who was D by a list alone is back at the model's class once it is left."""
    (tmp_path / "content").mkdir()
    (tmp_path / "content/content.yaml").write_text(
        "title_zh: 无规则包\ninherits: [data_schemas, models, pipelines]\n", encoding="utf-8"
    )
    bare = Content.resolve(tmp_path / "content")
    before = {}
    for name, text in (("law", content), ("bare", bare)):
        before[name] = profiles.score(lake, text, trained.bundle, AsOf(dt.date(2025, 7, 1)))
        before[name].save(tmp_path / name)
    law = profiles.score(lake, content, trained.bundle, AS_OF, previous=tmp_path / "law")
    alone = profiles.score(lake, bare, trained.bundle, AS_OF, previous=tmp_path / "bare")
    assert law.scores["model_class"].to_list() == alone.scores["risk_class"].to_list()
    assert alone.scores["model_class"].to_list() == alone.scores["risk_class"].to_list()
    assert set(alone.scores["override"].to_list()) == {""}
    assert alone.summary["overrides"] == {"jurisdiction": "cn", "pack": None, "why": "no_pack", "rules": {}}
    assert len(alone.overrides) == 0
    now = law.scores.to_native()
    left = now.join(before["law"].scores.to_native().filter(pl.col("override") != "").select("code"), on="code")
    left = left.filter(pl.col("override") == "")
    assert len(left) > 5
    assert (left["risk_class"] == left["model_class"]).all()
    old = dict(before["law"].scores.select("code", "risk_class").iter_rows())
    assert [old.get(code) for code in now["code"]] == now["previous_class"].to_list()
    cells = law.summary["migration"]
    moves = now.filter(pl.col("previous_class").is_not_null()).group_by("previous_class", "risk_class").len()
    assert {(a, b): n for a, row in cells.items() for b, n in row.items() if n} == {
        (a, b): n for a, b, n in moves.iter_rows()
    }


def test_before_the_first_pack_classes_are_the_models_and_that_is_told(lake, content, trained) -> None:
    """A day on which no pack of overrides was in force is scored by the model alone, and the summary says so."""
    found = profiles.score(lake, content, trained.bundle, AsOf(dt.date(2022, 1, 12)))
    assert found.summary["overrides"]["why"] == "not_in_force"
    assert found.summary["classes"] == found.summary["model_classes"]
    after = profiles.score(lake, content, trained.bundle, AsOf(dt.date(2022, 1, 13)))
    assert after.summary["overrides"]["pack"] == "cn/classification/2022-01-13"


def test_who_is_scored_without_records_is_counted(scored, lake, trained) -> None:
    """Counted are those in whose features no record of their own counts: everybody without any record, and nobody with a value."""
    spec = ModelSpec.model_validate(trained.bundle.manifest["declaration"])
    table = build.build(lake, trained.bundle.features, spine.scoring(lake, spec, AS_OF.on))
    silent = without_records(table, lake.register)
    seen = set()
    for name in {f.source for f in trained.bundle.features} - {lake.register, "spine"}:
        rows = lake.frame(name).collect().to_native()
        happened = pl.coalesce("event_day", "known_day") < AS_OF.day
        seen |= set(rows.filter(happened & (pl.col("known_day") < AS_OF.day))["enterprise_no"])
    never = np.array([number not in seen for number in table.enterprise_no])
    assert silent[never].all()
    for column, f in enumerate(table.features):
        if f.source not in {lake.register, "spine"} and f.group_by is None and f.via is None and f.shrink is None:
            fill = np.float32(np.nan if f.missing.fill is None else f.missing.fill)
            np.testing.assert_array_equal(table.matrix()[silent, column], fill)
    told = scored.summary["without_records"]
    assert told["enterprises"] == silent.sum() == sum(told["classes"].values()) > 0
