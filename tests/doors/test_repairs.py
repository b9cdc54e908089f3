"""The door to credit repair: the worklist of a city, and what a repair does to points and class."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from credit_tier import profiles, repairs, training
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.learning.bundle import Bundle
from credit_tier.learning.classes import ranks_of
from credit_tier.repairs import AfterRepair, Record
from credit_tier.specs.model import TiersSpec
from credit_tier.temporal import AsOf

AS_OF = AsOf(dt.date(2026, 1, 1))
REPAIRED = AS_OF.on - dt.timedelta(1)
FEATURES = (
    "age_days, penalties_1y, penalties_3y, fines_3y, max_fine_3y, days_since_penalty, penalties_duty_open, inspections_3y, "
    "problems_3y, problem_share_3y, problem_rate_division_2y, abnormal_active, abnormal_active_count, abnormal_listings_3y"
)
"""Of a model in which adverse records weigh."""


class Repaired(NamedTuple):
    """A city, its scores, and the same city once some records of different enterprises are repaired."""

    lake: Lake
    model: Path
    content: Content
    bundle: Bundle
    scores: Path
    after: AfterRepair
    records: list[Record]
    grown: Lake


@pytest.fixture(scope="session")
def repaired(city: Path, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Repaired:
    home = tmp_path_factory.mktemp("repairs")
    shipped = Content.shipped().file("models", "violation_risk/model.yaml")
    text = shipped.path.read_text("utf-8")
    head, _, rest = text.partition("features:\n")
    rest = "split:" + rest.partition("split:")[2].replace("min_rows_in_leaf: 80", "min_rows_in_leaf: 5")
    (home / "content/models/violation_risk").mkdir(parents=True)
    (home / "content/models/violation_risk/model.yaml").write_text(
        f"supersedes: sha256:{shipped.digest}\n{head}features: [{FEATURES}]\n{rest}", "utf-8"
    )
    content = Content.resolve(home / "content")
    bundle = training.train("violation_risk", lake, content, store=home / "mlflow", seed=3, threads=1).bundle
    profiles.score(lake, content, bundle, AS_OF).save(home / "scores")
    after = AfterRepair(lake, content, bundle, AS_OF, scores=home / "scores")
    records, delivery = [], home / "delivery"
    delivery.mkdir()
    used: set[str] = set(_unscored(home / "scores", lake))
    for table, column, most in (
        ("penalties", "repaired_on", 60),
        ("abnormal_listings", "removed_on", 40),
        ("serious_listings", "removed_on", 20),
    ):
        spec = lake.spec(table)
        rows = pl.read_parquet(city / "records" / f"{table}.parquet").filter(pl.col("received_on") < AS_OF.on)
        rows = rows.sort("received_on").unique(spec.record_id.column, keep="last", maintain_order=True)
        rows = rows.filter(pl.col(column).is_null(), ~pl.col("uscc").is_in(sorted(used))).unique(
            "uscc", maintain_order=True
        )
        rows = rows.sort("received_on", spec.record_id.column, descending=True).head(most)
        used |= set(rows["uscc"])
        records += [
            Record(code, table, number) for code, number in rows.select("uscc", spec.record_id.column).iter_rows()
        ]
        new = rows.with_columns(pl.lit(REPAIRED).alias(column), pl.lit(REPAIRED).alias("received_on"))
        if table == "serious_listings":
            new = new.with_columns(pl.lit("repaired").alias("removal_reason"))
        new.write_parquet(delivery / f"{table}.parquet")
    shutil.copytree(lake.path, home / "lake")
    report = ingest(home / "lake", delivery, content)
    assert sum(table.accepted for table in report.tables) == len(records)
    return Repaired(lake, home / "content", content, bundle, home / "scores", after, records, Lake.open(home / "lake"))


def _unscored(scores: Path, lake: Lake) -> set[str]:
    return set(lake.codes()["code"].to_list()) - set(pl.read_parquet(scores / profiles.SCORES)["code"])


def test_points_after_a_repair_are_those_of_a_lake_in_which_the_record_is_repaired(repaired: Repaired) -> None:
    """To the last bit, for points, dimensions and probability, whatever the table; what stands now is what was scored."""
    now = profiles.score(repaired.lake, repaired.content, repaired.bundle, AS_OF).scores.to_native()
    then = profiles.score(repaired.grown, repaired.content, repaired.bundle, AS_OF).scores.to_native()
    rows = [{row["code"]: row for row in table.iter_rows(named=True)} for table in (now, then)]
    gains = repaired.after(repaired.records)
    moved = 0
    for record, gain in zip(repaired.records, gains, strict=True):
        assert gain is not None
        assert gain[:3] == record
        for standing, row in zip((gain.now, gain.after), (rows[0][record.code], rows[1][record.code]), strict=True):
            assert standing.probability == row["probability"]
            assert standing.dimensions == {k.removeprefix("dim_"): v for k, v in row.items() if k.startswith("dim_")}
            assert standing.points == pytest.approx(row["base_points"] + sum(standing.dimensions.values()), abs=1e-9)
        assert sum(gain.dimensions.values()) == pytest.approx(gain.points, abs=1e-9)
        assert gain.points >= 0  # the model was trained to count no adverse record in somebody's favour
        moved += gain.points > 0
    assert moved > 20
    assert moved < len(gains)


def test_the_class_after_a_repair_is_the_one_that_the_next_run_gives(repaired: Repaired) -> None:
    """Cut by the policy among everybody, held by hysteresis from the class now, and freed of the override whose record ended."""
    tiers = repaired.content.load("pipelines", "tiers.yaml", TiersSpec)
    scores = pl.read_parquet(repaired.scores / profiles.SCORES)
    hits = pl.read_parquet(repaired.scores / profiles.OVERRIDES)
    limit = {"serious_violations": 3, "other_serious_lists": 2, "abnormal_operation": 1}
    own = np.array(["ABCD".index(text) for text in scores["model_class"]], np.int8)
    place = {code: n for n, code in enumerate(scores["code"])}
    changed = 0
    for gain in repaired.after(repaired.records):
        assert gain is not None
        probability = scores["probability"].to_numpy().copy()
        n = place[gain.code]
        assert gain.now.risk_class == scores["risk_class"][n]
        probability[n] = gain.after.probability
        rank = int(ranks_of(tiers, probability, own)[1][n])
        still = hits.filter(pl.col("code") == gain.code, pl.col("record_id") != gain.record_id)["rule"]
        assert gain.after.risk_class.rank == max([rank, *(limit[rule] for rule in still)])
        assert gain.after.risk_class.rank <= gain.now.risk_class.rank
        changed += gain.after.risk_class != gain.now.risk_class
    assert changed > 10


def test_a_record_never_counts_after_its_repair_is_known(repaired: Repaired) -> None:
    """In the lake in which it is repaired, repairing it again changes nothing; where it stands is where it was foretold."""
    foretold = repaired.after(repaired.records)
    again = AfterRepair(repaired.grown, repaired.content, repaired.bundle, AS_OF)(repaired.records)
    for before, after in zip(foretold, again, strict=True):
        assert before is not None
        assert after is not None
        assert after.now.points == after.after.points == before.after.points
        assert after.now.risk_class == after.after.risk_class


def test_one_question_or_many_in_any_order_give_the_same(repaired: Repaired) -> None:
    """Several records of one enterprise are each asked alone; the order of the questions does not matter."""
    asked = repaired.records[::7]
    together = repaired.after([*asked, *asked[:3]])
    assert together[len(asked) :] == together[:3]
    assert repaired.after(asked[::-1]) == together[: len(asked)][::-1]
    assert repaired.after(asked[:1]) == together[:1]


def test_without_influence_nothing_changes_and_who_is_not_scored_gets_no_answer(repaired: Repaired) -> None:
    """A listing that no feature reads moves no point, only a class by law; an enterprise outside the population has no gain."""
    serious = [
        gain for gain in repaired.after(repaired.records) if gain is not None and gain.table == "serious_listings"
    ]
    assert serious
    assert all(gain.points == 0 and gain.now[:3] == gain.after[:3] for gain in serious)
    assert any(gain.after.risk_class < gain.now.risk_class for gain in serious)
    outside = _unscored(repaired.scores, repaired.lake)
    codes = repaired.lake.codes().to_native()
    rows = repaired.lake.frame("penalties").collect().to_native().join(codes, on="enterprise_no")
    row = rows.filter(pl.col("code").is_in(sorted(outside)), pl.col("known_day") < AS_OF.day).row(0, named=True)
    first = repaired.records[0]
    found = repaired.after([Record(row["code"], "penalties", row["record_id"]), first])
    assert found == [None, *repaired.after([first])]


def test_what_cannot_be_answered_is_refused(repaired: Repaired, tmp_path: Path) -> None:
    """An unknown record, a table without repair, and scores of another day each get a code; no id stands in the message."""
    code = repaired.records[0].code
    for table, number, error in (("penalties", "no such", "CT-FEAT-026"), ("inspections", "x", "CT-REPAIR-011")):
        with pytest.raises(UsageError, match=error) as caught:
            repaired.after([Record(code, table, number)])
        assert code not in str(caught.value)
        assert "no such" not in str(caught.value).replace("no such record", "")
    with pytest.raises(UsageError, match="CT-REPAIR-010"):
        AfterRepair(repaired.grown, repaired.content, repaired.bundle, AS_OF, scores=repaired.scores)
    with pytest.raises(UsageError, match="CT-REPAIR-010"):
        AfterRepair(repaired.lake, repaired.content, repaired.bundle, AsOf(REPAIRED), scores=repaired.scores)
    with pytest.raises(UsageError, match="CT-PROF-002"):
        AfterRepair(repaired.lake, repaired.content, repaired.bundle, AS_OF, scores=tmp_path)
    tiers = Content.shipped().file("pipelines", "tiers.yaml")
    (tmp_path / "pipelines").mkdir()
    text = f"supersedes: sha256:{tiers.digest}\n{tiers.path.read_text('utf-8')}".replace(
        "model: violation_risk", "model: other"
    )
    (tmp_path / "pipelines/tiers.yaml").write_text(text, "utf-8")
    with pytest.raises(UsageError, match="CT-PROF-001"):
        AfterRepair(repaired.lake, Content.resolve(tmp_path), repaired.bundle, AS_OF, scores=repaired.scores)


def test_the_scores_must_rest_on_the_overrides_that_are_asked(repaired: Repaired, tmp_path: Path) -> None:
    """Scores made under the nation's pack do not answer for a city that has a pack of its own."""
    shipped = Content.shipped().file("rule_packs", "cn/classification/2022-01-13.yaml").path.read_text("utf-8")
    local = shipped.replace("cn/classification/2022-01-13", "cn-3205/classification/2022-01-13")
    path = tmp_path / "rule_packs/cn-3205/classification/2022-01-13.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(local.replace("jurisdiction: cn\n", "jurisdiction: cn-3205\n"), "utf-8")
    content = Content.resolve(repaired.model, tmp_path)
    nation = AfterRepair(repaired.lake, content, repaired.bundle, AS_OF, scores=repaired.scores)
    assert nation(repaired.records[:1]) == repaired.after(repaired.records[:1])
    with pytest.raises(UsageError, match="CT-REPAIR-010"):
        AfterRepair(repaired.lake, content, repaired.bundle, AS_OF, scores=repaired.scores, jurisdiction="cn-3205")


