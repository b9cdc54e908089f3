"""One enterprise at a time: features from plain records, by the expressions and the kernel that compute a whole city.

A service keeps an :class:`Online` per catalogue and as_of; a question then costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from credit_tier.data import engines
from credit_tier.data.plain import PlainLake, Records, empty_tables
from credit_tier.errors import FeatureError
from credit_tier.features.build import FeatureFrame, build, passes
from credit_tier.features.conditions import AS_OF
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import AsOf

if TYPE_CHECKING:
    from credit_tier.features.context import GroupFigures
    from credit_tier.specs.dataset import DatasetSpec


class Online:
    """What questions have in common: contracts, features, and the figures of groups at their as_of.

    Parameters
    ----------
    specs : the contracts by table.
    groups : figures of groups at the as_of of the questions, from :meth:`credit_tier.features.context.GroupFigures.of`; needed if any
        feature is about a group or leans towards one.

    Raises
    ------
    FeatureError (CT-FEAT-013) if figures of groups are needed and not given.
    """

    def __init__(
        self, specs: Mapping[str, DatasetSpec], features: tuple[FeatureSpec, ...], groups: GroupFigures | None = None
    ) -> None:
        lacking = [f.id for f in features if (f.group_by is not None or f.shrink is not None) and groups is None]
        if lacking:
            raise FeatureError.of(
                "CT-FEAT-013",
                where=lacking[0],
                what="the feature rests on figures of a group, which the records of one enterprise do not tell.",
                advice="Give the figures of the groups, computed from the lake at the same as_of.",
            )
        self.specs, self.features, self.groups = specs, features, groups
        self._empty = empty_tables(specs)
        self._passes = passes(features, specs.__getitem__)
        register = next(spec.table for spec in specs.values() if spec.kind == "entity")
        self._columns: dict[str, set[str]] = {}
        for f in features:
            named = {f.column, *(c.column for c in (*f.filter, *f.numerator))} - {None}
            self._columns.setdefault(f.source, set()).update(name for name in named if name)
            if f.via is not None:
                named_of_edge = {f.via.column, *(c.column for c in f.via.filter)}
                self._columns.setdefault(f.via.table, set()).update(named_of_edge)
            for group in (f.group_by or (), f.shrink.towards if f.shrink else ()):
                for name in group:
                    owner = f.source if name in self._spec_columns(f.source) else register
                    self._columns.setdefault(owner, set()).add(name)
                    self._columns.setdefault(register, set()).update({name} & self._spec_columns(register))

    def _spec_columns(self, table: str) -> set[str]:
        return set(self.specs[table].columns) if table in self.specs else set()

    def for_one(
        self, code: str, records: Records, as_of: AsOf, attributes: Mapping[str, str] | None = None
    ) -> FeatureFrame:
        """Return the features of one enterprise, one row.

        Parameters
        ----------
        code : the enterprise; records of related enterprises are given beside its own, each under its own code.
        records : table to records with the columns of the contract: all versions that are known; what became known on or after as_of
            does not count.
        attributes : what is planned and known before as_of, if features come from the spine.

        Raises
        ------
        DataError : a record that an ingestion would not take; see :class:`credit_tier.data.plain.PlainLake`.
        FeatureError : CT-FEAT-012 the figures of groups are those of another as_of, CT-FEAT-014 no record names the enterprise.
        """
        lake = PlainLake(self.specs, records, self._columns, self._empty)
        number = lake.number_of(code)
        if number is None:
            raise FeatureError.of(
                "CT-FEAT-014",
                where="records",
                what="no record names the enterprise that is asked for.",
                advice="Give at least its record of the register.",
            )
        import numpy as np

        keys = {"row": 0, "enterprise_no": np.int32(number), AS_OF: np.int32(as_of.day)}
        spine = engines.frame({name: np.array([value]) for name, value in (keys | dict(attributes or {})).items()})
        return build(lake, self.features, spine, known=self.groups, every_pass=self._passes)
