"""The scheduler's door: plan a round, commit to it, draw once, verify, hand out proofs, and assign teams.

>>> from credit_tier import draws
>>> spec = draws.load_spec()
>>> units = [{"code": f"E{i:03d}", "risk_class": "AAAB"[i % 4], "district": "320506"} for i in range(200)]
>>> round_plan = draws.plan(units, spec)
>>> str(round_plan.expected_visits)
'11/2'
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from credit_tier.content import Content, parse
from credit_tier.errors import RefusedError, UsageError
from credit_tier.sampling import folder as state
from credit_tier.sampling import verify as verifier
from credit_tier.sampling.frame import build_frame
from credit_tier.sampling.record import Commitment, Document, expected_visits, listed_entries, plan_document
from credit_tier.sampling.strata import Planned, StratumPlan, stratum_plans
from credit_tier.specs.plan import PlanSpec
from credit_tier.specs.teams import TeamsSpec

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd
    from narwhals.typing import IntoDataFrame

    from credit_tier.sampling.roster import Roster

    Units = IntoDataFrame | Sequence[Mapping[str, object]]

SHIPPED_PLAN = "inspection_round.yaml"
SHIPPED_TEAMS = "inspection_teams.yaml"


@dataclass(frozen=True)
class Plan:
    """A round before its commitment: the frame, the rules and what they lead to, without any seed.

    Attributes
    ----------
    planned : frame, rules and strata.
    """

    planned: Planned

    @property
    def draw_id(self) -> str:
        """Return plan/period."""
        return self.planned.spec.draw_id

    @property
    def units(self) -> int:
        """Return the number of enterprises in the frame."""
        return len(self.planned.frame)

    @property
    def expected_visits(self) -> Fraction:
        """Return the expected visits over all departments, before coinciding picks are merged."""
        return expected_visits(self.planned.layouts)

    @property
    def factors(self) -> dict[str, Fraction]:
        """Return by which factor each department's budget stretched or shrank its rates."""
        return {item.department.department: item.factor for item in self.planned.layouts}

    @property
    def excluded(self) -> dict[str, dict[str, int]]:
        """Return department -> exclusion -> enterprises left out."""
        return {item.department.department: dict(item.excluded) for item in self.planned.layouts}

    @property
    def strata(self) -> tuple[StratumPlan, ...]:
        """Return all strata in the order in which they are worked."""
        return stratum_plans(self.planned.layouts)

    def design_gap(self) -> float:
        """Return the largest relative gap between a designed and the true chance over strata of up to 60 units; 0 without sizes."""
        gaps = [stratum.design_gap() for layout in self.planned.layouts for stratum in layout.strata]
        return max((gap for gap in gaps if gap is not None), default=0.0)

    def report(self) -> dict[str, object]:
        """Return expected visits, chances, coinciding visits and prices; see :func:`credit_tier.sampling.price.report`."""
        from credit_tier.sampling.price import report

        return report(self.planned)

    def save(self, folder: Path | str) -> None:
        """Write `plan.json` and `frame.jsonl`; see :func:`credit_tier.sampling.folder.save_plan`."""
        state.save_plan(self.planned, Path(folder))

    @classmethod
    def open(cls, folder: Path | str) -> Plan:
        """Read a saved plan; see :func:`credit_tier.sampling.folder.load_plan`."""
        return cls(state.load_plan(Path(folder)))

    def frame(self) -> pd.DataFrame:
        """Return the strata as a pandas frame: department, stratum columns joined by '/', units, size, chance, binding.

        Size and chance are fraction texts.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "department": item.department,
                    "stratum": "/".join(item.stratum),
                    "units": item.units,
                    "size": str(item.size),
                    "chance": str(item.chance),
                    "binding": item.binding,
                }
                for item in self.strata
            ]
        )


@dataclass(frozen=True)
class DrawRecord:
    """The record of a draw (抽取记录), for scheduler and auditor; it holds classes and is not for publication.

    Attributes
    ----------
    document : content of `record.json`.
    """

    document: Document

    @classmethod
    def open(cls, folder: Path | str) -> DrawRecord:
        """Read the record of a finished draw.

        Raises
        ------
        UsageError (CT-DRAW-015) if there is none; VerificationError (CT-DRAW-014) if the file is damaged.
        """
        return cls(state.read_document(Path(folder) / state.RECORD))

    @property
    def digest(self) -> str:
        """Return the record's digest: published before the first visit, it seals the list."""
        return str(self.document["record_digest"])

    @property
    def seed(self) -> str:
        """Return the seed."""
        return str(self.document["seed"])

    @property
    def visits(self) -> int:
        """Return the number of enterprises drawn by at least one department."""
        return cast("int", self.document["visits"])

    def entries(self) -> Iterator[dict[str, str | int]]:
        """Yield every listed enterprise; see :func:`credit_tier.sampling.record.listed_entries`."""
        return listed_entries(self.document)

    def frame(self) -> pd.DataFrame:
        """Return the entries as a pandas frame, with `weight` = 1 / chance as a double for estimates."""
        import pandas as pd

        rows = [{**item, "weight": float(1 / Fraction(str(item["chance"])))} for item in self.entries()]
        columns = ["department", "stratum", "rank", "list", "code", "ticket", "chance", "weight"]
        return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class Verdict:
    """What the independent verifier found.

    Attributes
    ----------
    holds : whether everything that was checked holds.
    passed : steps that hold, in order.
    broken : first step that does not, or None.
    level : `auditor`, `public` or `row`.
    """

    holds: bool
    passed: tuple[str, ...]
    broken: str | None
    level: str


