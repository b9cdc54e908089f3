"""Rows with labels, and their division in time into training, calibration and test.

The parts follow each other by as_of. A row of an earlier part whose label window, with the reporting delay, reaches into the next
part is left out: a model trained on the day the next part begins could not have known its label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from credit_tier.canonical import Json, digest_of
from credit_tier.errors import Fault, LearningError
from credit_tier.specs.feature import FeatureSpec
from credit_tier.specs.model import Label, Split
from credit_tier.temporal import date_of, day_number

PARTS = {"train": "训练", "calibrate": "校准", "test": "检验"}


@dataclass(frozen=True)
class TrainingFrame:
    """Features and mature labels of some rows of the spine.

    Parameters
    ----------
    x : float32, shape (rows, features); NaN where a value is unknown, never infinite.
    y : int8, shape (rows,); 1 if the label event happened in the window, else 0.
    as_of_day : int32, shape (rows,); day numbers.
    subject : int32, shape (rows,); which rows belong to the same enterprise.
    features : specs of the columns of x, ids unique.
    weight : float64, shape (rows,), finite and above 0: how many units of the population a row stands for, up to a factor. None: all
        rows count alike.

    Raises
    ------
    LearningError (CT-LEARN-001) if shapes, types or values are not as said; all faults at once.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int8]
    as_of_day: NDArray[np.int32]
    subject: NDArray[np.int32]
    features: tuple[FeatureSpec, ...]
    weight: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        faults = [
            Fault("CT-LEARN-001", "training frame", text, "This is a defect of the caller.") for text in self._faults()
        ]
        if faults:
            raise LearningError(*faults)

    def _faults(self) -> list[str]:
        found = []
        if self.x.ndim != 2 or self.x.shape[1] != len(self.features):
            found.append(f"x has shape {self.x.shape}, expected (rows, {len(self.features)}).")
        names = ("x", "y", "as_of_day", "subject")
        for name, dtype in zip(names, (np.float32, np.int8, np.int32, np.int32), strict=True):
            values: NDArray[np.generic] = getattr(self, name)
            if values.dtype != dtype:
                found.append(f"{name} is {values.dtype}, expected {np.dtype(dtype).name}.")
            if name != "x" and values.shape != self.x.shape[:1]:
                found.append(f"{name} has shape {values.shape}, expected ({self.x.shape[0]},).")
        if not np.isin(self.y, (0, 1)).all():
            found.append("y holds other values than 0 and 1.")
        if self.weight is not None and not (
            self.weight.dtype == np.float64
            and self.weight.shape == self.x.shape[:1]
            and np.isfinite(self.weight).all()
            and (self.weight > 0).all()
        ):
            found.append("weight is not one finite number above 0 for each row, float64.")
        infinite = np.isinf(self.x).sum(axis=0) if self.x.ndim == 2 else np.zeros(0)
        found += [
            f"column '{f.id}' is infinite in {n} rows." for f, n in zip(self.features, infinite, strict=False) if n
        ]
        if len({f.id for f in self.features}) != len(self.features):
            found.append("a feature id stands twice.")
        return found

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> TrainingFrame:
        """Return the rows of a mask or of row numbers, in that order."""
        weight = None if self.weight is None else self.weight[rows]
        columns = {name: getattr(self, name)[rows] for name in ("x", "y", "as_of_day", "subject")}
        return replace(self, **columns, weight=weight)

    def select(self, features: tuple[FeatureSpec, ...]) -> TrainingFrame:
        """Return the same rows with some of the features."""
        if features == self.features:
            return self
        columns = [self.features.index(feature) for feature in features]
        return replace(self, x=np.ascontiguousarray(self.x[:, columns]), features=features)

    @property
    def positives(self) -> int:
        """Return the number of rows whose label is 1."""
        return int(self.y.sum())

    @property
    def digest(self) -> str:
        """Return the SHA-256 over columns, values, labels, dates, subjects and weights."""
        parts: list[Json] = [[f.id for f in self.features], list(self.x.shape)]
        columns: list[NDArray[Any]] = [self.x, self.y, self.as_of_day, self.subject]
        for values in columns if self.weight is None else [*columns, self.weight]:
            ordered = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
            parts.append(hashlib.sha256(ordered.tobytes()).hexdigest())
        return digest_of(parts)


