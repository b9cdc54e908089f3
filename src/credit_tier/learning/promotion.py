"""Which model is in use: decisions of people, their log, and the champion that follows from it.

A training only makes a `challenger`. A person promotes it, giving a name and a reason, and takes a step back by one command.
Every promotion, roll-back and refusal is a line of `decisions.jsonl` in the store; each line holds the digest of the one before, so
that a changed or missing line shows. The log is what counts: MLflow's aliases and tags repeat it for people who look there, and a
champion that does not follow from the log is not used.
"""

from __future__ import annotations

import fcntl
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from credit_tier import files
from credit_tier.canonical import canonical_json, sha256_hex
from credit_tier.errors import Fault, LearningError, MachineError, RefusedError, UsageError, VerificationError
from credit_tier.learning import signing, tracking
from credit_tier.learning.bundle import Bundle, manifest_of
from credit_tier.learning.tracking import Version

LOG, LOCK, TAG = "decisions.jsonl", ".decisions.lock", "decision_"
NOTHING_BEFORE = "0" * 64
LONGEST = {"who": 100, "why": 1000}


@dataclass(frozen=True)
class Decision:
    """One line of the log.

    Attributes
    ----------
    sequence : 1, 2, 3 … over all models of the store; the order is this and not the clock.
    at : instant the caller gave, ISO 8601 with offset.
    version, bundle : the version that was decided about, and the digest of its bundle.
    champion : the version in use before; None if there was none.
    compared : how it compares with that champion.
    faults : why it was refused; empty otherwise.
    previous : SHA-256 of the line before.
    """

    sequence: int
    at: str
    action: Literal["promoted", "rolled_back", "refused"]
    model: str
    version: int
    bundle: str
    champion: int | None
    who: str
    why: str
    compared: str
    faults: tuple[str, ...]
    previous: str

    @property
    def line(self) -> bytes:
        """Return the line as it stands in the log."""
        return canonical_json(asdict(self)) + b"\n"

    @property
    def tag(self) -> tuple[str, str]:
        """Return the tag of the version in MLflow that repeats the decision for people and holds the digest of its line."""
        told = f"{self.action} {self.at} {self.who}: {self.why} [{sha256_hex(self.line)}]"
        return f"{TAG}{self.sequence:04d}", told

    def is_on(self, tags: Mapping[str, str]) -> bool:
        """Return whether these tags of a version are those that the decision left there."""
        name, told = self.tag
        return tags.get(name) == told


def promote(
    store: Path | str,
    model: str,
    *,
    version: int | None = None,
    who: str,
    why: str,
    at: datetime,
    trust: Sequence[Path] = (),
) -> Decision:
    """Make a version the champion; the challenger if no version is given.

    Parameters
    ----------
    who, why : of the person who decides; kept for good.
    at : when, with an offset from UTC.
    trust : public keys, or folders of them, in place of those the store trusts.

    Raises
    ------
    RefusedError (CT-LEARN-080), logged : a gate failed, the bundle does not open, or the champion is better on the same test rows
        beyond the interval of the challenger.
    UsageError (CT-LEARN-085) if who, why or at cannot be used, or the version is the champion already.
    LearningError (CT-LEARN-051) if there is no such version; VerificationError (CT-LEARN-083) if the log is damaged.

    Source: `service.md` sections 3.5 (row 16) and 6.2.
    """
    who, why = _words(who, why, at)
    with _deciding(store) as log:
        chosen = tracking.find(store, model, "challenger" if version is None else str(version))
        steps = standing(log, model)
        if steps and steps[-1].version == chosen.number and "champion" in chosen.aliases:
            raise UsageError.of(
                "CT-LEARN-085",
                where=f"{model} {chosen.number}",
                what="它已是现役模型 · this version is the champion already.",
                advice="See credit-tier models list.",
            )
        compared, faults = _judge(store, chosen, steps[-1] if steps else None, trust)
        return _decide(store, log, chosen, "promoted", who=who, why=why, at=at, compared=compared, faults=faults)


def rollback(
    store: Path | str, model: str, *, who: str, why: str, at: datetime, trust: Sequence[Path] = ()
) -> Decision:
    """Bring the champion before this one back into use; done twice it goes back two steps.

    Raises
    ------
    RefusedError (CT-LEARN-081), logged : there was none before, or its bundle does not open.
    LearningError (CT-LEARN-051) if the model has no champion. Otherwise as :func:`promote`.
    """
    who, why = _words(who, why, at)
    with _deciding(store) as log:
        steps = standing(log, model)
        if not steps:
            raise _no_champion(model)
        target = steps[-2:][0]
        chosen = tracking.find(store, model, str(target.version))
        faults: tuple[Fault, ...] = ()
        if len(steps) == 1:
            faults = (Fault("CT-LEARN-081", model, "没有更早的现役模型 · there was no champion before this one."),)
        else:
            _, faults = _opened(store, model, target.version, target.bundle, trust)
        return _decide(store, log, chosen, "rolled_back", who=who, why=why, at=at, faults=faults)


