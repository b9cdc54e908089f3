"""However large batches and parts are, the lake is the same; what is known already costs no reading."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from credit_tier.content import Content
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import DataError

Columns = dict[str, list[object]]
Write = Callable[[str, Mapping[str, Sequence[object]]], Path]
Deliver = Callable[[str], Write]


def contents(lake: Path) -> dict[str, bytes]:
    return {str(item.relative_to(lake)): item.read_bytes() for item in sorted(lake.rglob("*")) if item.is_file()}


def many(fines: Columns, codes: list[str], size: int) -> Columns:
    """Fines of which some repeat, some contradict one another, some break rules and some belong to nobody."""
    order = [number % 6 for number in range(size)]
    columns: Columns = {name: [values[at] for at in order] for name, values in fines.items()}
    columns["文号"] = [f"F{number // 2 if number % 7 == 0 else number}" for number in range(size)]
    columns["uscc"] = [codes[number % 12] if number % 11 else "91000000MA0000007C" for number in range(size)]
    columns["points"] = [str(number % 5 - (number % 13 == 0)) for number in range(size)]
    again = [number for number in range(size) if number % 5 == 0]
    return {name: [*values, *(values[number] for number in again)] for name, values in columns.items()}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_batches_of_any_size_give_the_same_lake(
    *,
    form: str,
    content: Content,
    tmp_path: Path,
    register: Columns,
    fines: Columns,
    codes: list[str],
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files, reports, quarantine and manifest are equal to the byte, row groups or not, duplicates across batches or not."""
    write = deliver("first")
    write(f"firms.{form}", register)
    folder = write(f"fines.{form}", many(fines, codes, 60))
    write(f"fines-more.{form}", {name: values[::-1] for name, values in many(fines, codes, 20).items()})
    if form == "parquet":
        pl.read_parquet(folder / "fines.parquet").write_parquet(folder / "fines.parquet", row_group_size=9)
    whole = ingest(tmp_path / "whole", folder, content)
    fine = whole.tables[1]
    assert fine.duplicates > 10
    assert {"fines.record_id.duplicate", "fines.uscc.not_in_register", "fines.points.range"} <= fine.rules.keys()
    assert fine.rows_read == fine.accepted + fine.duplicates + fine.quarantined == 96
    for rows, compared in ((7, 3), (31, 1000)):
        monkeypatch.setattr("credit_tier.data.batches.ROWS_PER_BATCH", rows)
        monkeypatch.setattr("credit_tier.data.staging.ROWS_COMPARED", compared)
        lake = tmp_path / f"by-{rows}"
        report = ingest(lake, folder, content)
        assert report.tables == whole.tables
        assert contents(lake) == contents(tmp_path / "whole")


