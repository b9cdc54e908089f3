"""The feature catalogue: `pipelines/features.yaml`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from credit_tier.content import FileSpec, Spec
from credit_tier.specs.condition import Condition
from credit_tier.specs.dataset import NAME

Aggregate = Literal[
    "count",
    "exists",
    "sum",
    "mean",
    "max",
    "min",
    "last",
    "days_since",
    "n_unique",
    "share",
    "trend",
    "streak",
    "attribute",
]
"""
count, exists : records in the window.        sum, mean, max, min, last : of `column` over the records in the window.
days_since    : days from the latest event (or from the date `column` of the latest record) to as_of.
n_unique      : different values of `column`. share : records meeting `numerator` among the records in the window.
trend         : count in the later half of the window minus count in the earlier half.
streak        : how many of the latest records in a row meet `numerator`; 0 if the very last one does not.
attribute     : a numeric column of the spine itself, known before as_of; with source `spine`, exists tells whether the
                spine row meets `filter`, for instance whether the planned check is of one kind.
"""

FORBIDDEN_WORDS = (
    "ownership",
    "entity_type",
    "registration_place",
    "size_class",
    "registered_capital",
    "insured_staff",
    "revenue",
    "legal_representative",
    "id_number",
    "gender",
    "ethnic",
)
"""Columns that may never feed a feature: 优化营商环境条例 art. 10, 12, 13; PIPL art. 6.