@dataclass(frozen=True)
class Part:
    """One part of the split: its rows and the dates they were asked for, both inclusive."""

    name: str
    frame: TrainingFrame
    first: date
    last: date

    def describe(self) -> dict[str, Json]:
        """Return dates, rows, positives, subjects and digest, for manifests and reports."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "rows": len(self.frame),
            "positives": self.frame.positives,
            "subjects": len(np.unique(self.frame.subject)),
            "digest": self.frame.digest,
        }


@dataclass(frozen=True)
class Parts:
    """Training, calibration and test, in this order in time, `gap_days` of label window and delay between them."""

    tested_zh: ClassVar[str] = "检验期"
    tested_en: ClassVar[str] = "out-of-time"
    fold: ClassVar[None] = None
    """The rows of a part are scored by one model; compare :class:`.Folds`."""

    train: Part
    calibrate: Part
    test: Part
    gap_days: int
    left_out: int
    """Rows in a gap, or before `train_from`, or after `test_until`."""

    def __iter__(self) -> Iterator[Part]:
        return iter((self.train, self.calibrate, self.test))

    @property
    def grown(self) -> Parts:
        """Return what the model that leaves training grows on: these parts."""
        return self

    def over(self, frame: TrainingFrame) -> Parts:
        """Return the parts with the same rows of another frame over the same observations."""

        def taken(part: Part) -> Part:
            days = frame.as_of_day
            inside = (days >= day_number(part.first)) & (days <= day_number(part.last))
            return replace(part, frame=frame.take(inside))

        return replace(self, train=taken(self.train), calibrate=taken(self.calibrate), test=taken(self.test))

    def describe(self) -> dict[str, Json]:
        """Return the description of every part, the gap and the rows left out."""
        parts: dict[str, Json] = {part.name: part.describe() for part in (self.train, self.calibrate, self.test)}
        return parts | {"gap_days": self.gap_days, "left_out": self.left_out}


def gap_of(label: Label) -> int:
    """Return the days between an as_of and the first day on which its label is known: window and reporting delay.

    >>> gap_of(Label(title_zh="x", source="t", positive=(), window_days=180, delay_days=60))
    240
    """
    return label.window_days + label.delay_days


def split(frame: TrainingFrame, plan: Split, label: Label) -> Parts:
    """Divide a frame by as_of into training, calibration and test.

    Parameters
    ----------
    frame : mature, labelled rows.
    plan : absolute dates (`calibrate_from`, `test_from`), or days counted back from the last as_of of the frame
        (`test_days` end on it, `calibrate_days` end where the test begins). `train_from` and `test_until` are inclusive bounds.
    label : gives the gap; a row of an earlier part stays only if its label is known before the next part begins,
        as_of + window_days + delay_days <= first day of the next part.

    Raises
    ------
    LearningError : CT-LEARN-002 a part is empty, CT-LEARN-003 a part has only one outcome; both name dates and counts.

    Source: DESIGN section 5, Model; `peers.md` section 3, item 13.
    """
    gap = gap_of(label)
    if len(frame) == 0:
        raise LearningError.of(
            "CT-LEARN-002",
            where="split",
            what="没有成熟标签的样本 · there is no row with a mature label.",
            advice="Extend the as_of grid to earlier dates, or wait until label windows have ended.",
        )
    first, last = int(frame.as_of_day.min()), int(frame.as_of_day.max())
    if plan.test_from is not None and plan.calibrate_from is not None:
        test_from, calibrate_from = day_number(plan.test_from), day_number(plan.calibrate_from)
    else:
        test_from = last + 1 - (plan.test_days or 0)
        calibrate_from = test_from - (plan.calibrate_days or 0)
    bounds = {
        "train": (
            day_number(plan.train_from) if plan.train_from else min(first, calibrate_from - gap),
            calibrate_from - gap,
        ),
        "calibrate": (calibrate_from, test_from - gap),
        "test": (test_from, day_number(plan.test_until) if plan.test_until else max(last, test_from)),
    }
    parts = {
        name: Part(
            name,
            frame.take((frame.as_of_day >= low) & (frame.as_of_day <= high)),
            date_of(low),
            date_of(max(low, high)),
        )
        for name, (low, high) in bounds.items()
    }
    faults = [fault for name, part in parts.items() if (fault := _fault(part, bounds[name], gap, (first, last)))]
    if faults:
        raise LearningError(*faults)
    left_out = len(frame) - sum(len(part.frame) for part in parts.values())
    return Parts(**parts, gap_days=gap, left_out=left_out)


def _fault(part: Part, bound: tuple[int, int], gap: int, whole: tuple[int, int]) -> Fault | None:
    low, high = bound
    rows, positives = len(part.frame), part.frame.positives
    title = f"{PARTS[part.name]}部分 · the {part.name} part"
    have = f"The frame holds as_of {date_of(whole[0])} to {date_of(whole[1])}; {gap} days before the next part are left out."
    if high < low:
        what = f"{title} has no day left: it begins {date_of(low)} and its last as_of with a label known in time is {date_of(high)}."
        return Fault("CT-LEARN-002", "split", what, f"Give it more days than the gap, or move the dates. {have}")
    if rows == 0:
        what = f"{title}, as_of {date_of(low)} to {date_of(high)}, has no row."
        return Fault("CT-LEARN-002", "split", what, f"Move the dates of the split. {have}")
    if positives in {0, rows}:
        what = f"{title}, as_of {date_of(low)} to {date_of(high)}, has {rows} rows, {positives} of them positive: both outcomes are needed."
        return Fault("CT-LEARN-003", "split", what, f"Move the dates of the split or widen the label. {have}")
    return None
