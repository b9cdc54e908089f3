"""Charts as inline SVG, drawn by us: no script, no font, no address outside the page."""

from __future__ import annotations

from collections.abc import Sequence
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
