"""What all commands share: output for people and machines, progress, exit codes.

Without ``--json`` the result goes to standard output for people.
With ``--json`` standard output carries one JSON object and nothing else; progress and remarks go to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from credit_tier.errors import CreditTierError

JsonFlag = Annotated[bool, typer.Option("--json", help="一个 JSON 对象 · one JSON object on standard output")]
ContentOption = Annotated[
    list[Path] | None,
    typer.Option("--content", help="内容目录(可重复) · content folder laid over the shipped rooms, repeatable"),
]
AsOfOption = Annotated[
    str, typer.Option("--as-of", help="截止时点 YYYY-MM-DD,只用此前可知的记录 · only what was known before")
]


def emit(result: Mapping[str, Any], *, as_json: bool, lines: Sequence[str] = ()) -> None:
    """Write a command's result: one JSON object, or the lines meant for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, ensure_ascii=False, sort_keys=True, default=str) + "\n")
    else:
        for line in lines:
            sys.stdout.write(line + "\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def table(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a plain table as lines; East-Asian characters count two columns.

    >>> table("层 strata", ["A", "级"], [["1", "甲乙"]])
    ['层 strata', 'A  级  ', '1  甲乙']
    """
    from rich.cells import cell_len

    grid = [list(headers), *[list(row) for row in rows]]
    widths = [max(cell_len(row[i]) for row in grid) for i in range(len(headers))]
    return [
        title,
        *[
            "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
            for row in grid
        ],
    ]


class Steps:
    """Timed steps of a long command: a spinner on a terminal, plain lines otherwise."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one named step and tell the person about it."""
        started = time.perf_counter()
        if self.quiet:
            yield
        elif sys.stderr.isatty():
            from rich.console import Console

            with Console(stderr=True).status(name):
                yield
        else:
            remark(f"… {name}")
            yield
        self.seconds[name] = time.perf_counter() - started
        if not self.quiet:
            remark(f"✓ {name} {self.seconds[name]:.1f} s")


def fail(error: CreditTierError, *, as_json: bool) -> NoReturn:
    """Report an error the way the person asked for and end with its exit code."""
    if as_json:
        faults = [{"code": f.code, "where": f.where, "what": f.what, "advice": f.advice} for f in error.faults]
        sys.stdout.write(json.dumps({"error": faults}, ensure_ascii=False) + "\n")
    for fault in error.faults:
        remark(str(fault))
    raise SystemExit(error.exit_code)


def debug() -> bool:
    """Return whether tracebacks are wanted (`CREDIT_TIER_DEBUG=1`)."""
    return os.environ.get("CREDIT_TIER_DEBUG") == "1"
