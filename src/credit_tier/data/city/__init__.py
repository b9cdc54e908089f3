"""The synthetic city: a plausible Suzhou to try the whole system on, with the truth kept beside what departments deliver.

`OUT/records/` holds what departments deliver, named as in `data_schemas`; `OUT/truth/` holds what nobody in a real city ever sees,
so that estimators, models and rules can be judged. No pipeline reads the truth.
Nobody and nothing in it is real: the credit codes lie in a division that does not exist, and there are no names.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from credit_tier.canonical import combined_digest, file_digest
from credit_tier.content import Content
from credit_tier.data.city import (
    agenda,
    changes,
    grades,
    inspectors,
    insurance,
    links,
    lists,
    loans,
    merits,
    permits,
    regulators,
    repairs,
    safety,
    tables,
)
from credit_tier.data.city.columns import Period
from credit_tier.data.city.dirt import MOST_DIRT, Dirt
from credit_tier.data.city.exports import ENCODING, export_text
from credit_tier.data.city.filings import draw_filings
from credit_tier.data.city.hidden import truth_tables
from credit_tier.data.city.population import draw_population
from credit_tier.data.city.registers import judgments, listings, tax_arrears
from credit_tier.data.city.supervision import domains_of
from credit_tier.data.city.world import simulate
from credit_tier.data.ingest import load_specs
from credit_tier.errors import Fault, UsageError
from credit_tier.files import sync_folder
from credit_tier.temporal import add_months, day_number

if TYPE_CHECKING:
    import polars as pl

Format = Literal["parquet", "csv"]
Style = Literal["contracts", "exports"]

OFFICE = "苏州市公共信用信息中心(合成数据)"
"""Who sends the exports."""

BURN_IN_MONTHS = 12
"""Months simulated before the first delivered day, so that the regulator starts with a memory."""

MOST_ENTERPRISES = 10_000_000


@dataclass(frozen=True)
class CitySummary:
    """What was written.

    Attributes
    ----------
    enterprises : enterprises in the register.
    rows : rows by delivered table; versions of a record count each.
    true_rate : share of living enterprises in violation, mean over the months.
    found_rate : share of delivered inspections that found a problem; higher, because visits are not made at random.
    planted : lines of `truth/dirty.parquet`; 0 unless dirt was asked for.
    digest : SHA-256 over all files.
    """

    enterprises: int
    seed: int
    first: str
    cutoff: str
    format: Format
    style: Style
    rows: dict[str, int]
    true_rate: float
    found_rate: float
    planted: int
    digest: str

    def to_json(self) -> dict[str, object]:
        """Return the summary as a JSON object."""
        return asdict(self)


def generate(
    out: Path,
    *,
    enterprises: int,
    seed: int,
    first: date = date(2021, 1, 1),
    cutoff: date = date(2026, 1, 1),
    format: Format | None = None,  # noqa: A002
    style: Style = "contracts",
    dirty: float = 0.0,
) -> CitySummary:
    """Write a synthetic city into a new folder and return its summary.

    Parameters
    ----------
    out : folder that does not exist yet, or is empty; it appears whole or not at all.
    enterprises : how many exist at some time in the period, 50 to ten million.
    seed : non-negative; the same seed and size give the same bytes (with the same NumPy and Polars on the same kind of machine).
    first, cutoff : first days of months; records of events from `first` that this authority received before `cutoff`.
    format : of the delivered records, if not given Parquet, or CSV for exports; the truth is always Parquet.
    style : `contracts` names columns as `data_schemas` do; `exports` writes what departments export, see :mod:`.exports`.
    dirty : share of the rows that are spoiled, 0 to 0.5; all values are then text, and `truth/dirty.parquet` lists what was planted.

    Raises
    ------
    UsageError : CT-CITY-002 arguments that make no sense, 003 the folder holds something already.
    """
    _check(out, enterprises=enterprises, seed=seed, first=first, cutoff=cutoff, dirty=dirty)
    if style == "exports" and format == "parquet":
        raise UsageError.of(
            "CT-CITY-002", where="format", what="departments export CSV, not Parquet.", advice="Leave the format out."
        )
    opening = add_months(first, -BURN_IN_MONTHS)
    months = (cutoff.year - opening.year) * 12 + cutoff.month - opening.month
    starts = np.array([day_number(add_months(opening, month)) for month in range(months + 1)])
    period = Period(day_number(first), day_number(cutoff))

    people = draw_population(enterprises, seed=seed, first_day=int(starts[0]), last_day=int(starts[-1]))
    filings = draw_filings(people, seed=seed, years=range(opening.year - 2, cutoff.year))
    ledger = simulate(people, filings, seed=seed, starts=starts, burn_in=BURN_IN_MONTHS)
    listed = listings(people, filings, ledger.visits, seed=seed)
    cases = judgments(people, seed=seed, first_day=period.first, last_day=period.cutoff)
    arrears = tax_arrears(people, seed=seed, first_day=period.first - 92, last_day=period.cutoff)
    complained, decided = ledger.complaints, ledger.penalties
    serious = lists.draw_serious_listings(people, decided, period, seed=seed)
    granted = permits.draw_licences(people, decided, period, seed=seed)
    changed = changes.draw_changes(people, period, seed=seed)
    staff = inspectors.draw_inspectors(enterprises, period, seed=seed)
    domain = domains_of(people, complained.subject, complained.department)

    makers: dict[str, Callable[[], pl.DataFrame]] = {
        "enterprises": lambda: tables.enterprises(people, changed, period, seed=seed),
        "annual_reports": lambda: tables.annual_reports(people, filings, period),
        "inspections": lambda: inspections,
        "complaints": lambda: tables.complaints(people, complained, domain, period, seed=seed),
        "penalties": lambda: tables.penalties(people, decided, period),
        "abnormal_listings": lambda: tables.abnormal_listings(people, listed, period),
        "judgments": lambda: tables.judgments(people, cases, period),
        "tax_arrears": lambda: tables.tax_arrears(people, arrears, period),
        "serious_listings": lambda: lists.serious_listings(people, serious, period),
        "repair_applications": lambda: repairs.repair_applications(people, decided, listed, serious, period, seed=seed),
        "licences": lambda: permits.licences(people, granted, period),
        "commitments": lambda: permits.commitments(people, granted, decided, period, seed=seed),
        "tax_grades": lambda: grades.tax_grades(people, period, seed=seed),
        "public_credit_grades": lambda: grades.public_credit_grades(people, decided, listed, period, seed=seed),
        "social_insurance": lambda: insurance.social_insurance(people, period, seed=seed),
        "relations": lambda: links.relations(people, period, seed=seed),
        "enterprise_changes": lambda: changes.enterprise_changes(people, changed, period),
        "safety_incidents": lambda: safety.safety_incidents(people, period, seed=seed),
        "environment_grades": lambda: regulators.environment_grades(people, period, seed=seed),
        "sector_grades": lambda: regulators.sector_grades(people, period, seed=seed),
        "honours": lambda: merits.honours(people, period, seed=seed),
        "intellectual_property": lambda: merits.intellectual_property(people, period, seed=seed),
        "loans": lambda: loans.loans(people, period, seed=seed),
        "inspectors": lambda: inspectors.inspectors(staff, period, seed=seed),
        "recusals": lambda: inspectors.recusals(people, staff, period, seed=seed),
        "inspection_items": lambda: agenda.inspection_items(period),
        "calendar": lambda: agenda.calendar(period),
    }
    inspections, behind = tables.inspections(people, ledger.visits, period, seed=seed)
    specs = load_specs(Content.resolve()) if dirty or style == "exports" else {}
    dirt = Dirt(specs, share=dirty, enterprises=enterprises, seed=seed) if dirty else None
    written = format or ("csv" if style == "exports" else "parquet")

    folder = out.parent / f".tmp-{out.name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    rows = {}
    try:
        for name, make in makers.items():
            frame = make() if dirt is None else dirt.soil(name, make())
            rows[name] = frame.height
            path = folder / "records" / f"{name}.{written}"
            if style == "exports":
                _put(path, export_text(frame, specs[name], office=OFFICE).encode(ENCODING))
            else:
                _write(frame, path)
        hidden = {"inspections": behind, **truth_tables(people, ledger, opening=opening, burn_in=BURN_IN_MONTHS)}
        if dirt is not None:
            hidden["dirty"] = dirt.planted()
        for name, frame in hidden.items():
            _write(frame, folder / "truth" / f"{name}.parquet")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digest = combined_digest((path.relative_to(folder).as_posix(), file_digest(path)) for path in files)
        folder.replace(out)
        sync_folder(out.parent)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    lived = slice(BURN_IN_MONTHS, None)
    found = inspections["problem_found"]
    return CitySummary(
        enterprises=enterprises,
        seed=seed,
        first=first.isoformat(),
        cutoff=cutoff.isoformat(),
        format=written,
        style=style,
        rows=rows,
        true_rate=float(np.mean(ledger.in_violation[lived] / np.maximum(1, ledger.alive[lived]))),
        found_rate=float(found.sum()) / max(1, found.len()),
        planted=0 if dirt is None else dirt.planted().height,
        digest=digest,
    )


def _check(out: Path, *, enterprises: int, seed: int, first: date, cutoff: date, dirty: float) -> None:
    faults = []
    if not 50 <= enterprises <= MOST_ENTERPRISES:
        faults.append(
            Fault(
                "CT-CITY-002", "enterprises", "a city has 50 to ten million enterprises.", "Choose a number in between."
            )
        )
    if seed < 0:
        faults.append(Fault("CT-CITY-002", "seed", "the seed is negative.", "Choose 0 or more."))
    if not 0 <= dirty <= MOST_DIRT:
        faults.append(Fault("CT-CITY-002", "dirty", "the share of spoiled rows is 0 to 0.5.", "For example 0.02."))
    if first.day != 1 or cutoff.day != 1:
        faults.append(
            Fault("CT-CITY-002", "first, cutoff", "these are not first days of months.", "For example 2021-01-01.")
        )
    if cutoff <= first or first.year < 2016:
        faults.append(
            Fault("CT-CITY-002", "first, cutoff", "the period is empty or begins before 2016.", "Give a later cut-off.")
        )
    if faults:
        raise UsageError(*faults)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError.of(
            "CT-CITY-003",
            where=str(out),
            what="there is something already.",
            advice="Give a folder that does not exist.",
        )


def _write(frame: pl.DataFrame, path: Path) -> None:
    buffer = io.BytesIO()
    if path.suffix == ".csv":
        frame.write_csv(buffer)
    else:
        frame.write_parquet(buffer, compression="zstd", statistics=True)
    _put(path, buffer.getbuffer())


def _put(path: Path, content: bytes | memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
