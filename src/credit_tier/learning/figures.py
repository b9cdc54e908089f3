"""Figures of an evaluation as PNG bytes: calibration, gains and ROC, score distribution. English labels: no font is shipped."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from credit_tier.learning.evaluate import Evaluation
from credit_tier.learning.yardstick import Yardstick

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, GREY, RED = "#1f5fa8", "#8a8a8a", "#b3372f"


def draw(
    evaluation: Evaluation, yardsticks: Sequence[Yardstick] = (), *, rows: str = "out-of-time"
) -> dict[str, bytes]:
    """Return the figures by file name; equal figures for equal numbers.

    The yardsticks' curves are drawn beside the model's; `rows` says in the titles how the rows were kept from the model.
    """

    def roc(axes: Axes) -> None:
        for stick in yardsticks:
            curve = stick.evaluation.curves
            label = f"{stick.name}, AUC {stick.evaluation.auc:.3f}"
            axes.plot(curve.false_positive, curve.true_positive, color=GREY, lw=1, label=label)
        interval = evaluation.auc_interval
        label = f"model, AUC {evaluation.auc:.3f} ({interval.low:.3f}-{interval.high:.3f})"
        axes.plot(evaluation.curves.false_positive, evaluation.curves.true_positive, color=BLUE, lw=2, label=label)
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":")
        axes.set(
            xlabel="share of negatives above the cut", ylabel="share of positives above the cut", title=f"ROC, {rows}"
        )
        axes.legend(loc="lower right")

    def gains(axes: Axes) -> None:
        axes.plot(evaluation.curves.inspected, evaluation.curves.found, color=BLUE, lw=2, label="by the model")
        axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=":", label="at random")
        axes.set(
            xlabel="share inspected, highest risk first", ylabel="share of positives found", title=f"Gains, {rows}"
        )
        axes.legend(loc="lower right")

    def calibration(axes: Axes) -> None:
        bins = evaluation.calibration
        observed = [item.observed for item in bins]
        below = [item.observed - item.low for item in bins]
        above = [item.high - item.observed for item in bins]
        # An observed share of 0 or 1 lies just outside its own Jeffreys interval.
        error = [[max(0.0, v) for v in side] for side in (below, above)]
        axes.errorbar([item.predicted for item in bins], observed, yerr=error, fmt="o-", color=BLUE, capsize=3)
        top = max(*observed, *(item.predicted for item in bins), *(item.high for item in bins))
        axes.plot([0, top], [0, top], color=GREY, lw=0.8, ls=":")
        title = f"Calibration, {rows}: predicted/observed {evaluation.predicted_to_observed:.2f}"
        axes.set(xlabel="mean predicted probability", ylabel="observed share (95 % interval)", title=title)

    def distribution(axes: Axes) -> None:
        curves = evaluation.curves
        axes.stairs(curves.density_negative, curves.edges, color=BLUE, label="negative")
        axes.stairs(curves.density_positive, curves.edges, color=RED, label="positive")
        axes.set(xlabel="predicted probability", ylabel="share of rows", title=f"Score distribution, {rows}")
        axes.legend()

    figures = {"calibration.png": calibration, "gains.png": gains, "roc.png": roc, "scores.png": distribution}
    return {name: _png(paint) for name, paint in figures.items()}


def _png(paint: Callable[[Axes], None]) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    paint(axes)
    axes.grid(visible=True, lw=0.3)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
