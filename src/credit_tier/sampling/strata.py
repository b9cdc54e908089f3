"""From frame and rules to strata: exclusions, grouping, exact sizes and every unit's chance. No seed is needed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import ceil, floor, isqrt
from typing import TYPE_CHECKING

from credit_tier.errors import DrawError
from credit_tier.sampling.allocate import Allocation, Bounds, allocate, allocate_whole, levels, neyman
from credit_tier.sampling.burden import weights_of
from credit_tier.sampling.frame import Cell, Frame
from credit_tier.sampling.inclusion import LIMIT, largest_gap
from credit_tier.specs.condition import Condition
from credit_tier.specs.plan import DepartmentSpec, PlanSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Stratum:
    """One stratum and its exact size.

    Attributes
    ----------
    key : values of the strata columns, in the order of the department's `strata`.
    members : places in the frame, ascending.
    weights : size of each member, lowered by its earlier visits; all 1 where the department names neither.
    size : expected number drawn, x_h.
    binding : what set it (`certainty`, `floor`, `cap`, `rate`, `optimum`).
    least : least target probability as a share of the mean one; 0 without burden.
    """

    key: tuple[str, ...]
    members: tuple[int, ...]
    weights: tuple[int, ...]
    size: Fraction
    binding: str
    least: Fraction = Fraction(0)

    @cached_property
    def tally(self) -> Counter[int]:
        """Return weight -> members that have it."""
        return Counter(self.weights)

    def lambdas(self, count: int) -> tuple[Fraction, ...]:
        """Return the members' target probabilities when `count` of them are drawn."""
        known = levels(self.tally, count, floor=self.least)
        return tuple(map(known.__getitem__, self.weights))

    @cached_property
    def chance_of(self) -> dict[int, Fraction]:
        """Return weight -> inclusion probability before the seed is known.

        With equal weights it is size / units, exactly.
        With unequal weights it mixes the target probabilities of the two whole sizes; Pareto sampling meets those up to
        the bounds of `sampling.md` section 0 item 4.
        """
        whole = floor(self.size)
        part = self.size - whole
        low = levels(self.tally, whole, floor=self.least)
        if not part:
            return low
        high = levels(self.tally, whole + 1, floor=self.least)
        return {weight: (1 - part) * low[weight] + part * high[weight] for weight in low}

    def chances(self) -> tuple[Fraction, ...]:
        """Return the members' inclusion probabilities before the seed is known; see :attr:`chance_of`."""
        return tuple(map(self.chance_of.__getitem__, self.weights))

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
    chance : inclusion probability of each of its enterprises, exact; with unequal chances, their mean.
    binding : what set the size: `rate`, `optimum`, `floor`, `cap` or `certainty`.
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
    DrawError : CT-DRAW-004 a risk class without rate, 005 a budget that cannot be met, 003 a size below 1, a number of
        visits below 0 or a condition that does not fit its column, 006 nothing left to draw from.
    """
    return tuple(lay_out_department(frame, spec, item) for item in spec.departments)


def lay_out_department(frame: Frame, spec: PlanSpec, department: DepartmentSpec) -> Layout:
    """Return one department's strata and sizes; see :func:`lay_out`."""
    kept, excluded = _kept(frame, department)
    if not len(kept):
        raise DrawError.of(
            "CT-DRAW-006",
            where=department.department,
            what="没有可抽取的对象 · the exclusions leave nobody.",
            advice="Review the exclusions.",
        )
    keys, places = _groups(frame, department, kept)
    at = department.strata.index(spec.class_column)
    unrated = {key[at] for key in keys} - set(department.classes)
    if unrated:
        raise DrawError.of(
            "CT-DRAW-004",
            where=f"{department.department}.rates",
            what=f"{len(unrated)} 个类别没有抽查比例 · {len(unrated)} values of {spec.class_column} have no rate.",
            advice="No class may be left out: give each a rate above zero.",
        )
    plan = _sizes(spec, department, [(key, len(own)) for key, own in zip(keys, places, strict=True)])
    known, number = weights_of(frame, department, kept)
    least = Fraction(department.burden.floor) if department.burden is not None else Fraction(0)
    strata = tuple(
        Stratum(
            key, tuple(kept[own].tolist()), tuple(map(known.__getitem__, number[own].tolist())), size, binding, least
        )
        for key, own, size, binding in zip(keys, places, plan.sizes, plan.binding, strict=True)
    )
    return Layout(department, strata, excluded, plan.factor)