The type of entity tells the ownership; capital, staff and revenue are what the size is measured by.
"""

STRATA = ("district",)
"""Places: they may form the groups of a context feature, but neither be a value nor choose records (公平竞争审查条例 art. 9)."""

BODIES = ("authority", "court")
"""Bodies, whose names tell the place (吴江区市场监督管理局): they may form groups, and how many of them there are may count, but no
feature may single some out (the same articles). Which department acted is another column and no place.
"""


class Window(Spec):
    """Observation window [as_of - days, as_of) by event time; without days, all history.

    Days, not calendar months: every observation then has the same exposure on every engine (ADR 0003).
    """

    days: int | None = Field(default=None, ge=1, le=36_600)


class Missing(Spec):
    """What stands where a feature has no value; compulsory, because "none recorded" and "unknown" differ."""

    policy: Literal["zero", "value", "unknown"]
    """`zero`: none recorded means 0. `value`: the given number. `unknown`: stays empty, the model sees a missing value."""
    value: float | None = None

    @model_validator(mode="after")
    def _value(self) -> Self:
        if (self.policy == "value") != (self.value is not None):
            raise ValueError("value goes with policy: value, and only with it")
        return self

    @property
    def fill(self) -> float | None:
        """Return the number that replaces an empty value, or None if it stays empty."""
        return {"zero": 0.0, "value": self.value, "unknown": None}[self.policy]


class Shrink(Spec):
    """Shrinkage of a mean or share towards the same figure of a wider group.

    estimate = (sum + weight * wider) / (n + weight), where `wider` is the group given by `towards` (empty: everybody),
    itself not shrunken; with no record at all in the wider group the value is missing.
    """

    weight: float = Field(gt=0)
    towards: tuple[str, ...] = ()


class Related(Spec):
    """One hop: the records of those subjects to which edges of the subject lead, as far as both are known.

    Two edges may lead to one record, so only aggregates that do not count a record twice are allowed: exists, max, min,
    days_since, and n_unique, which over the source's key tells how many related subjects there are with such records.
    """

    table: str
    """Table of edges, keyed by the subject."""
    column: str
    """Its column with the key of the related subject."""
    filter: tuple[Condition, ...] = ()
    """Which edges count, for instance those of one kind that have not ended."""


ONCE = {"exists", "max", "min", "days_since", "n_unique"}
"""Aggregates that are the same if a record is met twice."""


class FeatureSpec(Spec):
    """One feature. An entry never changes meaning: a new meaning is a new id."""

    id: str
    title_zh: str
    title_en: str = ""
    dimension: str
    source: str
    """Table, or `spine` for an attribute that the spine brings."""
    aggregate: Aggregate
    column: str | None = None
    numerator: tuple[Condition, ...] = ()
    window: Window = Window()
    filter: tuple[Condition, ...] = ()
    group_by: tuple[str, ...] | None = None
    """None: records of the subject itself. Else a context feature: records of all subjects that agree with the spine row
    in these columns (an empty list: all records). The subject's own records count too, as far as known before as_of."""
    shrink: Shrink | None = None
    via: Related | None = None
    """None: the subject's own records. Else those of its related subjects."""
    missing: Missing
    unit: str
    direction: Literal[-1, 0, 1]
    """+1: more means riskier, -1: more means safer, 0: not constrained. Becomes the model's monotone constraint."""
    legal_basis: str

    @field_validator("direction", mode="before")
    @classmethod
    def _direction(cls, value: object) -> object:
        return {"-1": -1, "0": 0, "1": 1, "+1": 1}.get(value, value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not NAME.match(self.id):
            raise ValueError("an id holds lower-case letters, digits and _")
        needs_column = {"sum", "mean", "max", "min", "last", "n_unique", "attribute"}
        if self.aggregate in needs_column and self.column is None:
            raise ValueError(f"{self.aggregate} needs a column")
        if self.aggregate in {"count", "exists", "share", "trend", "streak"} and self.column is not None:
            raise ValueError(f"{self.aggregate} takes no column")
        if (self.aggregate in {"share", "streak"}) != bool(self.numerator):
            raise ValueError("numerator goes with share and streak, and only with them")
        if self.aggregate == "trend" and self.window.days is None:
            raise ValueError("trend needs a window")
        if self.aggregate == "attribute" and self.source != "spine":
            raise ValueError("attribute goes with source: spine")
        if self.source == "spine" and not (
            self.aggregate == "attribute" or (self.aggregate == "exists" and self.filter)
        ):
            raise ValueError("from the spine come an attribute, or exists with a filter")
        if self.source == "spine" and any(c.equals is None and c.one_of is None for c in self.filter):
            raise ValueError("a filter on the spine takes equals or one_of")
        if self.group_by is not None and self.aggregate not in {"count", "sum", "mean", "share"}:
            raise ValueError("a context feature is a count, sum, mean or share")
        if self.shrink is not None and self.aggregate not in {"mean", "share"}:
            raise ValueError("only a mean or a share can be shrunken")
        if self.via is not None and (self.aggregate not in ONCE or self.source == "spine"):
            raise ValueError(f"records of related subjects allow {', '.join(sorted(ONCE))} only")
        if self.via is not None and (self.group_by is not None or self.shrink is not None):
            raise ValueError("records of related subjects have neither a group nor shrinkage")
        if self.via is not None and self.aggregate == "days_since" and self.column is not None:
            raise ValueError("days_since over related subjects counts from the latest event and takes no column")
        conditions = (*self.filter, *self.numerator, *(self.via.filter if self.via else ()))
        chosen = (self.column, *(c.column for c in conditions))
        groups = (*(self.group_by or ()), *(self.shrink.towards if self.shrink else ()))
        for name in (*chosen, *groups):
            if name is not None and any(word in name for word in FORBIDDEN_WORDS):
                raise ValueError(
                    f"'{name}' may not feed a feature (优化营商环境条例 art. 10, 12, 13; 个人信息保护法 art. 6); use it as a slice of the disparity report"
                )
        for name in chosen:
            if name in STRATA:
                raise ValueError(
                    f"'{name}' may form groups but may not feed a feature (优化营商环境条例 art. 13; 公平竞争审查条例 art. 9)"
                )
        singled = [c.column for c in conditions if c.is_null is None]
        if self.column is not None and self.aggregate != "n_unique":
            singled.append(self.column)
        for name in singled:
            if any(word in name for word in BODIES):
                raise ValueError(
                    f"'{name}' names bodies, and a body tells the place: it may form groups or be counted, but no feature may single out"
                    " some of them (优化营商环境条例 art. 13; 公平竞争审查条例 art. 9)"
                )
        return self


class Dimension(Spec):
    """A dimension of the credit profile."""

    id: str
    title_zh: str
    title_en: str = ""


class CatalogueSpec(FileSpec):
    """All features, in the order in which they stand in every frame."""

    title_zh: str
    dimensions: tuple[Dimension, ...]
    features: tuple[FeatureSpec, ...]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        known = {item.id for item in self.dimensions}
        seen: set[str] = set()
        for feature in self.features:
            if feature.id in seen:
                raise ValueError(f"the feature id '{feature.id}' stands twice")
            seen.add(feature.id)
            if feature.dimension not in known:
                raise ValueError(
                    f"feature '{feature.id}' names the dimension '{feature.dimension}', which is not declared"
                )
        return self

    def subset(self, ids: tuple[str, ...] | None) -> tuple[FeatureSpec, ...]:
        """Return the named features in catalogue order; None means all.

        Raises
        ------
        KeyError with the first id that is not in the catalogue.
        """
        if ids is None:
            return self.features
        known = {feature.id: feature for feature in self.features}
        wanted = {known[name].id for name in ids}
        return tuple(feature for feature in self.features if feature.id in wanted)
