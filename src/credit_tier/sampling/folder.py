"""A draw's folder and its state: planned, committed, drawn. Exactly one commitment and one draw per folder, whatever races or dies.

Files: `plan.json` and `frame.jsonl` (plan), `secret.json` (0600), `rules.json` and `commitment.json` (commit), `record.json` and
`public.json` (run), `roster.jsonl`, `teams.json` and `teams_public.json` (assign).
Every file is written beside its name, synced, and given its name at once; `commitment.json`, `record.json` and `teams.json` are linked, never
replaced, so that of several processes exactly one wins.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from credit_tier.canonical import Json, canonical_json, digest_of
from credit_tier.errors import RefusedError, UsageError, VerificationError
from credit_tier.files import sync_folder
from credit_tier.sampling import record
from credit_tier.sampling.frame import Frame, parse_frame
from credit_tier.sampling.record import Commitment, Document, Sealed, to_bytes
from credit_tier.sampling.strata import Planned
from credit_tier.specs.plan import PlanSpec

if TYPE_CHECKING:
    from credit_tier.sampling.teams import Assigned

PLAN, FRAME, SECRET = "plan.json", "frame.jsonl", "secret.json"
RULES, COMMITMENT, RECORD, PUBLIC = "rules.json", "commitment.json", "record.json", "public.json"
ROSTER, TEAMS, TEAMS_PUBLIC, BLOCKED = "roster.jsonl", "teams.json", "teams_public.json", "blocked.json"


def save_plan(planned: Planned, folder: Path) -> None:
    """Write the plan and its frame into a folder; a plan without commitment may be replaced.

    Raises
    ------
    RefusedError (CT-DRAW-011) if the folder holds a commitment or the beginning of one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / SECRET).exists() or (folder / COMMITMENT).exists():
        raise _already(folder / COMMITMENT, "CT-DRAW-011", "已承诺 · this plan is committed already")
    _write(folder / FRAME, planned.frame.to_bytes())
    _write(folder / PLAN, to_bytes(record.plan_document(planned)))


def load_plan(folder: Path) -> Planned:
    """Return the plan of a folder, after checking that neither the plan nor its frame changed.

    Raises
    ------
    UsageError (CT-DRAW-015) if there is no plan; VerificationError (CT-DRAW-014) if plan or frame changed.
    """
    document = read_document(folder / PLAN)
    frame = parse_frame(_bytes(folder / FRAME), where=str(folder / FRAME))
    try:
        planned = Planned.of(frame, PlanSpec.model_validate(document["spec"]))
        sound = record.plan_document(planned) == document
    except (ValueError, KeyError):
        sound = False
    if not sound:
        raise _changed(folder / PLAN)
    return planned


def commit_folder(folder: Path, *, secret: str | None, previous: Path | None = None) -> Commitment:
    """Commit to the plan of a folder.

    Parameters
    ----------
    secret : 64 or more hexadecimal digits. None takes the secret of a commit that died here, else that of `previous`.
    previous : folder of the draw before. Its record's digest goes into the commitment; with the same secret the commitment
        continues its salt chain by one link.

    Raises
    ------
    RefusedError : CT-DRAW-011 the folder is committed already, 019 another commit began here with another secret.
    UsageError : CT-DRAW-007 no or a malformed secret, 015 no plan, 017 the draw before is not finished or had another chain.
    VerificationError (CT-DRAW-014) if plan or frame changed; DrawError (CT-DRAW-018) if the chain is used up.
    """
    planned = load_plan(folder)
    if (folder / COMMITMENT).exists():
        raise _already(folder / COMMITMENT, "CT-DRAW-011", "已承诺 · this plan is committed already")
    before, digest, earlier = _finished(previous) if previous is not None else (None, "", None)
    own = _secret(folder)
    chosen = secret or own or earlier
    if chosen is None:
        raise UsageError.of(
            "CT-DRAW-007", where="secret", what="没有给出密值 · no secret was given.", advice="Give one."
        )
    continued = before is not None and chosen == earlier
    wave = before.wave + 1 if before is not None and continued else 1
    sealed = record.seal(planned, chosen, previous_digest=digest, wave=wave)
    made = sealed.commitment
    if before is not None and continued and made.chain_end != before.chain_end:
        raise UsageError.of(
            "CT-DRAW-017",
            where=str(previous),
            what="盐链长度与上次不同 · the draw before had another chain_length.",
            advice="Keep chain_length, or commit with a fresh secret.",
        )
    if not _create(folder / SECRET, to_bytes({"secret": chosen}), mode=0o600) and _secret(folder) != chosen:
        raise RefusedError.of(
            "CT-DRAW-019",
            where=str(folder / SECRET),
            what="另一次承诺已用另一密值开始 · another commit began here with another secret.",
            advice="Commit again without giving a secret.",
        )
    _write(folder / RULES, to_bytes(sealed.rules))
    if not _create(folder / COMMITMENT, to_bytes(made.document())):
        raise _already(folder / COMMITMENT, "CT-DRAW-011", "已承诺 · this plan is committed already")
    return made


