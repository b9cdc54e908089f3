"""The monitoring door on a city: quiet month after month, loud when records change their meaning."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from credit_tier import monitoring, training
from credit_tier.content import Content
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.learning.bundle import Bundle
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    import narwhals as nw

SPLIT = "  train_from: 2021-07-01\n  calibrate_days: 365\n  test_days: 365\n"
EARLY = "  train_from: 2021-07-01\n  calibrate_from: 2023-05-01\n  test_from: 2024-03-01\n  test_until: 2024-12-31\n"


class ChangedLake(Lake):
    """A lake whose inspections from a day on all report a problem."""

    def frame(self, table: str) -> nw.LazyFrame[Any]:
        import narwhals as nw

        found = super().frame(table)
        if table != "inspections":
            return found
        late = nw.col("known_day") >= AsOf(dt.date(2025, 3, 1)).day
        return found.with_columns(problem_found=nw.col("problem_found") | late)


@pytest.fixture(scope="module")
def bundle(lake: Lake, content: Content, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model whose test ended at the end of 2024, so that a year of outcomes has become mature since."""
    room = tmp_path_factory.mktemp("early")
    (declared,) = (item for item in content.files("models") if item.name == "violation_risk/model.yaml")
    text = declared.path.read_text(encoding="utf-8")
    assert SPLIT in text
    overlay = room / "models" / "violation_risk" / "model.yaml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text(f"supersedes: sha256:{declared.digest}\n" + text.replace(SPLIT, EARLY), encoding="utf-8")
    done = training.train("violation_risk", lake, Content.resolve(room), store=room / "mlflow", seed=3, threads=1)
    return done.bundle


def test_a_stable_city_stays_quiet_month_after_month(lake: Lake, bundle: Bundle) -> None:
    """Nobody is asked to act in any of nine months; matured outcomes are counted as they come."""
    looks = [monitoring.monitor(lake, bundle, AsOf(dt.date(2025, month, 1))) for month in range(4, 13)]
    assert [look.as_of for look in looks if look.watch.has_alarm] == []
    counted = [0 if look.watch.outcomes is None else look.watch.outcomes.rows for look in looks]
    assert counted == sorted(counted)
    assert counted[-1] > 300
    assert {look.reference for look in looks} == {f"2024-{month:02d}-01" for month in range(4, 13)}
    assert {look.since for look in looks} <= {"2024-12-30", "2024-12-31", "2024-12-29", "2024-12-27", "2024-12-26"}


def test_records_that_change_their_meaning_are_found(lake: Lake, bundle: Bundle) -> None:
    """Every inspection reports a problem from March on: points by own records move, the level is off, and features are named."""
    changed = ChangedLake(lake.path, lake.manifest)
    found = monitoring.monitor(changed, bundle, AsOf(dt.date(2025, 12, 1))).watch
    alarms = {(item.kind, item.subject) for item in found.findings if item.is_alarm}
    assert ("score_shift", "own_points") in alarms
    assert ("level", "outcomes") in alarms
    assert ("feature_shift", "problems_1y") in {(item.kind, item.subject) for item in found.findings}


def test_a_reference_after_the_day_is_refused(lake: Lake, bundle: Bundle) -> None:
    """There is nothing to compare with."""
    with pytest.raises(UsageError, match="CT-MON-001"):
        monitoring.monitor(lake, bundle, AsOf(dt.date(2025, 1, 1)), reference=dt.date(2025, 1, 1))
