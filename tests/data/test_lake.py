"""A lake is whole at every moment: it opens as it was or as it will be, and says which file was damaged."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data import engines
from credit_tier.data.ingest import ENTERPRISES_PER_PART, ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import LakeError, VerificationError

Write = Callable[[str, Mapping[str, Sequence[object]]], Path]


@pytest.fixture
def lake(first: Path, content: Content, tmp_path: Path) -> Path:
    ingest(tmp_path / "lake", first, content)
    return tmp_path / "lake"


@pytest.fixture
def second(deliver: Callable[[str], Write], fines: dict[str, list[object]]) -> Path:
    """A delivery that corrects two fines, adds one, and has a row for quarantine."""
    changed = {name: [values[0], values[1], values[2], values[3]] for name, values in fines.items()}
    changed["文号"] = ["F0", "F1", "F100", "F101"]
    changed["入库日期"] = ["2024-08-01"] * 4
    changed["points"] = ["9", "9", "9", "-9"]
    return deliver("second")("fines.csv", changed)


def part_of(lake: Path, table: str) -> Path:
    return next((lake / table).glob("part-*.parquet"))


def test_a_folder_without_lake_is_named(tmp_path: Path) -> None:
    """Opening nothing says how to build a lake."""
    with pytest.raises(LakeError, match=r"CT-LAKE-001.*credit-tier ingest"):
        Lake.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", "CT-LAKE-002"), ("[]", "CT-LAKE-002"), ("{}", "CT-LAKE-002"), ('{"format": 2}', "CT-LAKE-006")],
)
def test_a_damaged_manifest_is_named(text: str, code: str, lake: Path) -> None:
    """Half a manifest, another format or strange content never opens."""
    (lake / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(LakeError, match=code):
        Lake.open(lake)


def test_a_manifest_that_points_outside_is_refused(lake: Path) -> None:
    """File names inside a manifest stay inside the lake."""
    manifest = json.loads((lake / "manifest.json").read_text(encoding="utf-8"))
    manifest["codes"]["name"] = "../codes/part.parquet"
    (lake / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(LakeError, match=r"CT-LAKE-002.*codes\.name"):
        Lake.open(lake)


def test_missing_and_cut_files_are_named_on_opening(lake: Path) -> None:
    """All missing or shortened files are told at once."""
    part_of(lake, "firms").unlink()
    cut = part_of(lake, "fines")
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(LakeError) as caught:
        Lake.open(lake)
    assert [fault.where.split("/")[0] for fault in caught.value.faults] == ["fines", "firms"]


def test_verify_names_the_flipped_file(lake: Path) -> None:
    """One changed bit in any file is found and the file is named; exit code 5."""
    Lake.open(lake).verify()
    for table in ("firms", "fines", "_codes"):
        path = part_of(lake, table)
        sound = path.read_bytes()
        path.write_bytes(sound[:100] + bytes([sound[100] ^ 1]) + sound[101:])
        with pytest.raises(VerificationError, match=f"CT-LAKE-009 {table}/part-") as caught:
            Lake.open(lake).verify()
        assert caught.value.exit_code == 5
        path.write_bytes(sound)
    Lake.open(lake).verify()


def test_an_unknown_table_says_what_is_there(lake: Path) -> None:
    """The message lists the tables of the lake."""
    with pytest.raises(LakeError, match=r"CT-LAKE-004.*fines, firms"):
        Lake.open(lake).frame("weather")


def test_two_writers_are_not_let_in(lake: Path, first: Path, content: Content) -> None:
    """While one process writes, another is told so and changes nothing; the lock ends with its holder."""
    descriptor = os.open(lake / ".lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(LakeError, match=r"CT-LAKE-005.*another process"):
        ingest(lake, first, content)
    os.close(descriptor)
    assert not ingest(lake, first, content).changed


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, first: Path, content: Content) -> None:
    """Ingestion never makes a lake out of somebody's documents."""
    home = tmp_path / "documents"
    home.mkdir()
    (home / "letter.txt").write_text("x", encoding="utf-8")
    with pytest.raises(LakeError, match="CT-LAKE-008"):
        ingest(home, first, content)
    with pytest.raises(LakeError, match="CT-LAKE-008"):
        ingest(home / "letter.txt", first, content)
    assert [item.name for item in home.iterdir()] == ["letter.txt"]