def run_folder(folder: Path, *, beacon: str) -> Document:
    """Draw once and return the record.

    Raises
    ------
    RefusedError : CT-DRAW-010 no commitment yet, 012 drawn already.
    VerificationError (CT-DRAW-014) if plan, frame, rules or secret no longer lead to the commitment.
    UsageError (CT-DRAW-008) for a malformed beacon.
    """
    if not (folder / COMMITMENT).exists():
        raise RefusedError.of(
            "CT-DRAW-010",
            where=str(folder),
            what="尚未承诺,不能抽取 · a draw needs a commitment that was published before its beacon.",
            advice="Run 'credit-tier draw commit' and publish commitment.json first.",
        )
    drawn = (folder / RECORD).exists()
    if drawn and (folder / PUBLIC).exists():
        raise _drawn(folder)
    planned, sealed = _committed(folder)
    if drawn:
        beacon = str(read_document(folder / RECORD).get("beacon"))
    made, public = record.draw(planned, sealed, beacon=beacon)
    if not _create(folder / RECORD, to_bytes(made)):
        if to_bytes(made) == _bytes(folder / RECORD):
            _write(folder / PUBLIC, to_bytes(public))
        raise _drawn(folder)
    _write(folder / PUBLIC, to_bytes(public))
    return made


def load_record(folder: Path) -> Document:
    """Return the record of a finished draw.

    Raises
    ------
    UsageError (CT-DRAW-015) if the draw is not finished; VerificationError (CT-DRAW-014) if the record changed.
    """
    made = read_document(folder / RECORD)
    if digest_of({name: value for name, value in made.items() if name != "record_digest"}) != made.get("record_digest"):
        raise _changed(folder / RECORD)
    return made


def load_drawn(folder: Path) -> tuple[Document, Frame]:
    """Return the record of a finished draw and its frame.

    Raises
    ------
    UsageError (CT-DRAW-015) if the draw is not finished; VerificationError (CT-DRAW-014) if a file changed.
    """
    made = load_record(folder)
    frame = parse_frame(_bytes(folder / FRAME), where=str(folder / FRAME))
    if frame.digest != made["frame_digest"]:
        raise _changed(folder / FRAME)
    return made, frame


def save_teams(folder: Path, assigned: Assigned) -> None:
    """Put the teams of a draw in place once; the same teams again complete what a run that died left out.

    Raises
    ------
    RefusedError (CT-DRAW-035) if the folder holds other teams.
    """
    data = to_bytes(assigned.document)
    if not _create(folder / TEAMS, data) and _bytes(folder / TEAMS) != data:
        raise RefusedError.of(
            "CT-DRAW-035",
            where=str(folder / TEAMS),
            what="本次抽取已有另一检查组名单 · this draw has other teams already.",
            advice="Teams are drawn once, so that nobody tries rosters until a wanted team comes out.",
        )
    _write(folder / ROSTER, assigned.roster)
    _write(folder / TEAMS_PUBLIC, to_bytes(assigned.public))
    (folder / BLOCKED).unlink(missing_ok=True)


def save_blocked(folder: Path, document: Document) -> None:
    """Write which visits block each other, until teams are found."""
    _write(folder / BLOCKED, to_bytes(document))


