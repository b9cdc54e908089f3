"""From frame and rules to strata: exclusions, grouping, exact sizes and every unit's chance. No seed is needed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from credit_tier.errors import DrawError
from credit_tier.sampling.allocate import Bounds, allocate, proportional
from credit_tier.sampling.frame import Cell, Frame
from credit_tier.sampling.inclusion import LIMIT, largest_gap
from credit_tier.specs.condition import Condition
from credit_tier.specs.plan import DepartmentSpec, PlanSpec


@dataclass(frozen=True)
class Stratum:
    """One stratum and its exact size.

    Attributes
    ----------
    key : values of the strata columns, in the order of the department's `strata`.
    members : places in the frame, ascending.
    weights : size of each member; all 1 where the department names no size column.
    size : expected number drawn, x_h.
    binding : what set it (`certainty`, `floor`, `cap`, `rate`).
    """

    key: tuple[str, ...]
    members: tuple[int, ...]
    weights: tuple[int, ...]
    size: Fraction
    binding: str

    def lambdas(self, count: int) -> tuple[Fraction, ...]:
        """Return the members' target probabilities when `count` of them are drawn."""
        return proportional(self.weights, count)

    def chances(self) -> tuple[Fraction, ...]:
        """Return the members' inclusion probabilities before the seed is known.

        With equal weights they are size / units, exactly.
        With unequal weights they mix the target probabilities of the two whole sizes; Pareto sampling meets those up to
        the bounds of `sampling.md` section 0 item 4.
        """
        if min(self.weights) == max(self.weights):
            return (self.size / len(self.members),) * len(self.members)
        whole = floor(self.size)
        part = self.size - whole
        low = self.lambdas(whole)
        if not part:
            return low
        return tuple((1 - part) * a + part * b for a, b in zip(low, self.lambdas(whole + 1), strict=True))

    def design_gap(self) -> float | None:
        """Return the largest relative gap between designed and true chance, or None for a stratum too large to compute.

        Equal chances are met exactly: the gap is 0.
        """
        if min(self.weights) == max(self.weights):
            return 0.0
        if len(self.members) > LIMIT:
            return None
        counts = {floor(self.size), ceil(self.size)}
        return max(largest_gap([float(lam) for lam in self.lambdas(count)], count) for count in counts)


@dataclass(frozen=True)
class Layout:
    """A department's strata, sorted by key.

    Attributes
    ----------
    excluded : exclusion -> units left out by it; the first exclusion that applies counts.
    factor : by which a budget stretched or shrank the rates.
    """

    department: DepartmentSpec
    strata: tuple[Stratum, ...]
    excluded: Mapping[str, int]
    factor: Fraction

    @property
    def units(self) -> int:
        """Return the number of units that may be drawn."""
        return sum(len(item.members) for item in self.strata)

    @property
    def expected(self) -> Fraction:
        """Return the expected number of visits."""
        return sum((item.size for item in self.strata), Fraction(0))


@dataclass(frozen=True)
class StratumPlan:
    """One stratum of a plan.

    Attributes
    ----------
    department : whose stratum it is.
    stratum : values of the strata columns.
    units : enterprises in it.
    size : expected visits, exact.
    chance : inclusion probability of each of its enterprises, exact; with a size column, their mean.
    binding : what set the size: `rate`, `floor`, `cap` or `certainty`.
    """

    department: str
    stratum: tuple[str, ...]
    units: int
    size: Fraction
    chance: Fraction
    binding: str


def stratum_plans(layouts: Sequence[Layout]) -> tuple[StratumPlan, ...]:
    """Return all strata of all departments in the order in which they are worked."""
    return tuple(
        StratumPlan(
            layout.department.department,
            item.key,
            len(item.members),
            item.size,
            item.size / len(item.members),
            item.binding,
        )
        for layout in layouts
        for item in layout.strata
    )


@dataclass(frozen=True)
class Planned:
    """A frame, the rules, and the strata they lead to."""

    frame: Frame
    spec: PlanSpec
    layouts: tuple[Layout, ...]

    @classmethod
    def of(cls, frame: Frame, spec: PlanSpec) -> Planned:
        """Lay out a frame; see :func:`lay_out` for the errors."""
        return cls(frame, spec, lay_out(frame, spec))