def load_spec(path: Path | str | None = None, *, content: Content | None = None, period: str | None = None) -> PlanSpec:
    """Return a sampling plan's declaration.

    Parameters
    ----------
    path : a YAML file; None takes `pipelines/inspection_round.yaml` of the content.
    period : replaces the file's period, so that each month or quarter is a draw of its own.

    Raises
    ------
    ContentError with file and line for every fault; UsageError (CT-DRAW-015) if the file is absent.
    """
    if path is None:
        spec = (content or Content.resolve()).load("pipelines", SHIPPED_PLAN, PlanSpec)
    else:
        spec = parse(_text(path), PlanSpec, where=str(path))
    if period is None:
        return spec
    return parse(json.dumps({**spec.model_dump(mode="json"), "period": period}), PlanSpec, where="period")


def columns_to_keep(spec: PlanSpec) -> tuple[str, ...]:
    """Return the columns that scores must carry along for a plan, besides code, class and what is counted from a lake."""
    others = {"code", spec.class_column, *(item.column for item in spec.history)}
    return tuple(name for name in spec.columns() if name not in others)


def columns_of_plan(content: Content) -> tuple[str, ...]:
    """Return the columns that scores must carry along for the content's own plan; none where it has no plan."""
    if all(item.name != SHIPPED_PLAN for item in content.files("pipelines")):
        return ()
    return columns_to_keep(load_spec(content=content))


def plan(units: Units, spec: PlanSpec) -> Plan:
    """Return the plan of a round: exact strata sizes and everybody's chance. Nothing is written.

    Parameters
    ----------
    units : pandas, Polars or Arrow frame, or a list of mappings, one row per enterprise, with `code` and the columns the plan reads
        (`spec.columns()`). Row order and other columns have no effect.
    spec : the rules.

    Raises
    ------
    DrawError : CT-DRAW-001 missing columns, 002 a code twice, 003 cells that do not fit, 004 a class without rate, 005 a budget that
        cannot be met, 006 nobody to draw from.
    """
    frame = build_frame(_columns(units, spec), types=spec.columns(), required=spec.required())
    return Plan(Planned.of(frame, spec))


def commit(plan: Plan, folder: Path | str, *, secret: str, previous: Path | str | None = None) -> Commitment:
    """Fix frame and rules, and write the commitment to publish before the beacon exists.

    Parameters
    ----------
    plan : saved into the folder unless it already lies there.
    secret : 64 or more lower-case hexadecimal digits from a generator; whoever knows it can open the frame.
    previous : folder of the draw before.

    Raises
    ------
    RefusedError (CT-DRAW-011) if the folder is committed already, (013) if it holds another plan; see
    :func:`credit_tier.sampling.folder.commit_folder` for the others.
    """
    place = Path(folder)
    if (place / state.PLAN).exists():
        if plan_document(state.load_plan(place)) != plan_document(plan.planned):
            raise RefusedError.of(
                "CT-DRAW-013",
                where=str(place),
                what="目录中已有另一计划 · the folder holds another plan.",
                advice="Take a new folder.",
            )
    else:
        plan.save(place)
    return state.commit_folder(place, secret=secret, previous=None if previous is None else Path(previous))


