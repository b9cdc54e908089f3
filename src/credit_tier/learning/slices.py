"""The same figures for parts of the population: does the model serve districts, industries, sizes and ages alike?

Two questions. Is a part's risk predicted as it turned out? And if those with the highest probability were inspected, within a stated
budget: how often would each part be selected, in vain, or missed? A difference is described, not judged: parts may differ in truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from credit_tier.learning.calibrate import counts_of
from credit_tier.learning.outturn import Outturn

FEWEST_ROWS = 30
"""Parts with fewer rows are put together, and left out if still fewer: no figure of a handful of enterprises is told."""

REST = ("其余", "rest")
UNKNOWN = ("未知", "unknown")


@dataclass(frozen=True)
class Attribute:
    """What divides the rows: its titles, each row's part (-1 unknown), and the titles of the parts."""

    title_zh: str
    title_en: str
    part: NDArray[np.int32]
    titles: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Slice(Outturn):
    """Figures of one part.

    Attributes
    ----------
    share : of all rows, by weight. selected : share of the part's rows selected within the budget. ratio : that divided by the budget.
    false_selection : share selected of the rows without a finding. missed : share not selected of the rows with one. None if there
        is no such row.
    """

    zh: str
    en: str
    subjects: int
    share: float
    selected: float
    ratio: float
    false_selection: float | None
    missed: float | None


@dataclass(frozen=True)
class Sliced:
    """All parts of one attribute, in its order.

    Attributes
    ----------
    left_out : rows of parts too small to be told, even together.
    level : for a single p value, 0.05 divided by the number of parts.
    """

    title_zh: str
    title_en: str
    slices: tuple[Slice, ...]
    left_out: int
    level: float

    @property
    def suspects(self) -> tuple[Slice, ...]:
        """Return the parts whose mean prediction the outcomes contradict."""
        return tuple(item for item in self.slices if item.p < self.level)


def selected(
    probability: NDArray[np.float64], budget: float, weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return to what degree each row is selected if the share `budget` with the highest probability is; ties share the last places.

    Of weighted rows the share is one of those that they stand for.

    >>> selected(np.array([0.1, 0.3, 0.3, 0.9]), 0.5).tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    _, which = np.unique(-probability, return_inverse=True)
    rows = np.bincount(which, np.full(len(which), counts_of(weight)))
    before = np.cumsum(rows) - rows
    return np.asarray(np.clip((budget * len(probability) - before) / rows, 0, 1)[which])


def sliced(
    attribute: Attribute,
    y: NDArray[np.int8],
    probability: NDArray[np.float64],
    subject: NDArray[np.int32],
    weight: NDArray[np.float64] | None = None,
    *,
    fold: NDArray[np.int32] | None = None,
    budget: float,
    seed: int,
    replicates: int = 200,
) -> Sliced:
    """Return the figures of every part of an attribute.

    Parameters
    ----------
    y, probability, subject, weight : shape (n,), in the order of the attribute's rows.
    fold : which rows were scored by one model; see :func:`.auc_of`.
    budget : share of rows that could be inspected.

    Source: `peers.md` section 4 (segment performance); the three shares are those of a disparity table (selection rate, false
    positive rate, false negative rate).
    """
    taken = selected(probability, budget, weight)
    count = np.full(len(y), counts_of(weight))
    part = attribute.part
    titles = [*attribute.titles, UNKNOWN, REST]
    number = np.where(part < 0, len(attribute.titles), part)
    rows = np.bincount(number, minlength=len(titles))
    small = (rows > 0) & (rows < FEWEST_ROWS)
    number = np.where(small[number], len(titles) - 1, number)
    found = []
    for here in np.unique(number):
        inside = number == here
        if inside.sum() < FEWEST_ROWS:
            continue
        outcome, p, take, share = y[inside], probability[inside], taken[inside], count[inside]
        is_hit = outcome == 1
        chosen = float(np.average(take, weights=share))
        found.append(
            Slice.of(
                outcome,
                p,
                subject[inside],
                None if weight is None else weight[inside],
                fold=None if fold is None else fold[inside],
                seed=seed,
                replicates=replicates,
                zh=titles[here][0],
                en=titles[here][1],
                subjects=len(np.unique(subject[inside])),
                share=float(share.sum() / count.sum()),
                selected=chosen,
                ratio=chosen / budget,
                false_selection=None if is_hit.all() else float(np.average(take[~is_hit], weights=share[~is_hit])),
                missed=float(1 - np.average(take[is_hit], weights=share[is_hit])) if is_hit.any() else None,
            )
        )
    return Sliced(
        attribute.title_zh,
        attribute.title_en,
        tuple(found),
        len(y) - sum(s.rows for s in found),
        0.05 / max(len(found), 1),
    )