def lay_out(frame: Frame, spec: PlanSpec) -> tuple[Layout, ...]:
    """Return every department's strata and sizes.

    Raises
    ------
    DrawError : CT-DRAW-004 a risk class without rate, 005 a budget that cannot be met, 003 a size below 1 or a condition that does
        not fit its column, 006 nothing left to draw from.
    """
    return tuple(_department(frame, spec, item) for item in spec.departments)


def _department(frame: Frame, spec: PlanSpec, department: DepartmentSpec) -> Layout:
    kept = list(range(len(frame)))
    excluded: dict[str, int] = {}
    for exclusion in department.exclusions:
        tests = [(frame.columns[c.column], _verdicts(frame.columns[c.column], c)) for c in exclusion.where]
        left = [i for i in kept if not all(verdict[column[i]] for column, verdict in tests)]
        excluded[exclusion.exclusion] = len(kept) - len(left)
        kept = left
    if not kept:
        raise DrawError.of(
            "CT-DRAW-006",
            where=department.department,
            what="没有可抽取的对象 · the exclusions leave nobody.",
            advice="Review the exclusions.",
        )
    groups: dict[tuple[Cell, ...], list[int]] = {}
    columns = [frame.columns[name] for name in department.strata]
    keys = list(zip(*columns, strict=True))
    for i in kept:
        groups.setdefault(keys[i], []).append(i)
    at = department.strata.index(spec.class_column)
    unrated = sorted({str(key[at]) for key in groups} - set(department.rates))
    if unrated:
        raise DrawError.of(
            "CT-DRAW-004",
            where=f"{department.department}.rates",
            what=f"{len(unrated)} 个类别没有抽查比例 · {len(unrated)} values of {spec.class_column} have no rate.",
            advice="No class may be left out: give each a rate above zero.",
        )
    ordered = sorted((tuple(str(part) for part in key), tuple(members)) for key, members in groups.items())
    bounds = [
        Bounds.of(
            len(members),
            Fraction(department.rates[key[at]]),
            least=department.floor,
            cap=Fraction(department.caps.get(key[at], "1")),
            certain=key[at] in department.certainty,
        )
        for key, members in ordered
    ]
    plan = allocate(bounds, budget=department.budget, where=f"{department.department}.budget")
    strata = tuple(
        Stratum(key, members, _weights(frame, department, members), size, binding)
        for (key, members), size, binding in zip(ordered, plan.sizes, plan.binding, strict=True)
    )
    return Layout(department, strata, excluded, plan.factor)


def _weights(frame: Frame, department: DepartmentSpec, members: Sequence[int]) -> tuple[int, ...]:
    if department.size is None:
        return (1,) * len(members)
    column = frame.columns[department.size]
    weights = tuple(cell for i in members if isinstance(cell := column[i], int) and cell >= 1)
    if len(weights) < len(members):
        raise DrawError.of(
            "CT-DRAW-003",
            where=f"units.{department.size}",
            what=f"{len(members) - len(weights)} sizes are below 1: a size of zero would exempt the enterprise.",
            advice="Give sizes of 1 and more.",
        )
    return weights


def _verdicts(column: Sequence[Cell], condition: Condition) -> dict[Cell, bool]:
    """Return the condition's verdict for each different cell."""
    try:
        return {cell: _meets(cell, condition) for cell in set(column)}
    except (TypeError, ValueError) as error:
        raise DrawError.of(
            "CT-DRAW-003",
            where=f"units.{condition.column}",
            what="a condition compares whole numbers and texts.",
            advice="Write all conditions of a column either with whole numbers or with texts.",
        ) from error


def _meets(cell: Cell, condition: Condition) -> bool:
    if condition.is_null is not None:
        return (cell is None) is condition.is_null
    if cell is None:
        return False
    read = int if isinstance(cell, int) else str
    if condition.equals is not None:
        return cell == read(condition.equals)
    if condition.one_of is not None:
        return cell in {read(item) for item in condition.one_of}
    if condition.not_one_of is not None:
        return cell not in {read(item) for item in condition.not_one_of}
    if condition.at_least is not None:
        return bool(cell >= read(condition.at_least))  # type: ignore[operator]
    return bool(cell <= read(str(condition.at_most)))  # type: ignore[operator]
