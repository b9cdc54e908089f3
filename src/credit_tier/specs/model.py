"""Model declaration: `models/<model>/model.yaml`, and the risk-class policy `pipelines/tiers.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from credit_tier.content import FileSpec, Flag, Spec
from credit_tier.specs.condition import Condition
from credit_tier.specs.feature import FeatureSpec


class GridCohort(Spec):
    """Every subject of the register at regular dates."""

    kind: Literal["grid"]
    every_months: int = Field(ge=1, le=12)
    first: date
    """First as_of; the following ones run to the data cut-off."""
    where: tuple[Condition, ...] = ()
    """Conditions on the subject's record in the register, visible at as_of."""


class EventCohort(Spec):
    """One row per subject and day on which records of a table happened, with what was planned before that day."""

    kind: Literal["events"]
    source: str
    where: tuple[Condition, ...] = ()
    attributes: dict[str, str] = Field(default_factory=dict)
    """Spine attribute -> column of the source that is known before the day (the kind of check planned).
    If several records of a day differ, the smallest value in text order is taken."""


class Population(Spec):
    """Whom a model scores: subjects whose register record, visible at as_of, meets the conditions."""

    where: tuple[Condition, ...] = ()


class Label(Spec):
    """The outcome to predict.

    A row is observed if at least one record meets `where` in [as_of, as_of + window_days); it is positive if one of them meets
    `positive` too. Where nobody has to look for the outcome to become known, `absent: zero` takes a row without such a record as 0.
    A row is mature if as_of + window_days + delay_days <= the data cut-off; only mature, observed rows have a label.
    The version of a record that counts is the one known before as_of + window_days + delay_days.
    """

    title_zh: str
    title_en: str = ""
    source: str
    where: tuple[Condition, ...] = ()
    positive: tuple[Condition, ...]
    absent: Literal["unknown", "zero"] = "unknown"
    window_days: int = Field(ge=1)
    delay_days: int = Field(ge=0)


class Split(Spec):
    """Train, calibration and test by as_of, in this order in time, with a gap of one label window between them.

    Either absolute dates or days counted back from the last mature as_of. Or, where no date divides the rows, cross-validation over
    enterprises: its figures tell nothing of how the model lasts.
    """

    train_from: date | None = None
    calibrate_from: date | None = None
    test_from: date | None = None
    test_until: date | None = None
    calibrate_days: int | None = Field(default=None, ge=1)
    test_days: int | None = Field(default=None, ge=1)
    folds: int | None = Field(default=None, ge=3, le=20)
    """Folds of enterprises, each with its share of both outcomes; every row is judged once, by a model grown on the other folds."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        absolute = self.calibrate_from is not None and self.test_from is not None
        relative = self.calibrate_days is not None and self.test_days is not None
        if absolute + relative + (self.folds is not None) != 1:
            raise ValueError("give calibrate_from and test_from, or calibrate_days and test_days, or folds")
        if self.folds is not None and self != Split.model_construct(folds=self.folds):
            raise ValueError("folds stand alone: no date divides the rows")
        if self.calibrate_from and self.test_from and self.calibrate_from >= self.test_from:
            raise ValueError("calibrate_from lies before test_from")
        return self


class Selection(Spec):
    """How the rows of an event cohort came to be observed: each drawn at random with a known probability.

    A row then stands for 1 / probability enterprises, and training, calibration and every figure are about all who could have been
    drawn, not about those who were. Records that nobody drew have no such probability: leave them out of the cohort.
    """

    probability: str
    """Column of the cohort's table: the chance with which the record's subject was drawn, above 0, at most 1. A row without one is
    left out."""
    largest_weight: Annotated[float, Field(gt=1)] | None = None
    """Weights above so many times the mean weight are cut to it, which trades some bias for less variance; how many is reported."""
    apart: str | None = None
    """Column of the cohort's table by whose values the report tells how those records turned out which are not of the cohort."""


class Points(Spec):
    """Scaling of the calibrated log-odds to points: `points` at odds `odds` (safe : risky), doubling every `double_odds` points."""

    points: int = 600
    odds: Annotated[float, Field(gt=0)] = 20.0
    double_odds: Annotated[float, Field(gt=0)] = 50.0


