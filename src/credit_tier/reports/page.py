"""Pages from one template: self-contained, bilingual, printable, no script and no address outside the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from credit_tier.files import write_text


@dataclass(frozen=True)
class Fact:
    """One figure at the head of a page."""

    value: str
    zh: str
    en: str


@dataclass(frozen=True)
class Block:
    """A chart, a table or a piece of text to copy; exactly one of them."""

    caption: str
    svg: str = ""
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] | None = None
    numeric: frozenset[int] = frozenset()
    """Columns set flush right."""
    code: str = ""
    wide: bool = False
    folded: bool = False
    """A long table shows its caption first and opens on demand."""


@dataclass(frozen=True)
class Section:
    """A part of a page: what question it answers, in both languages, and its blocks."""

    zh: str
    en: str
    blocks: Sequence[Block]
    text_zh: str = ""
    text_en: str = ""
    note_zh: str = ""
    note_en: str = ""


@dataclass(frozen=True)
class Page:
    """A report."""

    title_zh: str
    title_en: str
    verdict_zh: str
    verdict_en: str
    facts: Sequence[Fact] = field(default_factory=tuple)
    sections: Sequence[Section] = field(default_factory=tuple)


def render(page: Page) -> str:
    """Return a page as HTML; every text is escaped, only our own charts are not."""
    from dataclasses import fields

    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("credit_tier.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = {item.name: getattr(page, item.name) for item in fields(page)}
    return environment.get_template("report.html.j2").render(**values)


def write(path: Path, page: Page) -> Path:
    """Write a page, whole or not at all, and return its path."""
    write_text(path, render(page))
    return path
