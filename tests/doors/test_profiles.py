"""The agency's door: scores add up, classes follow the policy, nothing known later matters, reasons belong to the enterprise."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier import profiles
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.features import build, spine
from credit_tier.features.explain import records_behind
from credit_tier.learning.explain import explain
from credit_tier.specs.model import ModelSpec
from credit_tier.temporal import AsOf

AS_OF = AsOf(dt.date(2026, 1, 1))


def test_base_and_dimensions_add_up_to_the_points(scored) -> None:
    """Points shown are the rounded sum of base and dimensions, for every enterprise."""
    table = scored.to_pandas()
    total = table["base_points"] + table.filter(like="dim_").sum(axis=1)
    np.testing.assert_array_equal(np.clip(np.rint(total), 0, 1000).astype(int), table["points"])


def test_classes_rise_with_probability_and_follow_the_declared_shares(scored) -> None:
    """A riskier enterprise is never in a lower class; shares are those of the policy, ties to the higher class."""
    table = scored.to_pandas().sort_values("probability")
    assert table["model_class"].is_monotonic_increasing
    share = (table["model_class"] == "A").mean()
    assert 0.70 < share <= 0.733
    assert scored.summary["model_classes"] == table["model_class"].value_counts().to_dict()
    assert scored.summary["classes"] == table["risk_class"].value_counts().to_dict()


def test_only_active_members_are_scored_once_each_in_code_order(scored, lake) -> None:
    """One row per enterprise of the population; the deregistered are not scored."""
    codes = scored.scores["code"].to_list()
    assert codes == sorted(set(codes))
    assert len(codes) < lake.enterprises
    assert scored.scores["district"].null_count() == 0


def test_reasons_are_the_strongest_contributions_of_that_enterprise(scored, trained, lake, content) -> None:
    """Reasons are those of the enterprise's own row, strongest first, with the catalogue's names; texts are kept as numbers."""
    spec = ModelSpec.model_validate(trained.bundle.manifest["declaration"])
    rows = spine.scoring(lake, spec, AS_OF.on)
    told = explain(trained.bundle.scorer, build.build(lake, trained.bundle.features, rows).matrix())
    codes = lake.codes()["code"].to_list()
    wanted = [
        (codes[number], rank, r.feature, r.dimension, r.title_zh, r.title_en, r.points, r.value)
        for row, number in enumerate(rows["enterprise_no"].to_list())
        for rank, r in enumerate(told.of(row), start=1)
    ]
    found = scored.reasons.to_native().with_columns(pl.col("value").fill_nan(None))
    assert [tuple(row) for row in found.iter_rows()] == sorted(wanted, key=lambda row: row[:2])
    assert all(isinstance(found.schema[name], pl.Enum) for name in ("feature", "dimension", "title_zh", "title_en"))


def test_a_saved_run_gives_profiles_and_names_what_is_missing(scored, tmp_path: Path) -> None:
    """One enterprise is looked up by code; an unknown code and an empty folder are told apart."""
    scored.save(tmp_path)
    row = scored.scores.rows(named=True)[5]
    found = profiles.profile(tmp_path, row["code"])
    assert found.points == row["points"]
    assert found.risk_class == row["risk_class"]
    assert found.base_points + sum(found.dimensions.values()) == pytest.approx(
        row["base_points"] + sum(v for k, v in row.items() if k.startswith("dim_"))
    )
    assert set(found.digests) == {"lake", "content", "bundle", "features", "scores"}
    with pytest.raises(UsageError, match="CT-PROF-003"):
        profiles.profile(tmp_path, "no such code")
    with pytest.raises(UsageError, match="CT-PROF-002"):
        profiles.profile(tmp_path / "none", row["code"])


def test_the_same_question_gives_the_same_bytes(scored, lake, content, trained, tmp_path: Path) -> None:
    """Scores, reasons and summary of a second run are identical files."""
    again = profiles.score(lake, content, trained.bundle, AS_OF, keep=("district",))
    scored.save(tmp_path / "a")
    again.save(tmp_path / "b")
    for name in ("scores.parquet", "reasons.parquet", "scores.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_later_run_tells_who_went_where_and_changes_few_classes(
    scored, lake, content, trained, tmp_path: Path
) -> None:
    """With the run of the month before, everybody stands in one cell or is new, and hysteresis lets fewer classes change."""
    earlier = profiles.score(lake, content, trained.bundle, AsOf(dt.date(2025, 12, 1)))
    earlier.save(tmp_path / "before")
    later = profiles.score(lake, content, trained.bundle, AS_OF, previous=tmp_path / "before")
    told = later.summary
    cells = {(a, b): n for a, row in told["migration"].items() for b, n in row.items()}
    assert sum(cells.values()) + told["new"] == told["enterprises"]
    assert told["previous"] == earlier.summary["digests"]["scores"]
    old = dict(earlier.scores.select("code", "risk_class").iter_rows())
    now = list(later.scores.select("code", "risk_class", "previous_class", "previous_points").iter_rows())
    assert all(previous == old.get(code) for code, _, previous, _ in now)
    assert all((points is None) == (code not in old) for code, _, _, points in now)
    without = dict(scored.scores.select("code", "risk_class").iter_rows())
    changed = sum(code in old and now_ != old[code] for code, now_, _, _ in now)
    assert changed == sum(n for (a, b), n in cells.items() if a != b)
    assert changed < sum(code in old and without[code] != old[code] for code in without)
    free = dict(scored.scores.select("code", "model_class").iter_rows())
    kept = later.scores.select("code", "model_class").iter_rows()
    assert told["held"] == sum(code in old and free[code] != now_ for code, now_ in kept) > 0
    later.save(tmp_path / "now")
    found = profiles.profile(tmp_path / "now", next(code for code, *_ in now if code in old))
    assert (found.previous_class, found.previous_points) != (None, None)
    with pytest.raises(UsageError, match="CT-PROF-004"):
        profiles.score(lake, content, trained.bundle, AS_OF, previous=tmp_path / "now")


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(pick=st.integers(0, 2**31), late=st.integers(0, 40))
def test_records_planted_in_the_city_known_on_or_after_as_of_change_no_feature_and_no_score(
    pick: int, late: int, city, lake, content, trained, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """New records and corrections of old ones, in every table, known from as_of on: features and scores stay as they were."""
    as_of = AsOf(dt.date(2025, 3, 1))
    before = profiles.score(lake, content, trained.bundle, as_of)
    folder = tmp_path_factory.mktemp("planted")
    records = folder / "records"
    records.mkdir()
    known = as_of.on + dt.timedelta(days=late)
    for path in sorted((city / "records").glob("*.parquet")):
        table = pl.read_parquet(path)
        spec = lake.spec(path.stem)
        known_before = table.filter(pl.col("received_on") < as_of.on)
        planted = known_before.sample(min(200, len(known_before)), seed=pick % 1000)
        planted = planted.with_columns(pl.lit(known).alias("received_on")).unique(
            subset=list(spec.record_id.of) or [spec.record_id.column]
        )
        if "problem_found" in table.columns:
            planted = planted.with_columns(~pl.col("problem_found"))
        if "removed_on" in table.columns and path.stem == "abnormal_listings":
            planted = planted.with_columns(pl.lit(known).alias("removed_on"))
        if "status" in table.columns:
            planted = planted.with_columns(pl.lit("deregistered").alias("status"))
        clash = [*(list(spec.record_id.of) or [spec.record_id.column]), "received_on"]
        pl.concat([table, planted.join(table, on=clash, how="anti").select(table.columns)]).write_parquet(
            records / path.name
        )
    ingest(folder / "lake", records, content)
    grown = Lake.open(folder / "lake")
    assert sum(grown.rows(t) for t in grown.tables) > sum(lake.rows(t) for t in lake.tables)
    after = profiles.score(grown, content, trained.bundle, as_of)
    assert after.scores.to_native().equals(before.scores.to_native())
    for n, place in enumerate((lake, grown)):
        profiles.feature_table(place, content, as_of, folder / f"{n}.parquet")
    assert pl.read_parquet(folder / "0.parquet").equals(pl.read_parquet(folder / "1.parquet"))


def test_the_class_policy_must_be_made_for_the_model(lake, trained, tmp_path: Path) -> None:
    """Classes of one model are never cut by the policy of another."""
    shipped = Content.shipped().file("pipelines", "tiers.yaml")
    overlay = tmp_path / "pipelines"
    overlay.mkdir()
    text = shipped.path.read_text("utf-8").replace(
        "model: violation_risk", f"supersedes: sha256:{shipped.digest}\nmodel: another"
    )
    (overlay / "tiers.yaml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"CT-PROF-001.*another.*violation_risk"):
        profiles.score(lake, Content.resolve(tmp_path), trained.bundle, AS_OF)


def test_the_feature_table_says_what_it_was_made_from(lake, content, tmp_path: Path) -> None:
    """Digests of lake, content and features travel in the file; codes stand beside the values."""
    made = profiles.feature_table(lake, content, AS_OF, tmp_path / "features.parquet")
    told = pl.read_parquet_metadata(tmp_path / "features.parquet")
    assert told["lake"] == lake.digest
    assert told["content"] == content.digest()
    assert told["features"] == made.digest
    table = pl.read_parquet(tmp_path / "features.parquet")
    assert table["code"].is_sorted()
    assert table.columns[2:] == [f.id for f in made.features]


def test_reasons_name_the_records_behind_them(scored, lake, trained, tmp_path: Path) -> None:
    """As many records as `features explain` finds, the newest named, none for figures of groups, and only for the lake of the scores."""
    scored.save(tmp_path)
    several = 0
    for code in scored.scores["code"].to_list()[::700]:
        told = profiles.with_records(profiles.profile(tmp_path, code), lake, trained.bundle, most=2)
        specs = {f.id: f for f in trained.bundle.features}
        for reason in told.reasons:
            spec, behind = specs[reason["feature"]], reason["records"]
            if spec.source == "spine" or spec.group_by is not None:
                assert behind is None
                continue
            every = records_behind(lake, spec, code, AS_OF).records
            assert (behind["table"], behind["count"]) == (spec.source, len(every))
            days = sorted((line["event_on"] for line in every), reverse=True)
            assert [line["event_on"] for line in behind["newest"]] == days[:2]
            for line in behind["newest"]:
                assert line in [{k: each[k] for k in line} for each in every]
            several += len(every) > 2
    assert several > 3
    strange = replace(profiles.profile(tmp_path, code), digests={**scored.summary["digests"], "lake": "0"})
    with pytest.raises(UsageError, match="CT-PROF-005 lake"):
        profiles.with_records(strange, lake, trained.bundle)
