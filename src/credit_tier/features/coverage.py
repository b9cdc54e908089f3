"""How well features are filled at an as_of: known, filled in, zero, spread; over everybody or by a column of the register."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from credit_tier.errors import RefusedError
from credit_tier.features import build, spine
from credit_tier.features.values import register_column
from credit_tier.specs.feature import FeatureSpec, Missing
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake

ALMOST_EMPTY = 0.001
"""Share of known values below which a feature is flagged: one enterprise in a thousand."""


@dataclass(frozen=True)
class Coverage:
    """One feature over a group of enterprises.

    Attributes
    ----------
    group : value of the column asked for; None for everybody, the empty text where the register has none.
    rows, known, zeros, distinct : enterprises, those with a value of their own, those whose value is 0, different values.
    filled : share of rows in which the missing policy put a number.
    minimum, median, maximum : of the values as a model sees them; None if all are empty.
    flag : `constant`, `almost_empty` or empty.
    """

    feature: str
    group: str | None
    rows: int
    known: int
    filled: float
    zeros: int
    minimum: float | None
    median: float | None
    maximum: float | None
    distinct: int
    flag: str

    @property
    def known_share(self) -> float:
        """Return the share of enterprises with a value of their own, before the missing policy."""
        return self.known / self.rows


def without_records(table: build.FeatureFrame, register: str) -> NDArray[np.bool_]:
    """Return, row by row, whether no record of the subject's own counts in any feature: all stand at the declared value for none.

    Features of the register, of groups, of related subjects and of the spine are not asked.

    Parameters
    ----------
    register : name of the entity table.
    """
    own = [
        column
        for column, f in enumerate(table.features)
        if f.source not in {register, "spine"} and f.group_by is None and f.via is None and f.shrink is None
    ]
    fills = np.array([np.nan if (fill := table.features[c].missing.fill) is None else fill for c in own], np.float32)
    silent = np.ones(len(table), np.bool_)
    for low in range(0, len(table), build.ROWS_AT_ONCE):
        values = table.matrix()[low : low + build.ROWS_AT_ONCE][:, own]
        silent[low : low + build.ROWS_AT_ONCE] = ((values == fills) | (np.isnan(values) & np.isnan(fills))).all(axis=1)
    return silent


def coverage(lake: Lake, features: tuple[FeatureSpec, ...], as_of: AsOf, *, by: str | None = None) -> list[Coverage]:
    """Return the coverage of features over everybody in the register at as_of, feature by feature, group by group.

    Parameters
    ----------
    by : column of the register, as known at as_of.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, CT-FEAT-006 unknown table, CT-FEAT-010 nobody is registered.
    RefusedError (CT-FEAT-024) if the column is personal: its values would be told.
    """
    if by is not None and register_column(by, lake).sensitivity == "personal":
        raise RefusedError.of(
            "CT-FEAT-024",
            where=f"{lake.register}.{by}",
            what="the column is personal information and forms no groups (个人信息保护法 art. 6).",
            advice="Name another column of the register.",
        )
    rows = spine.grid(lake, (), [as_of.on])
    unfilled = tuple(f.model_copy(update={"missing": Missing(policy="unknown")}) for f in features)
    values = build.build(lake, unfilled, rows).values
    groups: dict[str | None, NDArray[np.bool_]] = {None: np.ones(len(rows), np.bool_)}
    if by is not None:
        column = spine.register_columns(lake, rows, [by])[by].to_list()
        named = np.array(["" if value is None else str(value) for value in column], dtype=object)
        groups = {name: named == name for name in sorted(set(named.tolist()))}
    return [
        _of(feature, group, own[members])
        for feature, own in zip(features, values, strict=True)
        for group, members in groups.items()
    ]


def _of(feature: FeatureSpec, group: str | None, own: NDArray[np.float32]) -> Coverage:
    known = ~np.isnan(own)
    fill = feature.missing.fill
    seen = own[known] if fill is None else np.where(known, own, np.float32(fill))
    distinct = len(np.unique(seen))
    share = float(known.mean())
    found = Coverage(
        feature.id,
        group,
        rows=len(own),
        known=int(known.sum()),
        filled=0.0 if fill is None else 1 - share,
        zeros=int((seen == 0).sum()),
        minimum=float(seen.min()) if len(seen) else None,
        median=float(np.median(seen)) if len(seen) else None,
        maximum=float(seen.max()) if len(seen) else None,
        distinct=distinct,
        flag="",
    )
    if share < ALMOST_EMPTY:
        return replace(found, flag="almost_empty")
    is_constant = distinct == 1 and (fill is not None or found.known == found.rows)
    return replace(found, flag="constant") if is_constant else found