def run(folder: Path | str, *, beacon: str) -> DrawRecord:
    """Draw once from a committed folder and write `record.json` and `public.json`.

    Parameters
    ----------
    beacon : the public event's outcome, exactly as the beacon rule writes it.

    Raises
    ------
    RefusedError (CT-DRAW-010) without commitment, (012) if it was drawn before; VerificationError (CT-DRAW-014) if a file changed.
    """
    return DrawRecord(state.run_folder(Path(folder), beacon=beacon))


def verify(path: Path | str, *, commitment: str | None = None, beacon: str | None = None) -> Verdict:
    """Return the independent verifier's verdict on a folder, a `public.json` or a proof.

    Parameters
    ----------
    commitment, beacon : values as published elsewhere, to compare with.
    """
    found = verifier.verify(Path(path), commitment=commitment, beacon=beacon)
    return Verdict(found["holds"], tuple(found["passed"]), found["broken"], found["level"])


def proof(folder: Path | str, code: str) -> Document:
    """Return the proof with which one enterprise checks its own row; see :func:`credit_tier.sampling.folder.proof_of`."""
    return state.proof_of(Path(folder), code)


def load_teams(path: Path | str | None = None, *, content: Content | None = None) -> TeamsSpec:
    """Return the rules for teams; None takes `pipelines/inspection_teams.yaml` of the content.

    Raises
    ------
    ContentError with file and line for every fault; UsageError (CT-DRAW-015) if the file is absent.
    """
    if path is None:
        return (content or Content.resolve()).load("pipelines", SHIPPED_TEAMS, TeamsSpec)
    return parse(_text(path), TeamsSpec, where=str(path))


def assign(
    folder: Path | str, roster: Roster, spec: TeamsSpec, *, first: date, last: date, solver: str = "exchange"
) -> Document:
    """Draw the teams and days of a finished draw once, write them into its folder, and return the content of `teams.json`.

    Parameters
    ----------
    roster : from :func:`credit_tier.rosters.read_lake` or :func:`credit_tier.rosters.read_folder`.
    first, last : days between which the visits take place.
    solver : `exchange`, `networkx` or `ortools`: the teams are the same.

    Raises
    ------
    UsageError : CT-DRAW-015 if the draw is not finished, 039 for days out of order or an unknown solver.
    RefusedError (CT-DRAW-035) if the draw has other teams already.
    DrawError (CT-DRAW-032) if no teams are possible: `blocked.json` then lists the visits that block each other; see :func:`credit_tier.sampling.teams.assign` for the others.
    """
    from credit_tier.sampling.blocking import NoTeamsError
    from credit_tier.sampling.solvers import SOLVERS
    from credit_tier.sampling.teams import assign as assign_teams

    place = Path(folder)
    if last < first or solver not in SOLVERS:
        raise UsageError.of(
            "CT-DRAW-039",
            where="first, last, solver",
            what="检查期首尾颠倒或没有这种求解方法 · the last day lies before the first, or there is no such solver.",
            advice=f"Solvers are {', '.join(SOLVERS)}.",
        )
    record, frame = state.load_drawn(place)
    blocked = str(place / state.BLOCKED)
    try:
        made = assign_teams(record, frame, roster, spec, first=first, last=last, solver=solver, blocked=blocked)
    except NoTeamsError as error:
        state.save_blocked(place, error.document)
        raise
    state.save_teams(place, made)
    return made.document


def _text(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError.of(
            "CT-DRAW-015", where=str(path), what="there is no such file.", advice="Check the path."
        ) from error


def _columns(units: Units, spec: PlanSpec) -> dict[str, Sequence[object]]:
    wanted = spec.columns()
    if isinstance(units, Sequence):
        present = [name for name in wanted if all(name in row for row in units)]
        return {name: [row[name] for row in units] for name in present}
    import narwhals as nw

    frame = nw.from_native(units, eager_only=True)
    return {name: frame.get_column(name).to_list() for name in wanted if name in frame.columns}
