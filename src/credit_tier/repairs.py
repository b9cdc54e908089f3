"""The agency's door to credit repair: who can be helped, in which order, and what it would do to points and class.

Points and class after a repair are guidance for a person. They are no ground of the decision, which rests on the rules alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from credit_tier.content import Content
from credit_tier.data import engines
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.specs.model import ModelSpec, TiersSpec
from credit_tier.specs.repairs import RepairsSpec
from credit_tier.temporal import AsOf, date_of
from credit_tier.types import RiskClass

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from credit_tier.learning.bundle import Bundle
    from credit_tier.learning.classes import Cuts
    from credit_tier.learning.scorecard import Scores
    from credit_tier.rules.classification import Overrides
    from credit_tier.rules.repair import RepairAssessment
    from credit_tier.rules.resolve import RulePack


class Standing(NamedTuple):
    """Where an enterprise stands: points (higher is better), points by dimension, probability and class after overrides."""

    points: float
    dimensions: dict[str, float]
    probability: float
    risk_class: RiskClass


class Gain(NamedTuple):
    """What the repair of one record would do; all else stays as known at as_of, figures of groups included."""

    code: str
    table: str
    record_id: str
    now: Standing
    after: Standing

    @property
    def points(self) -> float:
        """Return the points gained."""
        return self.after.points - self.now.points

    @property
    def dimensions(self) -> dict[str, float]:
        """Return the points gained by dimension; they sum to :attr:`points`."""
        return {name: points - self.now.dimensions[name] for name, points in self.after.dimensions.items()}


class Record(NamedTuple):
    """An adverse record of an enterprise."""

    code: str
    table: str
    record_id: str


class AfterRepair:
    """Answers what points and class would be if the repair of a record were known at an as_of.

    A repair is what `pipelines/repairs.yaml` says that it sets in the record's next version. The features that read the record come
    from the path that answers for single enterprises, so that they are those of a lake in which it is repaired; figures of groups
    stay as they are (:mod:`credit_tier.features.whatif`).

    Parameters
    ----------
    scores : folder of the scores of this lake, bundle and as_of, whose classes count; without it everybody is scored first.
    jurisdiction : whose overrides are asked.

    Raises
    ------
    UsageError (CT-REPAIR-010) if the scores are not those of this lake, bundle, as_of and pack of overrides; otherwise as
    :func:`credit_tier.profiles.score`.
    """

    def __init__(
        self,
        lake: Lake,
        content: Content,
        bundle: Bundle,
        as_of: AsOf,
        *,
        scores: Path | None = None,
        jurisdiction: str = "cn",
    ) -> None:
        from credit_tier import profiles
        from credit_tier.features import spine
        from credit_tier.rules.classification import overrides_on

        self._lake, self._bundle, self._as_of = lake, bundle, as_of
        self._repairs = content.load("pipelines", "repairs.yaml", RepairsSpec)
        self._overrides, _ = overrides_on(content, jurisdiction, as_of.on)
        spec = ModelSpec.model_validate(bundle.manifest["declaration"])
        self._rows = spine.scoring(lake, spec, as_of.on)
        tiers = profiles.class_policy(content, spec.model)
        probability, self._classes = self._everybody(scores)
        self._cuts = _all_cuts(tiers, probability)

    def _everybody(self, scores: Path | None) -> tuple[NDArray[np.float64], dict[str, int]]:
        """Return the probabilities of everybody, and the model's class of each in the run of these scores, none without one."""
        from credit_tier import profiles
        from credit_tier.features import build

        if scores is None:
            table = build.build(self._lake, self._bundle.features, self._rows)
            return self._bundle.scorer.score(table.matrix()).probability, {}
        told = profiles.summary_of(scores)
        law = None if self._overrides is None else self._overrides.pack.digest
        asked = (str(self._as_of), self._lake.digest, self._bundle.digest, law)
        given = (told["as_of"], told["digests"]["lake"], told["digests"]["bundle"], told["overrides"].get("digest"))
        if asked != given:
            raise UsageError.of(
                "CT-REPAIR-010",
                where=str(scores),
                what="these scores are of another lake, bundle, as_of or pack of overrides.",
                advice="Score first: credit-tier score LAKE --as-of DAY --jurisdiction … --out SCORES.",
            )
        held = engines.read_parquet(scores / profiles.SCORES)
        classes = held.select("code", "model_class").iter_rows()
        return held["probability"].to_numpy(), {code: RiskClass(text).rank for code, text in classes}

    def __call__(self, records: Iterable[Record]) -> list[Gain | None]:
        """Return what the repair of each record alone would do, in the order given; None if the model does not score the enterprise.

        Raises
        ------
        UsageError : CT-FEAT-026 an enterprise has no such record that is known, CT-REPAIR-011 the table has no repair.
        """
        import narwhals as nw

        from credit_tier.features import build
        from credit_tier.features.whatif import Change, changed

        asked = list(records)
        values = {table: self._values(table) for table in dict.fromkeys(record.table for record in asked)}
        asked_for = sorted({record.code for record in asked})
        numbers = self._lake.codes().filter(nw.col("code").is_in(asked_for))["enterprise_no"].to_list()
        rows = self._rows.filter(nw.col("enterprise_no").is_in(numbers))
        codes = self._lake.codes()["code"][rows["enterprise_no"].to_numpy()].to_list()
        place = {code: number for number, code in enumerate(codes)}
        scored_ones = [record for record in asked if record.code in place]
        if not scored_ones:
            return [None] * len(asked)
        features = build.build(self._lake, self._bundle.features, rows)
        changes = [Change(*record, values[record.table]) for record in scored_ones]
        after = self._bundle.scorer.score(changed(self._lake, features, rows, changes, self._as_of))
        now = self._bundle.scorer.score(features.matrix())
        law = _Law(self._lake, self._overrides, self._as_of, codes)
        gains = {
            record: self._gain(record, (now, place[record.code]), (after, number), law)
            for number, record in enumerate(scored_ones)
        }
        return [gains.get(record) for record in asked]

    def _gain(self, record: Record, now: tuple[Scores, int], after: tuple[Scores, int], law: _Law) -> Gain:
        cuts, least, most = self._cuts
        old, new = (scores.probability[row : row + 1] for scores, row in (now, after))
        rank = self._classes.get(record.code)
        if rank is None:
            rank = int(cuts.ranks(old)[0])
        later = int(np.clip(rank, least.ranks(new)[0], most.ranks(new)[0]))
        values = self._values(record.table)
        final = law.rank(rank, record.code), law.rank(later, record.code, repaired=record, values=values)
        return Gain(*record, _standing(*now, final[0]), _standing(*after, final[1]))

    def _values(self, table: str) -> dict[str, Any]:
        """Return what a repair sets in a record of a table, on the day before as_of."""
        found = self._repairs.values(self._lake.spec(table), self._as_of.day - 1)
        if not found:
            raise UsageError.of(
                "CT-REPAIR-011",
                where=table,
                what="no repair is declared for records of this table.",
                advice=f"pipelines/repairs.yaml has: {', '.join(self._repairs.records)}.",
            )
        return found