def test_a_file_refused_in_its_middle_leaves_no_row(
    *, first: Path, content: Content, tmp_path: Path, fines: Columns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage that shows only after some batches were read refuses the file whole; other files are taken."""
    whole = ingest(tmp_path / "whole", first, content)
    size = 2000
    columns = {name: [str(values[at % 6]) for at in range(size)] for name, values in fines.items()}
    columns["文号"] = [f"G{at}" for at in range(size)]
    path = first / "fines-late.parquet"
    pl.DataFrame(columns).write_parquet(path, row_group_size=200, compression="uncompressed")
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(bytes(raw))
    monkeypatch.setattr("credit_tier.data.batches.ROWS_PER_BATCH", 200)
    report = ingest(tmp_path / "lake", first, content)
    assert [fault.code for fault in report.refused] == ["CT-DATA-006"]
    assert report.lake_digest == whole.lake_digest


delivered = st.lists(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.integers(0, 5), st.integers(0, 1)),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=4,
)
"""Deliveries: record and day it became known, to the firm it is about and its content."""


@given(deliveries=delivered)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_of_any_size_hold_the_same_table(
    *,
    deliveries: list[dict[tuple[int, int], tuple[int, int]]],
    content: Content,
    tmp_path: Path,
    register: Columns,
    codes: list[str],
    fines: Columns,
    deliver: Deliver,
) -> None:
    """Also if a corrected record passes to a firm of another part, and what ends a version lies in another part than the version."""
    home = tmp_path / "runs"
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(tmp_path / "base", ignore_errors=True)
    write = deliver("base")
    for number, rows in enumerate(deliveries):
        shutil.rmtree(tmp_path / f"step-{number}", ignore_errors=True)
        folder = deliver(f"step-{number}")
        columns = {name: [values[0]] * len(rows) for name, values in fines.items()}
        columns["文号"] = [f"R{record}" for record, _ in rows]
        columns["入库日期"] = [f"2024-02-0{day}" for _, day in rows]
        columns["uscc"] = [codes[firm * 2] for firm, _ in rows.values()]
        columns["points"] = [str(points) for _, points in rows.values()]
        folder("fines.csv", columns)
    base = write("firms.csv", register)
    tables = []
    for per_part in (2, 500_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("credit_tier.data.ingest.ENTERPRISES_PER_PART", per_part)
            lake = home / str(per_part)
            ingest(lake, base, content)
            states = []
            for number in range(len(deliveries)):
                report = ingest(lake, tmp_path / f"step-{number}", content)
                found = Lake.open(lake)
                entry = found.manifest.tables["fines"]
                states.append(
                    (
                        found.frame("fines").collect().to_native().rows(),
                        [(item.added, item.unchanged) for item in report.tables],
                        entry.rows,
                        entry.cutoff,
                    )
                )
            tables.append(states)
    assert tables[0] == tables[1]


def test_a_known_delivery_is_not_read_again(
    first: Path, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest is enough, under whatever later delivery; its report is that of a delivery that brings nothing new."""
    with (first / "fines.csv").open("a", encoding="utf-8") as stream:
        stream.write("F9,91000000MA0000007C,2024-01-05,1,1,1,1,fine,,2024-01-06\n")
    once = ingest(tmp_path / "lake", first, content)

    def refuse(*_: object) -> object:
        raise DataError.of("CT-DATA-006", where="file", what="was read.", advice="")

    with monkeypatch.context() as patch:
        patch.setattr("credit_tier.data.staging.batches", refuse)
        again = ingest(tmp_path / "lake", first, content)
        assert not again.changed
        assert not again.refused
        for before, after in zip(once.tables, again.tables, strict=True):
            assert (after.added, after.unchanged) == (0, before.accepted)
            assert after.rules == before.rules
            assert after.files == before.files


def test_other_conditions_make_a_known_delivery_new(
    first: Path, content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed contract, or another day of receipt, means that every row is judged again."""
    from datetime import date

    ingest(tmp_path / "lake", first, content)
    late = ingest(tmp_path / "lake", first, content, received_on=date(2024, 5, 31))
    assert late.tables[1].rules == {"fines.received_on.known_after_delivery": 1}
    path = tmp_path / "content/data_schemas/fines.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("maximum: 1000", "maximum: 1"), encoding="utf-8")
    stricter = ingest(tmp_path / "lake", first, Content.resolve(tmp_path / "content"))
    assert stricter.tables[1].rules == {"fines.amount.range": 2}


KILLED = """
import sys
from credit_tier.content import Content
from credit_tier.data.ingest import ingest
content = Content.resolve(sys.argv[3])
print("ready", flush=True)
ingest(sys.argv[1], sys.argv[2], content)
"""


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments(
    *, first: Path, content: Content, tmp_path: Path, fines: Columns, codes: list[str], deliver: Deliver
) -> None:
    """SIGKILL at any moment: the lake opens, verifies and is the old or the new one; the next run completes it."""
    old = tmp_path / "old"
    before = ingest(old, first, content).lake_digest
    size = 60_000
    large = {name: [values[at % 6] for at in range(size)] for name, values in fines.items()}
    large["文号"] = [f"K{at}" for at in range(size)]
    large["uscc"] = [codes[at % 12] for at in range(size)]
    second = deliver("second")("fines.csv", large)
    victim = tmp_path / "victim"

    def start() -> subprocess.Popen[str]:
        shutil.rmtree(victim, ignore_errors=True)
        shutil.copytree(old, victim)
        command = [sys.executable, "-c", KILLED, str(victim), str(second), str(tmp_path / "content")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    process = start()
    started = time.perf_counter()
    assert process.wait(timeout=120) == 0
    duration = time.perf_counter() - started
    after = Lake.open(victim).digest
    assert after != before
    outcomes = []
    for number in range(200):
        chance = int.from_bytes(hashlib.sha256(f"kill {number}".encode()).digest()[:8]) / 2**64
        process = start()
        try:
            process.wait(timeout=chance * 1.3 * duration)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=60) in {-signal.SIGKILL, 0}
        found = Lake.open(victim)
        found.verify()
        outcomes.append(found.digest)
        assert found.digest in {before, after}
        assert ingest(victim, second, content).lake_digest == after
        assert not list(victim.rglob(".tmp-*"))
    print(
        f"killed at {len(outcomes)} moments of {duration:.2f} s: {outcomes.count(before)} old, {outcomes.count(after)} new"
    )
    assert outcomes.count(before) > 50