def resized(spec: PlanSpec, layout: Layout, department: DepartmentSpec) -> Layout:
    """Return a layout with the sizes of other rules for the same units and weights.

    Raises
    ------
    DrawError (CT-DRAW-005) if their budget cannot be met.
    """
    plan = _sizes(spec, department, [(item.key, len(item.members)) for item in layout.strata])
    strata = tuple(
        replace(item, size=size, binding=binding)
        for item, size, binding in zip(layout.strata, plan.sizes, plan.binding, strict=True)
    )
    return replace(layout, department=department, strata=strata, factor=plan.factor)


def _kept(frame: Frame, department: DepartmentSpec) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Return the places of the units that no exclusion takes, ascending, and how many each took."""
    import numpy as np

    kept = np.arange(len(frame))
    excluded: dict[str, int] = {}
    for exclusion in department.exclusions:
        taken = np.ones(len(kept), bool)
        for condition in exclusion.where:
            cells, places = frame.coded(condition.column)
            taken &= np.array(_verdicts(cells, condition), bool)[places[kept]]
        kept = kept[~taken]
        excluded[exclusion.exclusion] = int(taken.sum())
    return kept, excluded


def _groups(
    frame: Frame, department: DepartmentSpec, kept: NDArray[np.int64]
) -> tuple[list[tuple[str, ...]], list[NDArray[np.int64]]]:
    """Return the strata's keys, sorted, and for each the places of its units among the kept, ascending."""
    import numpy as np

    columns = [frame.coded(name) for name in department.strata]
    number, kinds = np.zeros(len(kept), np.int64), 1
    for cells, places in columns:
        if kinds * len(cells) > 2**62:
            found, number = np.unique(number, return_inverse=True)
            kinds = len(found)
        number, kinds = number * len(cells) + places[kept], kinds * len(cells)
    # sixteen bits sort by radix, several times as fast
    order = np.argsort(number.astype(np.uint16) if kinds <= 2**16 else number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    keys = [tuple(str(cells[places[i]]) for cells, places in columns) for i in kept[order[starts]].tolist()]
    return keys, np.split(order, starts[1:])


def _sizes(spec: PlanSpec, department: DepartmentSpec, strata: Sequence[tuple[tuple[str, ...], int]]) -> Allocation:
    """Return the sizes of strata, each given by key and number of units."""
    at = department.strata.index(spec.class_column)
    costs = [Fraction(1)] * len(strata)
    if department.days is not None:
        by = department.strata.index(department.days.column)
        costs = [Fraction(department.days.values.get(key[by], "1")) for key, _ in strata]
    shares = [Fraction(department.classes[key[at]]) for key, _ in strata]
    if department.allocation is None:
        squares = []
        wishes = [share * units for share, (_, units) in zip(shares, strata, strict=True)]
    else:
        squares = [neyman(units, share, cost) for share, (_, units), cost in zip(shares, strata, costs, strict=True)]
        wishes = [Fraction(isqrt(floor(square * 10**12))) for square in squares]
    bounds = [
        Bounds.of(
            units,
            wish,
            least=department.floor,
            cap=Fraction(department.caps.get(key[at], "1")),
            certain=key[at] in department.certainty,
            cost=cost,
        )
        for (key, units), wish, cost in zip(strata, wishes, costs, strict=True)
    ]
    where = f"{department.department}.{'budget' if department.inspector_days is None else 'inspector_days'}"
    if department.inspector_days is not None:
        free = "rate" if department.allocation is None else "optimum"
        return allocate(bounds, total=Fraction(department.inspector_days), where=where, free=free)
    if department.allocation is not None and department.budget is not None:
        return allocate_whole(bounds, squares, department.budget, where=where)
    return allocate(bounds, total=department.budget, where=where)


def _verdicts(cells: Sequence[Cell], condition: Condition) -> list[bool]:
    try:
        return [_meets(cell, condition) for cell in cells]
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