class Killed(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("start", ["empty", "lake"])
def test_a_run_that_dies_at_any_step_leaves_the_old_state(
    *,
    start: str,
    lake: Path,
    second: Path,
    content: Content,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Death before or after each fsync and rename: the lake opens and verifies as before or as after; a new run completes it."""
    first = tmp_path / "first"
    source = second if start == "lake" else first
    goal = tmp_path / "goal"
    if start == "lake":
        shutil.copytree(lake, goal)
    before = Lake.open(lake).digest if start == "lake" else None
    after = ingest(goal, source, content).lake_digest
    real = {"fsync": os.fsync, "replace": Path.replace}
    outcomes = []
    for step in range(200):
        victim = tmp_path / f"victim-{step}"
        if start == "lake":
            shutil.copytree(lake, victim)
        steps = iter(range(10_000))

        def dying(name: str, steps: object = steps, step: int = step) -> Callable[..., object]:
            def call(*arguments: object) -> object:
                if next(steps) == step:  # type: ignore[call-overload]
                    raise Killed
                result = real[name](*arguments)  # type: ignore[operator]
                if next(steps) == step:  # type: ignore[call-overload]
                    raise Killed
                return result

            return call

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying("fsync"))
            patch.setattr(Path, "replace", dying("replace"))
            try:
                ingest(victim, source, content)
            except Killed:
                died = True
            else:
                died = False
        if (victim / "manifest.json").exists():
            state = Lake.open(victim)
            state.verify()
            outcomes.append(state.digest)
        else:
            outcomes.append(None)
        assert outcomes[-1] in {before, after}
        assert ingest(victim, source, content).lake_digest == after
        names = {str(path.relative_to(victim)) for path in victim.rglob("*.parquet")}
        assert {item.name for item in Lake.open(victim).manifest.files()} <= names
        assert not list(victim.rglob(".tmp-*"))
        shutil.rmtree(victim)
        if not died:
            break
    assert len(outcomes) > 10
    assert outcomes[0] == before
    assert outcomes[-1] == after
    assert outcomes.index(after) > len(outcomes) // 2


DRIVER = """
import os, signal, sys
from pathlib import Path
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
import credit_tier.data.writer as writer
left = int(sys.argv[1])
real = Path.replace
def replace(self, target):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
Path.replace = replace
ingest(sys.argv[2], sys.argv[3], Content.resolve(sys.argv[4]))
"""


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_a_killed_process_leaves_the_old_state_and_no_lock(
    renames: int, lake: Path, second: Path, content: Content, tmp_path: Path
) -> None:
    """SIGKILL in the middle of a real process: the old lake stands, and the next run is not locked out."""
    before = Lake.open(lake).digest
    command = [sys.executable, "-c", DRIVER, str(renames), str(lake), str(second), str(tmp_path / "content")]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    found = Lake.open(lake)
    found.verify()
    assert found.digest == before
    assert list(lake.rglob(".tmp-*"))
    report = ingest(lake, second, content)
    assert report.changed
    assert not list(lake.rglob(".tmp-*"))


def test_an_open_reader_survives_an_ingestion(lake: Path, second: Path, content: Content) -> None:
    """Parts that were replaced stay until the run after, so a reader that opened before can finish."""
    reader = Lake.open(lake)
    old = reader.frame("fines")
    ingest(lake, second, content)
    assert old.collect().shape[0] == 6
    assert Lake.open(lake).rows("fines") == 9
    ingest(lake, second, content)
    assert len(list((lake / "fines").iterdir())) == 1


def test_parts_cover_fixed_ranges_of_enterprises(
    *, lake: Path, content: Content, second: Path, monkeypatch: pytest.MonkeyPatch, first: Path, tmp_path: Path
) -> None:
    """A table is cut at fixed enterprise numbers: a small delivery rewrites only the ranges it touches."""
    assert ENTERPRISES_PER_PART == 500_000
    monkeypatch.setattr("credit_tier.data.ingest.ENTERPRISES_PER_PART", 2)
    ingest(tmp_path / "cut", first, content)
    cut = Lake.open(tmp_path / "cut")
    before = cut.manifest.tables["fines"].files
    assert len(before) == 2
    assert len(cut.manifest.tables["firms"].files) == 6
    for table in ("fines", "firms"):
        assert cut.frame(table).collect().to_native().equals(Lake.open(lake).frame(table).collect().to_native())
    rows = pl.read_csv(second / "fines.csv", infer_schema=False).head(2)
    (tmp_path / "third").mkdir()
    rows.write_csv(tmp_path / "third/fines.csv")
    ingest(tmp_path / "cut", tmp_path / "third", content)
    after = Lake.open(tmp_path / "cut").manifest.tables["fines"].files
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True]


def test_nothing_in_the_lake_depends_on_the_day(lake: Path, first: Path, content: Content, tmp_path: Path) -> None:
    """Two lakes from the same deliveries are equal to the byte, manifest included."""
    ingest(tmp_path / "twin", first, content)
    for path in sorted(lake.rglob("*")):
        if path.is_file():
            assert (tmp_path / "twin" / path.relative_to(lake)).read_bytes() == path.read_bytes()


def test_pandas_frames_go_out_and_come_in(lake: Path) -> None:
    """Integers and booleans with gaps keep their type on the way to pandas and back."""
    table = Lake.open(lake).frame("fines").collect()
    out = engines.to_pandas(table)
    assert out["amount"].dtype == "Int64"
    assert out["public"].dtype == "boolean"
    assert out["amount"].isna().sum() == 1
    assert engines.from_pandas(out).to_native().equals(table.to_native())


def test_scanning_no_file_is_an_error() -> None:
    """A table without files cannot be told from a table without columns."""
    with pytest.raises(ValueError, match="at least one file"):
        engines.scan([])
