"""A scorecard (评分卡) of weights of evidence: how it scores, and the plain JSON in which it leaves the house.

log-odds = intercept + sum of coefficient * weight of evidence, on the scale of the calibrated probability; points = base points + the
points of one bin of each feature. Reading and applying the JSON needs numpy alone, whoever found the bins. How a card is fitted stands in
:mod:`credit_tier.learning.woe_fit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from credit_tier.canonical import sha256_hex
from credit_tier.errors import LearningError
from credit_tier.learning.scorecard import Scaling
from credit_tier.learning.woe import Bins

FILE = "woe_scorecard.json"
FORMAT = "credit_tier/woe_scorecard/1"
TOLERANCE = 1e-9
"""How far a derived number of a file may lie from the same number computed here: logarithms differ in the last bits by machine."""

LeftOut = Literal["", "weak", "sign"]


@dataclass(frozen=True)
class Line:
    """One feature of a card.

    Attributes
    ----------
    feature, title_zh : its id and name. direction : as declared, 1 if more is riskier, -1 if safer, 0 if either.
    coefficient : of the weight of evidence; above 0, or 0 for a feature that is left out.
    left_out : `weak` if the bins tell no more than chance would, `sign` if the coefficient beside the others was not above 0.
    """

    feature: str
    title_zh: str
    direction: int
    bins: Bins
    coefficient: float
    left_out: LeftOut


@dataclass(frozen=True)
class WoeCard:
    """A scorecard.

    Attributes
    ----------
    model : id of the declaration whose outcome it predicts.
    provenance : who found the bins: `built-in`, or `optbinning` and its version.
    lines : all features that were offered, in their order; those left out too.
    intercept : of the log-odds, calibrated as the coefficients are.
    """

    model: str
    provenance: str
    lines: tuple[Line, ...]
    intercept: float
    scaling: Scaling

    @property
    def used(self) -> tuple[Line, ...]:
        """Return the features that the score is made of."""
        return tuple(line for line in self.lines if not line.left_out)

    @property
    def base_points(self) -> float:
        """Return the points of a row whose features all stand for the average risk."""
        return float(self.scaling.to_points(self.intercept))

    def points_of(self, line: Line) -> NDArray[np.float64]:
        """Return the points of each bin of a feature, the last one for missing values; below 0 is riskier than average."""
        return 0.0 - self.scaling.factor * line.coefficient * line.bins.woe

    def points(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the points of rows, neither rounded nor clipped, shape (n,).

        Parameters
        ----------
        x : shape (n, features), in the order of :attr:`lines`; NaN where unknown.

        Raises
        ------
        LearningError (CT-LEARN-014) if the columns are not as many as the card's features.
        """
        return np.asarray(self.scaling.to_points(self.log_odds(x)))

    def probability(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the calibrated probabilities of rows, shape (n,); parameters and errors as :meth:`points`."""
        return np.asarray(1 / (1 + np.exp(-self.log_odds(x))))

    def log_odds(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds of rows, shape (n,); parameters and errors as :meth:`points`."""
        if x.ndim != 2 or x.shape[1] != len(self.lines):
            raise LearningError.of(
                "CT-LEARN-014",
                where="woe scorecard",
                what=f"the rows have shape {x.shape}; the card takes (rows, {len(self.lines)}).",
            )
        found = np.full(len(x), self.intercept)
        for column, line in enumerate(self.lines):
            if not line.left_out:
                found += line.coefficient * line.bins.values(x[:, column].astype(np.float64))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON values: what it was made from, what follows from that, and a digest over both."""
        facts = {
            "format": FORMAT,
            "model": self.model,
            "provenance": self.provenance,
            "intercept": self.intercept,
            "scaling": asdict(self.scaling),
            "base_points": self.base_points,
            "features": [self._line(line) for line in self.lines],
        }
        return facts | {"digest": _digest(facts)}

    def to_bytes(self) -> bytes:
        """Return the card's file."""
        return _text(self.to_dict())

    @classmethod
    def from_bytes(cls, data: bytes) -> WoeCard:
        """Return the card of a file.

        Raises
        ------
        LearningError (CT-LEARN-039) if the file is damaged: no JSON, not in form, another digest, or numbers that contradict each other.
        """
        try:
            facts = json.loads(data)
            card = cls._of(facts)
            sound = facts["digest"] == _digest(facts) and _alike(card.to_dict() | {"digest": facts["digest"]}, facts)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            raise _damaged() from error
        if not sound:
            raise _damaged()
        return card

    def _line(self, line: Line) -> dict[str, Any]:
        bins = line.bins
        by_bin = {
            "rows": list(bins.rows),
            "events": list(bins.events),
            "woe": bins.woe.tolist(),
            "points": self.points_of(line).tolist(),
        }
        return {
            "feature": line.feature,
            "title_zh": line.title_zh,
            "direction": line.direction,
            "trend": bins.trend,
            "iv": bins.iv,
            "coefficient": line.coefficient,
            "left_out": line.left_out,
            "edges": list(bins.edges),
            **{name: values[:-1] for name, values in by_bin.items()},
            "missing": {name: values[-1] for name, values in by_bin.items()},
        }

    @classmethod
    def _of(cls, facts: Mapping[str, Any]) -> WoeCard:
        if facts["format"] != FORMAT:
            raise ValueError("another format")
        lines = tuple(_line_of(item) for item in facts["features"])
        return cls(facts["model"], facts["provenance"], lines, facts["intercept"], Scaling(**facts["scaling"]))


def _line_of(facts: Mapping[str, Any]) -> Line:
    rows, events = ((*facts[name], facts["missing"][name]) for name in ("rows", "events"))
    bins = Bins(tuple(facts["edges"]), rows, events)
    rises = all(a < b for a, b in zip(bins.edges, bins.edges[1:], strict=False))
    if not rises or len(rows) != len(bins.edges) + 2 or not all(0 <= e <= r for e, r in zip(events, rows, strict=True)):
        raise ValueError("no bins")
    if facts["coefficient"] < 0 or (facts["coefficient"] == 0) != (facts["left_out"] in {"weak", "sign"}):
        raise ValueError("no coefficient")
    return Line(facts["feature"], facts["title_zh"], facts["direction"], bins, facts["coefficient"], facts["left_out"])


def _alike(a: object, b: object) -> bool:
    """Return whether two JSON values are the same but for the last bits of their floats."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_alike(*pair) for pair in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= TOLERANCE * max(1.0, abs(a))
    return a == b


def _text(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _digest(facts: Mapping[str, Any]) -> str:
    return sha256_hex(_text({key: value for key, value in facts.items() if key != "digest"}))


def _damaged() -> LearningError:
    return LearningError.of(
        "CT-LEARN-039",
        where=FILE,
        what="评分卡文件已损坏 · the scorecard's file is damaged: it is not in form, or its numbers do not fit together.",
        advice="Take it again from the run in MLflow, or from beside the report of the training.",
    )