def champion(store: Path | str, model: str, *, trust: Sequence[Path] = ()) -> Bundle:
    """Return the bundle in use, every byte of it checked, its signer trusted, and the decision that put it there found in the log.

    Parameters
    ----------
    trust : public keys, or folders of them, in place of those the store trusts.

    Raises
    ------
    LearningError : CT-LEARN-051 the store has no such model or champion, CT-LEARN-046, 047 its signer is not trusted, CT-LEARN-040
        to 048 the bundle is damaged.
    VerificationError : CT-LEARN-082 alias or bundle are not those of the last decision, CT-LEARN-083 the log is damaged.
    """
    found = tracking.find(store, model, "champion")
    steps = standing(decisions(store), model)
    if not steps or steps[-1].version != found.number:
        raise _moved(model, f"the alias names version {found.number}, the log {steps[-1].version if steps else 'none'}")
    if not steps[-1].is_on(found.tags):
        raise _moved(model, f"version {found.number} does not bear the digest of decision {steps[-1].sequence}")
    bundle = Bundle.open(found.folder, trusted=signing.trusted_by_store(store, trust))
    if bundle.digest != steps[-1].bundle:
        raise _moved(model, f"the bundle of version {found.number} is not the one that was promoted")
    return bundle


def decisions(store: Path | str) -> tuple[Decision, ...]:
    """Return the log, the oldest first, after checking its chain.

    Raises
    ------
    VerificationError (CT-LEARN-083), naming the first line that does not follow from those before it.
    """
    path = Path(store) / LOG
    if not path.exists():
        return ()
    found: list[Decision] = []
    previous = NOTHING_BEFORE
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            facts = json.loads(line)
            decision = Decision(**facts | {"faults": tuple(facts["faults"])})
            holds = (decision.line, decision.sequence, decision.previous) == (line, number, previous)
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise _broken(f"{LOG}:{number}") from error
        if not holds:
            raise _broken(f"{LOG}:{number}")
        found.append(decision)
        previous = sha256_hex(line)
    return tuple(found)


def unconfirmed(store: Path | str, log: Sequence[Decision]) -> tuple[str, ...]:
    """Return the decisions on which log and MLflow do not agree, by the name of their tag; empty if all is well.

    A last line that was changed, or lines cut off at the end, show here and not in the chain; so does a crash between the two.
    """
    return tuple(sorted({place[2] for place, _ in _noted(store) ^ _told(log)}))


def _noted(store: Path | str) -> set[tuple[tuple[str, int, str], str]]:
    """Return what MLflow's tags say of decisions: model, version and name of the tag, and its text."""
    return {
        ((version.model, version.number, name), text)
        for version in tracking.versions(store)
        for name, text in version.tags.items()
        if name.startswith(TAG)
    }


def _told(log: Sequence[Decision]) -> set[tuple[tuple[str, int, str], str]]:
    return {((decision.model, decision.version, decision.tag[0]), decision.tag[1]) for decision in log}


def standing(log: Sequence[Decision], model: str) -> list[Decision]:
    """Return the promotions that still hold, in order: the last is the champion's, the one before it that of its predecessor."""
    steps: list[Decision] = []
    for decision in log:
        if decision.model == model and decision.action == "promoted":
            if steps and steps[-1].version == decision.version:  # again, because somebody had moved the alias by hand
                steps.pop()
            steps.append(decision)
        elif decision.model == model and decision.action == "rolled_back":
            del steps[-1:]
    return steps


def _judge(
    store: Path | str, chosen: Version, current: Decision | None, trust: Sequence[Path]
) -> tuple[str, tuple[Fault, ...]]:
    """Return how a version compares with the champion, and what speaks against its promotion."""
    bundle, faults = _opened(store, chosen.model, chosen.number, chosen.bundle, trust)
    if bundle is None:
        return "不能打开 · it does not open", faults
    found = [
        Fault("CT-LEARN-080", f"{chosen.model} {chosen.number}", text, "A model that fails a gate is not promoted.")
        for text in bundle.manifest["failed_gates"]
    ]
    if current is None:
        return "没有现役模型 · there is no champion", tuple(found)
    told, is_worse = _compared(store, chosen, bundle, current, trust)
    if is_worse:
        what = f"在同一检验样本上逊于现役模型 · worse than the champion on the same test rows: {told}."
        found.append(Fault("CT-LEARN-080", f"{chosen.model} {chosen.number}", what))
    return told, tuple(found)


def champion_name(version: int) -> str:
    """Return the name under which a training is compared with a champion."""
    return f"champion_v{version}"


