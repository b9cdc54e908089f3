"""Charts as inline SVG, drawn by us: no script, no font, no address outside the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM = 460, 220, 46, 28


def _frame(body: str, title: str, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def bars(labels: Sequence[str], values: Sequence[float], *, title: str, shown: Sequence[str] | None = None) -> str:
    """Return vertical bars; `shown` are the texts above them.

    >>> bars(["A", "B"], [3, 1], title="t").count("<rect")
    2
    """
    top = max([*values, 0]) or 1.0
    step = (WIDTH - LEFT) / max(len(values), 1)
    body = []
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        height = (HEIGHT - BOTTOM - 24) * value / top
        x = LEFT + i * step + step * 0.15
        y = HEIGHT - BOTTOM - height
        body.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.7:.1f}" height="{height:.1f}" class="bar"/>')
        body.append(_text(x + step * 0.35, HEIGHT - 10, label))
        body.append(_text(x + step * 0.35, y - 5, shown[i] if shown else f"{value:g}"))
    return _frame("".join(body), title)


def horizontal(labels: Sequence[str], values: Sequence[float], *, title: str) -> str:
    """Return horizontal bars around zero, for contributions that may raise or lower a score."""
    reach = max([abs(v) for v in values] or [1.0]) or 1.0
    height = 28 * len(values) + 10
    text_end, middle, scale = 118.0, 320.0, 130.0 / reach
    body = [f'<line x1="{middle}" x2="{middle}" y1="0" y2="{height}" class="axis"/>']
    for i, (label, value) in enumerate(zip(labels, values, strict=True)):
        y = 8 + 28 * i
        x = middle if value >= 0 else middle + value * scale
        body.append(
            f'<rect x="{x:.1f}" y="{y}" width="{abs(value) * scale:.1f}" height="16" class="{"up" if value >= 0 else "down"}"/>'
        )
        body.append(_text(text_end, y + 13, label, anchor="end"))
        anchor, at = ("start", middle + value * scale + 5) if value >= 0 else ("end", x - 5)
        body.append(_text(at, y + 13, f"{round(value, 1) + 0.0:+.1f}", anchor=anchor))
    return _frame("".join(body), title, width=510, height=height)


def curve(
    points: Sequence[tuple[float, float]], *, title: str, x_label: str, y_label: str, diagonal: bool = True
) -> str:
    """Return a line through points, both axes scaled to the largest value seen; optionally with the line of equality."""
    x_top = max([x for x, _ in points] or [1.0]) or 1.0
    y_top = max([y for _, y in points] or [1.0]) or 1.0
    if diagonal:
        x_top = y_top = max(x_top, y_top)

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - 16) * x / x_top, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 16) * y / y_top

    path = " ".join(
        f"{'M' if i == 0 else 'L'}{a:.1f},{b:.1f}" for i, (a, b) in enumerate(place(x, y) for x, y in points)
    )
    body = [f'<path d="{path}" class="line"/>']
    body += [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" class="dot"/>'
        for a, b in (place(x, y) for x, y in points)
        if len(points) <= 30
    ]
    (x0, y0), (x1, y1) = place(0, 0), place(x_top, y_top)
    body.append(f'<path d="M{x0:.1f},{y1:.1f} L{x0:.1f},{y0:.1f} L{x1:.1f},{y0:.1f}" class="axis"/>')
    if diagonal:
        body.append(f'<path d="M{x0:.1f},{y0:.1f} L{x1:.1f},{y1:.1f}" class="equal"/>')
    body.append(_text((x0 + x1) / 2, HEIGHT - 8, x_label))
    body.append(_text(x0 - 6, y1 + 8, f"{y_top:.2g}", anchor="end"))
    body.append(_text(x1, y0 + 14, f"{x_top:.2g}", anchor="end"))
    body.append(_text(x0 + 6, 12, y_label, anchor="start"))
    return _frame("".join(body), title)


@dataclass(frozen=True)
class Line:
    """A line through points; `style` is a class of the page: `line`, `thin`, `second`. Its label stands in the legend."""

    label: str
    points: Sequence[tuple[float, float]]
    style: str = "line"


@dataclass(frozen=True)
class Whisker:
    """A value with its interval, above x."""

    x: float
    value: float
    low: float
    high: float


def lines(
    series: Sequence[Line],
    *,
    title: str,
    x_label: str,
    y_label: str,
    whiskers: Sequence[Whisker] = (),
    diagonal: bool = False,
    ticks: Sequence[str] = (),
    legend_above: bool = False,
) -> str:
    """Return lines and values with intervals; axes begin at zero and end at the largest number seen.

    Parameters
    ----------
    diagonal : draw the line of equality; both axes then end at the same number.
    ticks : names for x = 1, 2, 3 ... in place of numbers.
    legend_above : put the legend at the top, for lines that fall.

    >>> lines([Line("a", [(0, 0), (1, 1)])], title="t", x_label="x", y_label="y", diagonal=True).count("<path")
    4
    """
    x_top = max([x for line in series for x, _ in line.points] + [w.x for w in whiskers], default=1.0) or 1.0
    y_top = max([y for line in series for _, y in line.points] + [w.high for w in whiskers], default=1.0) or 1.0
    if diagonal:
        x_top = y_top = max(x_top, y_top)
    if ticks:
        x_top = len(ticks) + 0.5
    left, right, floor, ceiling = LEFT, WIDTH - 16, HEIGHT - BOTTOM, 20

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * x / x_top, floor - (floor - ceiling) * y / y_top

    body = [f'<path d="M{left},{ceiling} L{left},{floor} L{right},{floor}" class="axis"/>']
    if diagonal:
        body.append(f'<path d="M{left},{floor} L{right},{ceiling}" class="equal"/>')
    for line in series:
        path = " L".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        body.append(f'<path d="M{path}" class="{line.style}"/>')
    for item in whiskers:
        x, y = place(item.x, item.value)
        low, high = place(item.x, item.low)[1], place(item.x, item.high)[1]
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}" class="axis"/>')
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot"/>')
    every = -(-len(ticks) // 8)
    body += [_text(place(i + 1, 0)[0], floor + 14, name) for i, name in enumerate(ticks) if i % max(every, 1) == 0]
    if not ticks:
        body += [_text(right, floor + 14, f"{x_top:.2g}", anchor="end"), _text((left + right) / 2, HEIGHT - 8, x_label)]
    body += [_text(left - 6, ceiling + 4, f"{y_top:.2g}", anchor="end"), _text(left + 6, 12, y_label, anchor="start")]
    named = [line for line in series if line.label]
    for i, line in enumerate(named):
        y = ceiling + 12 + 15 * i if legend_above else floor - 12 - 15 * (len(named) - 1 - i)
        body.append(f'<path d="M{right - 150},{y - 4} L{right - 132},{y - 4}" class="{line.style}"/>')
        body.append(_text(right - 126, y, line.label, anchor="start"))
    return _frame("".join(body), title)


def steps(edges: Sequence[float], heights: Sequence[float]) -> list[tuple[float, float]]:
    """Return the outline of a histogram as points.

    >>> steps([0, 1, 2], [3, 1])
    [(0, 0.0), (0, 3), (1, 3), (1, 1), (2, 1), (2, 0.0)]
    """
    inner = [point for a, b, h in zip(edges[:-1], edges[1:], heights, strict=True) for point in ((a, h), (b, h))]
    return [(edges[0], 0.0), *inner, (edges[-1], 0.0)]