class Bridge(Spec):
    """Two dimensions whose features a tree may combine; what such trees say is a contribution of its own, named after the bridge."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")]
    title_zh: str
    title_en: str = ""
    dimensions: tuple[str, str]
    features: tuple[str, ...] | None = None
    """Features of the two dimensions that may be combined; None: all of them."""

    @model_validator(mode="after")
    def _two_ends(self) -> Self:
        if self.dimensions[0] == self.dimensions[1]:
            raise ValueError(f"the bridge '{self.id}' leads from a dimension to itself")
        if self.id in self.dimensions:
            raise ValueError(f"the bridge '{self.id}' has the name of a dimension")
        return self

    def ends(self, features: Sequence[FeatureSpec]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ids of a model's features that it joins, on either side."""
        first, second = (
            tuple(f.id for f in features if f.dimension == name and (self.features is None or f.id in self.features))
            for name in self.dimensions
        )
        return first, second

    def faults(self, features: Sequence[FeatureSpec]) -> list[str]:
        """Return why it does not fit a model's features: a dimension or feature that is not there, or a dimension's name."""
        ends = self.ends(features)
        found = [
            f"the model gives it no feature of the dimension '{name}'"
            for name, end in zip(self.dimensions, ends, strict=True)
            if not end
        ]
        known = {*ends[0], *ends[1]}
        strange = [name for name in self.features or () if name not in known]
        found += [f"'{name}' is no feature of its dimensions in this model" for name in strange]
        if any(f.dimension == self.id for f in features):
            found.append("it has the name of a dimension")
        return found


class Trees(Spec):
    """LightGBM settings; everything not named here is fixed by the trainer (deterministic, no resampling of classes)."""

    rounds: int = Field(default=200, ge=1, le=5000)
    leaves: int = Field(default=4, ge=2, le=256)
    depth: int = Field(default=8, ge=1, le=8)
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    min_rows_in_leaf: int = Field(default=50, ge=1)
    l2: float = Field(default=1.0, ge=0)
    feature_fraction: float = Field(default=1.0, gt=0, le=1)
    row_fraction: float = Field(default=1.0, gt=0, le=1)
    early_stopping_rounds: int | None = Field(default=None, ge=1)
    """Stop when the calibration part has not improved for so many rounds."""
    monotone: Flag = True
    confine: Flag = True
    """Confine every tree to one dimension, or to the two of a bridge, so that their contributions are exact sums."""
    bridges: tuple[Bridge, ...] = ()

    @model_validator(mode="after")
    def _named_bridges(self) -> Self:
        names = [bridge.id for bridge in self.bridges]
        if len(set(names)) != len(names):
            raise ValueError("the id of a bridge stands twice")
        if names and not self.confine:
            raise ValueError("trees that are not confined need no bridges")
        return self


class Search(Spec):
    """Ranges from which a training chooses settings of its trees, by outcomes within its training part alone.

    A setting without a range keeps its value of `trees`, which is always tried itself. Rounds are counted, not stopped early.
    """

    trials: int = Field(default=24, ge=1, le=500)
    """Settings to try; `rounds` cost nothing, since a forest holds all shorter ones. If the ranges hold more settings, some are drawn."""
    seconds: int | None = Field(default=None, ge=1)
    """No trial begins after so many seconds. Where that ends a search, its choice depends on the machine; the report says so."""
    folds: int = Field(default=3, ge=2, le=10)
    """Each learns from earlier rows and is judged by later ones, the label gap between them."""
    rounds: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()
    learning_rate: tuple[float, ...] = ()
    min_rows_in_leaf: tuple[int, ...] = ()
    l2: tuple[float, ...] = ()

    @property
    def ranges(self) -> dict[str, tuple[float, ...]]:
        """Return the declared ranges of what takes a forest of its own each, by the names of `trees`."""
        ranges = {name: getattr(self, name) for name in ("leaves", "learning_rate", "min_rows_in_leaf", "l2")}
        return {name: values for name, values in ranges.items() if values}

    @model_validator(mode="after")
    def _settings(self) -> Self:
        for name, values in (self.ranges | {"rounds": self.rounds}).items():
            if any(a >= b for a, b in pairwise(values)):
                raise ValueError(f"{name} does not rise")
            for value in values:
                Trees.model_validate({name: value})
        return self