def proof_of(folder: Path, code: str) -> Document:
    """Return the proof of one enterprise's own row; see :func:`credit_tier.sampling.record.row_proof`.

    Raises
    ------
    RefusedError (CT-DRAW-010) before the commitment; UsageError (CT-DRAW-016) if the frame holds no such code.
    """
    if not (folder / COMMITMENT).exists():
        raise RefusedError.of(
            "CT-DRAW-010", where=str(folder), what="尚未承诺 · there is no commitment yet.", advice="Commit first."
        )
    planned, sealed = _committed(folder)
    made = read_document(folder / RECORD) if (folder / RECORD).exists() else None
    return record.row_proof(planned, sealed, code, record=made)


def read_document(path: Path) -> Document:
    """Return a document of a draw's folder.

    Raises
    ------
    UsageError (CT-DRAW-015) if there is no such file; VerificationError (CT-DRAW-014) if it is not as it was written.
    """
    data = _bytes(path)
    try:
        document: Json = json.loads(data)
        if isinstance(document, dict) and canonical_json(document) + b"\n" == data:
            return document
    except (ValueError, TypeError, RecursionError):
        pass
    raise _changed(path)


def _committed(folder: Path) -> tuple[Planned, Sealed]:
    """Return plan and commitment of a folder after checking that plan and secret lead to the commitment."""
    planned = load_plan(folder)
    stored = read_document(folder / COMMITMENT)
    secret = _secret(folder)
    if secret is None:
        raise UsageError.of(
            "CT-DRAW-015",
            where=str(folder / SECRET),
            what="密值文件缺失 · the secret is missing.",
            advice="Restore it.",
        )
    wave, previous = stored.get("wave"), stored.get("previous")
    if isinstance(wave, int) and isinstance(previous, str) and 1 <= wave <= planned.spec.chain_length:
        sealed = record.seal(planned, secret, previous_digest=previous, wave=wave)
        if sealed.commitment.document() == stored and read_document(folder / RULES) == sealed.rules:
            return planned, sealed
    raise _changed(folder / COMMITMENT)


def _finished(folder: Path) -> tuple[Commitment, str, str | None]:
    """Return a finished draw's commitment, the digest of its record, and its secret where that is at hand."""
    if not (folder / RECORD).exists():
        raise UsageError.of(
            "CT-DRAW-017",
            where=str(folder),
            what="上次抽取尚未完成 · the draw before has no record.",
            advice="Give the folder of a finished draw.",
        )
    made = read_document(folder / RECORD)
    digest = made.pop("record_digest", None)
    stored = {k: v for k, v in read_document(folder / COMMITMENT).items() if k not in {"format", "commitment"}}
    try:
        commitment = Commitment(**stored)  # type: ignore[arg-type]
    except TypeError:
        raise _changed(folder / COMMITMENT) from None
    if not isinstance(digest, str) or digest_of(made) != digest or commitment.digest != made.get("commitment"):
        raise _changed(folder / RECORD)
    return commitment, digest, _secret(folder)


def _secret(folder: Path) -> str | None:
    path = folder / SECRET
    return str(read_document(path).get("secret")) if path.exists() else None


def _already(path: Path, code: str, what: str) -> RefusedError:
    return RefusedError.of(code, where=str(path), what=f"{what}.", advice="Plan anew in another folder.")


def _drawn(folder: Path) -> RefusedError:
    return RefusedError.of(
        "CT-DRAW-012",
        where=str(folder / RECORD),
        what="本次承诺已抽取过一次 · this commitment was drawn already; its one record lies here.",
        advice="A commitment is drawn once. A further draw needs a new plan, a new commitment and a new beacon.",
    )


def _changed(path: Path) -> VerificationError:
    return VerificationError.of(
        "CT-DRAW-014",
        where=str(path),
        what="文件已被改动或彼此不符 · a file changed, or the files of the folder do not belong together.",
        advice="Restore the folder, or plan anew in another one.",
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UsageError.of(
            "CT-DRAW-015",
            where=str(path),
            what="没有这个文件 · there is no such file.",
            advice="Give the folder of a draw; 'credit-tier draw plan' makes one.",
        ) from None


def _write(path: Path, data: bytes) -> None:
    """Put a file in place at once, replacing an older one."""
    beside = _beside(path, data, 0o644)
    beside.replace(path)
    sync_folder(path.parent)


def _create(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
    """Put a file in place at once, unless there is one already; return whether this call did."""
    beside = _beside(path, data, mode)
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    sync_folder(path.parent)
    return True


def _beside(path: Path, data: bytes, mode: int) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return beside
