"""Planted leaks stop a training: the feature and the column are named, and nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import narwhals as nw
import numpy as np
import polars as pl
import pytest

from credit_tier import training
from credit_tier.content import Content
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import Fault, LearningError
from credit_tier.features import build
from credit_tier.features.conditions import AS_OF


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("leaks") / "city"
    generate(out, enterprises=1500, seed=11)
    return out / "records"


def corrected_in_place(records: Path, into: Path, table: str, number: str) -> Lake:
    """Return a lake whose department wrote what came later into the old records of a table: last version, first day of receipt."""
    into.mkdir()
    for path in records.iterdir():
        if path.stem != table:
            (into / path.name).symlink_to(path)
    versions = pl.read_parquet(records / f"{table}.parquet").sort("received_on")
    last = versions.group_by(number, maintain_order=True).agg(
        pl.exclude("received_on").last(), pl.col("received_on").first()
    )
    assert versions.height > last.height
    last.select(versions.columns).write_parquet(into / f"{table}.parquet")
    assert ingest(into / "lake", into, Content.shipped()).clean
    return Lake.open(into / "lake")


def with_features(folder: Path, *ids: str) -> Content:
    """Return the shipped content and a model `planted`, which is the shipped one with some features more."""
    text = Content.shipped().text("models", "violation_risk/model.yaml")
    text = text.replace("model: violation_risk", "model: planted")
    text = text.replace("\nfeatures:\n", "\nfeatures:\n" + "".join(f"  - {name}\n" for name in ids))
    (folder / "models" / "planted").mkdir(parents=True)
    (folder / "models" / "planted" / "model.yaml").write_text(text, "utf-8")
    return Content.resolve(folder)


def stopped(model: str, lake: Lake, content: Content, store: Path) -> Sequence[Fault]:
    """Train, and return the faults with which the leak guard stopped it."""
    with pytest.raises(LearningError) as caught:
        training.train(model, lake, content, store=store, seed=3, threads=1)
    assert not store.exists()
    assert {fault.code for fault in caught.value.faults} == {"CT-LEARN-061"}
    return caught.value.faults


def test_an_own_record_corrected_in_place_stops_the_training_naming_the_column(records: Path, tmp_path: Path) -> None:
    """Whether an enterprise is still listed was known before it was removed; only features that ask for it are named."""
    lake = corrected_in_place(records, tmp_path / "delivery", "abnormal_listings", "listing_no")
    faults = stopped("violation_risk", lake, Content.shipped(), tmp_path / "store")
    features = ["violation_risk abnormal_active", "violation_risk abnormal_unreachable_active"]
    assert [fault.where for fault in faults] == features
    assert all("abnormal_listings.removed_on" in fault.what for fault in faults)


def test_records_of_a_group_corrected_in_place_stop_the_training_naming_the_column(
    records: Path, tmp_path: Path
) -> None:
    """A mean over the penalties of an industry that are not repaired rests on the day of repair as own counts do."""
    lake = corrected_in_place(records, tmp_path / "delivery", "penalties", "penalty_no")
    content = with_features(tmp_path / "content", "fine_mean_division_3y")
    faults = stopped("planted", lake, content, tmp_path / "store")
    named = {fault.where.split()[1]: fault.what for fault in faults}
    assert {"fine_mean_division_3y", "penalties_1y"} <= set(named)
    assert all("penalties.repaired_on" in what for what in named.values())
    assert "problem_rate_division_2y" not in named


@pytest.mark.parametrize("feature", ["problem_rate_section_district_2y", "upheld_share_3y"])
def test_a_rate_that_sees_one_day_too_much_stops_the_training(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: str
) -> None:
    """A rate of a group, and an own rate, that the engine computes as of the next day: that feature is named, and no other."""
    assert ingest(tmp_path / "lake", records, Content.shipped()).clean
    lake = Lake.open(tmp_path / "lake")
    honest = build.build

    def leaky(lake: Lake, features, spine, *given, **named):
        seen = honest(lake, features, spine, *given, **named)
        moved = spine.with_columns((nw.col(AS_OF) + 1).cast(nw.Int32))
        later = honest(lake, features, moved, *given, **named)
        return replace(seen, values=np.where([[f.id == feature] for f in features], later.values, seen.values))

    with monkeypatch.context() as patched:
        patched.setattr(build, "build", leaky)
        (fault,) = stopped("violation_risk", lake, Content.shipped(), tmp_path / "store")
    assert fault.where == f"violation_risk {feature}"
    assert training.audit(training.observe("violation_risk", lake, Content.shipped()), lake) == []