class Gates(Spec):
    """What a model must reach on the test part before it may be given the alias `challenger`."""

    min_auc: float | None = None
    max_brier_ratio: float | None = None
    """Brier score divided by that of the constant test-period rate."""
    not_below_yardstick: Flag = True
    predicted_to_observed: tuple[float, float] | None = None
    """Lowest and highest acceptable mean prediction divided by the observed share; failed if its whole interval lies outside."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.predicted_to_observed and not 0 < self.predicted_to_observed[0] < self.predicted_to_observed[1]:
            raise ValueError("predicted_to_observed gives two numbers above 0, the lower first")
        return self


class SliceBy(Spec):
    """What divides the rows of a report: a column of the register, as known at as_of, or an attribute of the cohort."""

    column: str
    years: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """For a date column: full years since that day at as_of, divided at these numbers."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(a >= b for a, b in pairwise(self.years)):
            raise ValueError("years do not rise")
        return self


class Report(Spec):
    """What the report of a training shows beside the figures."""

    slices: tuple[SliceBy, ...] = ()
    budget: float = Field(default=0.1, gt=0, lt=1)
    """Share of rows taken as inspected where the report tells who would be selected, in vain, or missed."""


class ModelSpec(FileSpec):
    """One model."""

    model: str
    title_zh: str
    title_en: str = ""
    purpose: str
    legal_basis: str
    cohort: Annotated[GridCohort | EventCohort, Field(discriminator="kind")]
    population: Population | None = None
    """None: the members of a grid cohort, or the subjects with a visible record of an event cohort's kind."""
    label: Label
    selection: Selection | None = None
    features: tuple[str, ...] | None = None
    """Ids of the catalogue; None means all."""
    split: Split
    trees: Trees = Trees()
    search: Search | None = None
    """None: the settings of `trees` are taken as they are."""
    calibration: Literal["platt", "beta", "isotonic", "auto", "none"] = "platt"
    """`platt` is affine in the log-odds, of which points are made. `beta` and `isotonic` bend the way from there to the probability,
    so that points stay exact sums; `auto` bends only if that is better out of time, within the calibration part."""
    points: Points = Points()
    gates: Gates = Gates()
    report: Report = Report()
    yardstick_features: tuple[str, ...] | None = None
    """Features of the logistic yardstick; None: those of the model. May name features that the model does not use.
    A logistic regression on the model's own features is always trained as well."""
    history_feature: str | None = None
    """A feature that, taken alone, is a yardstick beside the logistic regression: for instance the subject's own past rate."""

    @model_validator(mode="after")
    def _drawn_events(self) -> Self:
        is_drawn = isinstance(self.cohort, EventCohort) and self.cohort.source == self.label.source
        if self.selection is not None and not is_drawn:
            raise ValueError("selection needs a cohort of events of the label's own table")
        return self

    @model_validator(mode="after")
    def _no_later_part(self) -> Self:
        if self.split.folds is not None and (self.calibration == "auto" or self.trees.early_stopping_rounds):
            raise ValueError(
                "with folds, name the calibration and leave out early_stopping_rounds: there is no later part"
            )
        return self


class Tier(Spec):
    """One risk class and the probability from which it applies."""

    tier: Literal["A", "B", "C", "D"]
    from_probability: float | None = Field(default=None, ge=0, le=1)
    from_quantile: float | None = Field(default=None, ge=0, le=1)


class TiersSpec(FileSpec):
    """Risk-class policy: cuts, monotone in probability; a tie at a cut belongs to the higher class."""

    title_zh: str
    model: str
    cuts_by: Literal["probability", "quantile"]
    """`quantile`: a class starts at that share of enterprises ordered by rising probability."""
    tiers: tuple[Tier, ...]
    hysteresis: float = Field(default=0, ge=0, lt=0.5)
    """How far beyond a cut an enterprise that had a class in the run before must be to change it, in the unit of `cuts_by`."""
    reference: str
    verified: Flag

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if [item.tier for item in self.tiers] != ["A", "B", "C", "D"]:
            raise ValueError("tiers lists A, B, C, D in this order")
        name = f"from_{self.cuts_by}"
        cuts = [getattr(item, name) for item in self.tiers]
        if any(cut is None for cut in cuts) or cuts[0] != 0 or any(a >= b for a, b in pairwise(cuts)):
            raise ValueError(f"each tier needs {name}, from 0 upwards, strictly rising")
        if any(b - a <= 2 * self.hysteresis for a, b in pairwise([*cuts, 1 + self.hysteresis])):
            raise ValueError("hysteresis reaches half way to the next cut, or beyond 1")
        return self