def _standing(scores: Scores, row: int, rank: int) -> Standing:
    dimensions = dict(zip(scores.dimensions, scores.dimension_points[row].tolist(), strict=True))
    return Standing(float(scores.points[row]), dimensions, float(scores.probability[row]), RiskClass.from_rank(rank))


def _all_cuts(tiers: TiersSpec, probability: NDArray[np.float64]) -> tuple[Cuts, Cuts, Cuts]:
    """Return the cuts, and the cuts moved up and down by the hysteresis of the policy."""
    from fractions import Fraction

    from credit_tier.learning.classes import cuts_of

    band = Fraction(repr(tiers.hysteresis))
    return (
        cuts_of(tiers, probability),
        cuts_of(tiers, probability, shift=band),
        cuts_of(tiers, probability, shift=-band),
    )


class _Law:
    """The overrides that hold some enterprises, and those that would once a record is repaired."""

    def __init__(self, lake: Lake, overrides: Overrides | None, as_of: AsOf, codes: Sequence[str]) -> None:
        from credit_tier.features.records import visible_rows

        self._lake, self._overrides, self._as_of = lake, overrides, as_of
        self._rows: dict[str, dict[str, list[dict[str, object]]]] = {}
        only = codes[0] if len(codes) == 1 else None
        wanted = set(codes)
        if overrides is None:
            return
        for table in overrides.tables:
            key = lake.spec(table).key or ""
            own = self._rows.setdefault(table, {})
            for row in visible_rows(lake, table, overrides.columns(table), as_of, code=only):
                if row[key] in wanted:
                    own.setdefault(str(row[key]), []).append(row)

    def rank(
        self, rank: int, code: str, *, repaired: Record | None = None, values: Mapping[str, Any] | None = None
    ) -> int:
        """Return the rank after the overrides, as they hold now or once a record is repaired."""
        if self._overrides is None:
            return rank
        rules: list[str] = []
        for table, held in self._rows.items():
            rows: Iterable[Mapping[str, object]] = held.get(code, [])
            if repaired is not None and repaired.table == table:
                rows = (self._repaired(row, repaired, values or {}) for row in rows)
            rules.extend(hit.rule for hit in self._overrides.hits(table, rows, self._as_of.on))
        return self._overrides.settle(rank, rules)[0]

    def _repaired(self, row: Mapping[str, object], record: Record, values: Mapping[str, Any]) -> Mapping[str, object]:
        spec = self._lake.spec(record.table)
        if row.get(spec.record_id.column or "") != record.record_id:
            return row
        return {**row, **{name: _out(value, spec.columns[name].type) for name, value in values.items()}}


