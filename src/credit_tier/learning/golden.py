"""Golden rows: made-up rows and the scores that a bundle's model must give them, tried out in a process of its own.

A model of unknown origin is used for the first time in a child process that has limits of memory and time, no secret in its
environment and nothing to lose: if its trees crash or hang the code that scores, the child dies and not the service.
This module is also that child: it reads a bundle's files from standard input and answers with its exit code.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from credit_tier.canonical import sha256_hex
from credit_tier.errors import LearningError
from credit_tier.learning.bundle_files import CAPS, FORMAT, bad, from_bytes, parse_manifest, scorer_of
from credit_tier.learning.scorecard import Scorer

ROWS = 50
TOLERANCE = 1e-9
SECONDS, PATIENCE = 60, 180
MEMORY = 4 << 30
"""Limits of the child: seconds of computing, seconds on the clock, bytes of address space."""

SAME, DIFFERS, NOT_IN_FORM = 0, 10, 11
INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR")
_NAME = "golden_rows.json"
_LENGTH = 8


def golden_of(scorer: Scorer) -> dict[str, Any]:
    """Return golden rows of a model with their scores, as JSON: rows that visit both sides of many splits, made from hashes.

    No row of data leaves training.
    """
    columns: list[list[float]] = []
    features = np.concatenate([tree.feature for tree in scorer.forest.trees])
    thresholds = np.concatenate([tree.threshold for tree in scorer.forest.trees])
    limit = float(np.finfo(np.float32).max) / 4
    for j in range(len(scorer.features)):
        cuts = np.unique(np.clip(thresholds[features == j], -limit, limit))
        around = np.concatenate((cuts, np.nextafter(cuts.astype(np.float32), np.float32(np.inf)), [0.0]))
        columns.append([*around.tolist(), float("nan")])
    rows = np.empty((ROWS, len(columns)), np.float32)
    for i in range(ROWS):
        for j, choices in enumerate(columns):
            rows[i, j] = choices[int(sha256_hex(f"{FORMAT}/golden/{i}/{j}".encode())[:12], 16) % len(choices)]
    return _scored(scorer, rows)


def check(scorer: Scorer, raw: Mapping[str, bytes]) -> None:
    """Score the golden rows in this process, which must have made the bundle itself.

    Raises
    ------
    LearningError : CT-LEARN-042 the golden rows are not in form, CT-LEARN-044 the model gives them other scores.
    """
    _judge(_outcome(scorer, raw))


def try_out(raw: Mapping[str, bytes]) -> None:
    """Load a bundle's files and score its golden rows in a child process.

    Raises
    ------
    LearningError : as :func:`check`; CT-LEARN-048 if the child crashes, breaks a limit or takes too long.

    Source: `service.md` D2 and section 1.3.
    """
    given = {name: os.environ[name] for name in INHERITED if name in os.environ}
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path if place)
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-s", "-m", "credit_tier.learning.golden"],
            input=b"".join(len(raw[name]).to_bytes(_LENGTH) + raw[name] for name in CAPS),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=given | one | {"PYTHONPATH": places},
            cwd="/",
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _died(f"is not done after {PATIENCE} seconds") from error
    _judge(done.returncode)


def _judge(code: int) -> None:
    if code == DIFFERS:
        raise bad("CT-LEARN-044", _NAME, "the model gives its golden rows other scores")
    if code == NOT_IN_FORM:
        raise bad("CT-LEARN-042", _NAME, "it is not in form")
    if code != SAME:
        raise _died(f"ended by signal {-code}" if code < 0 else f"ended with status {code}")


def _died(how: str) -> LearningError:
    return bad("CT-LEARN-048", "model.txt", f"the process that tries the model out {how}", "Do not use this bundle")


def _outcome(scorer: Scorer, raw: Mapping[str, bytes]) -> int:
    try:
        golden = from_bytes(raw[_NAME], _NAME)
        rows = np.array([[np.nan if v is None else v for v in row] for row in golden["x"]], np.float32)
        found = _scored(scorer, rows)
        if len(rows) != ROWS or set(golden) != set(found):
            return NOT_IN_FORM
        same = all(np.allclose(golden[name], found[name], rtol=0, atol=TOLERANCE) for name in found if name != "x")
    except (LookupError, TypeError, ValueError, ArithmeticError, LearningError):
        return NOT_IN_FORM
    return SAME if same else DIFFERS


def _scored(scorer: Scorer, rows: NDArray[np.float32]) -> dict[str, Any]:
    scores = scorer.score(rows)
    return {
        "x": [[None if np.isnan(v) else float(v) for v in row] for row in rows],
        "raw_score": scores.raw_score.tolist(),
        "probability": scores.probability.tolist(),
        "points": scores.points.tolist(),
        "dimension_points": scores.dimension_points.tolist(),
    }


def _limit() -> None:
    """Bound what this process may take: memory, time, files; no core dump."""
    import resource

    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, 64 << 20),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))


def _received(stream: BinaryIO) -> dict[str, bytes]:
    return {name: stream.read(int.from_bytes(stream.read(_LENGTH))) for name in CAPS}


def main() -> int:
    """Answer for the bundle on standard input: 0 its golden rows get their scores, else see the constants of this module."""
    _limit()
    raw = _received(sys.stdin.buffer)
    return _outcome(scorer_of(parse_manifest(raw), raw), raw)


if __name__ == "__main__":
    raise SystemExit(main())