def _compared(
    store: Path | str, chosen: Version, bundle: Bundle, current: Decision, trust: Sequence[Path]
) -> tuple[str, bool]:
    """Return how a version ranks beside the champion, and whether it is worse beyond chance.

    A training measures the difference in pairs on its test rows, if the champion has not seen them; else the figures of both are
    compared if they were measured on equal rows.
    """
    name = f"auc_minus_{champion_name(current.version)}"
    if name in chosen.metrics:
        difference, low, high = (chosen.metrics[f"{name}{end}"] for end in ("", "_low", "_high"))
        return f"AUC − 现役 champion {difference:+.4f} ({low:+.4f}…{high:+.4f})", high < 0
    other = _manifest(store, current, trust)
    if other is None:
        return "现役模型不能读取 · the champion cannot be read", False
    if other["test_rows"] != bundle.manifest["test_rows"]:
        return "检验样本不同,不可比 · not comparable, other test rows", False
    mine, theirs = bundle.manifest["metrics"], other["metrics"]
    told = f"AUC {mine['auc']:.4f} ({mine['auc_low']:.4f}–{mine['auc_high']:.4f}), 现役 champion {theirs['auc']:.4f}"
    return told, theirs["auc"] > mine["auc_high"]


def _opened(
    store: Path | str, model: str, version: int, digest: str, trust: Sequence[Path]
) -> tuple[Bundle | None, tuple[Fault, ...]]:
    """Return the bundle of a version, or None and why it cannot be used."""
    try:
        found = tracking.find(store, model, str(version))
        bundle = Bundle.open(found.folder, trusted=signing.trusted_by_store(store, trust))
        if bundle.digest != digest:
            raise _moved(model, f"the bundle of version {version} is not the registered one")
    except (LearningError, MachineError, VerificationError) as error:
        return None, error.faults
    return bundle, ()


def _manifest(store: Path | str, decision: Decision, trust: Sequence[Path]) -> Mapping[str, Any] | None:
    """Return what the bundle of a decision says of itself, or None if it cannot be read as it was."""
    try:
        folder = tracking.find(store, decision.model, str(decision.version)).folder
        manifest = manifest_of(folder, trusted=signing.trusted_by_store(store, trust))
    except (LearningError, MachineError):
        return None
    return manifest if manifest["digest"] == decision.bundle else None


def _decide(
    store: Path | str,
    log: Sequence[Decision],
    version: Version,
    action: Literal["promoted", "rolled_back"],
    *,
    who: str,
    why: str,
    at: datetime,
    compared: str = "",
    faults: Sequence[Fault],
) -> Decision:
    """Write a decision to the log and then to MLflow; raise it if it is a refusal."""
    steps = standing(log, version.model)
    decision = Decision(
        sequence=len(log) + 1,
        at=at.isoformat(timespec="seconds"),
        action="refused" if faults else action,
        model=version.model,
        version=version.number,
        bundle=version.bundle,
        champion=steps[-1].version if steps else None,
        who=who,
        why=why,
        compared=compared,
        faults=tuple(str(fault) for fault in faults),
        previous=sha256_hex(log[-1].line) if log else NOTHING_BEFORE,
    )
    after = (*log, decision)
    files.write_bytes(Path(store) / LOG, b"".join(item.line for item in after))
    names = [None, *(step.version for step in standing(after, version.model))]
    tracking.record_decision(
        store,
        version.model,
        version.number,
        tag=decision.tag,
        aliases={} if faults else {"previous": names[-2], "champion": names[-1]},
    )
    if faults:
        raise RefusedError(*faults)
    return decision


@contextmanager
def _deciding(store: Path | str) -> Iterator[tuple[Decision, ...]]:
    """Give the log to one process at a time; nothing is added to a log that lacks what MLflow says of it."""
    folder = Path(store)
    tracking.require(folder)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        log = decisions(folder)
        lost = sorted(place[2] for place, _ in _noted(store) - _told(log))
        if lost:
            raise _broken(LOG, f"MLflow says otherwise of {', '.join(lost)}")
        yield log


def _words(who: str, why: str, at: datetime) -> tuple[str, str]:
    """Return who and why in the one spelling that log and tag share."""
    faults = [
        Fault(
            "CT-LEARN-085", name, f"this needs 1 to {LONGEST[name]} printable characters.", "Say who decides, and why."
        )
        for name, text in (("who", who), ("why", why))
        if not text.strip() or not text.replace("\u3000", " ").isprintable() or len(text) > LONGEST[name]
    ]
    if at.tzinfo is None:
        faults.append(Fault("CT-LEARN-085", "at", "the instant has no offset from UTC."))
    if faults:
        raise UsageError(*faults)
    return unicodedata.normalize("NFC", who.strip()), unicodedata.normalize("NFC", why.strip())


def _no_champion(model: str) -> LearningError:
    return LearningError.of(
        "CT-LEARN-051",
        where="store",
        what=f"模型 {model} 没有现役版本 · the model has no champion.",
        advice="Promote a version first: credit-tier promote.",
    )


def _moved(model: str, what: str) -> VerificationError:
    return VerificationError.of(
        "CT-LEARN-082",
        where=model,
        what=f"现役模型与决定记录不符 · {what}.",
        advice="Somebody moved an alias or a file by hand. Look at credit-tier models log, then promote or roll back again.",
    )


def _broken(where: str, what: str = "this line does not follow from those before it") -> VerificationError:
    return VerificationError.of(
        "CT-LEARN-083",
        where=where,
        what=f"决定记录被改动 · {what}.",
        advice="Restore the log from a backup; the tags of the versions in MLflow hold the digest of every line.",
    )