def _out(value: Any, kind: str) -> object:
    """Return a value of the lake as the rules read it."""
    return date_of(value) if kind == "date" else value


@dataclass(frozen=True)
class Worklist:
    """Adverse records of a city, or of a part of it, under the rules of one day.

    Attributes
    ----------
    items : what somebody can do something about, most urgent first; with gains, the largest first within a step.
    verdicts : verdict -> records, over all records, also those that need nothing.
    pack : the rule pack in force.
    gains : subject and record -> what the repair would do, for items of enterprises that the model scores; empty without a model.
    """

    items: list[RepairAssessment]
    verdicts: dict[str, int]
    pack: RulePack
    gains: dict[tuple[str, str], Gain] = field(default_factory=dict)


def repair_worklist(
    lake: Lake,
    content: Content,
    as_of: AsOf,
    *,
    jurisdiction: str = "cn",
    topic: str = "repair",
    where: Mapping[str, str] | None = None,
    after: AfterRepair | None = None,
) -> Worklist:
    """Assess every adverse record known at an as_of: who can be helped now, who next and when (信用修复工作清单).

    Parameters
    ----------
    where : column of the register -> value as known at as_of: only enterprises that have it, for instance those of a district.
    after : tells what each repair would do to points and class; the worklist is then sorted by it.

    Raises
    ------
    RuleError if no pack is in force that day; LakeError if the pack's table is not in the lake; FeatureError if the register has no
    such column, or nobody has the value.
    """
    from collections import Counter

    from credit_tier.features.records import visible_rows
    from credit_tier.rules.repair import Assessor, worklist
    from credit_tier.rules.resolve import resolve

    pack = resolve(content, jurisdiction, topic, as_of.on)
    judge = Assessor(pack, as_of)
    members = _members(lake, as_of, where) if where else None
    verdicts: Counter[str] = Counter()

    def counted() -> Iterator[RepairAssessment]:
        for row in visible_rows(lake, judge.table, judge.columns, as_of):
            if members is None or row[judge.records.subject] in members:
                found = judge(row)
                verdicts[found.verdict.value] += 1
                yield found

    items = worklist(counted())
    gains: dict[tuple[str, str], Gain] = {}
    if after is not None:
        told = after(Record(item.subject, judge.table, item.record_id) for item in items)
        gains = {(gain.code, gain.record_id): gain for gain in told if gain is not None}
        worth = {key: gain.points for key, gain in gains.items()}
        items.sort(key=lambda item: (item.step, -worth.get((item.subject, item.record_id), 0.0)))
    return Worklist(items, dict(sorted(verdicts.items())), pack, gains)


def _members(lake: Lake, as_of: AsOf, where: Mapping[str, str]) -> set[str]:
    """Return the codes of the enterprises whose register record known at as_of has the values."""
    from credit_tier.features import spine
    from credit_tier.specs.condition import Condition

    rows = spine.grid(lake, tuple(Condition(column=name, equals=value) for name, value in where.items()), [as_of.on])
    return set(lake.codes()["code"][rows["enterprise_no"].to_numpy()].to_list())
