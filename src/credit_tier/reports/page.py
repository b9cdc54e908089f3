"""Pages from templates: self-contained, bilingual, printable, no address outside the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from credit_tier.files import write_text


def render(template: str, values: Mapping[str, Any]) -> str:
    """Return a page as HTML text; every value is escaped unless a chart made it.

    Raises
    ------
    jinja2.UndefinedError if the template asks for a value that was not given.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("credit_tier.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


def write(path: Path, template: str, values: Mapping[str, Any]) -> Path:
    """Write a page, whole or not at all, and return its path."""
    write_text(path, render(template, values))
    return path