def test_the_worklist_covers_every_known_record_and_cites_its_pack(lake, content) -> None:
    """Every visible penalty gets a decision; helpful ones come first."""
    found = repairs.repair_worklist(lake, content, AS_OF)
    import narwhals as nw

    from credit_tier.features.visible import is_visible

    visible = len(lake.frame("penalties").filter(is_visible(nw.lit(AS_OF.day))).collect())
    assert sum(found.verdicts.values()) == visible
    assert [item.step for item in found.items] == sorted(item.step for item in found.items)
    assert {item.pack for item in found.items} == {found.pack.id}


def test_with_a_model_the_worklist_is_sorted_by_gain_within_each_step(repaired: Repaired) -> None:
    """Who gains most stands first among those for whom the same can be done; the records are the same ones."""
    plain = repairs.repair_worklist(repaired.lake, repaired.content, AS_OF)
    found = repairs.repair_worklist(repaired.lake, repaired.content, AS_OF, after=repaired.after)
    assert sorted(map(repr, found.items)) == sorted(map(repr, plain.items))
    worth = [
        found.gains[i.subject, i.record_id].points if (i.subject, i.record_id) in found.gains else 0.0
        for i in found.items
    ]
    keys = [(item.step, -gain) for item, gain in zip(found.items, worth, strict=True)]
    assert keys == sorted(keys)
    assert sum(gain > 0 for gain in worth) > 20
    assert plain.gains == {}


def test_a_part_of_the_city_has_its_own_worklist(lake, content) -> None:
    """The worklists of all districts together are the city's; an unknown column is named."""
    whole = repairs.repair_worklist(lake, content, AS_OF)
    districts = lake.frame("enterprises").collect()["district"].unique().to_list()
    parts = [repairs.repair_worklist(lake, content, AS_OF, where={"district": name}) for name in sorted(districts)]
    assert sorted(map(repr, (item for part in parts for item in part.items))) == sorted(map(repr, whole.items))
    assert all(part.items for part in parts)
    assert sum(sum(part.verdicts.values()) for part in parts) == sum(whole.verdicts.values())
