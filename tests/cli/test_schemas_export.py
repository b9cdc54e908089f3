"""`credit-tier schemas export` writes one JSON Schema per table and the dictionary, the same bytes every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from credit_tier.content import Content
from credit_tier.data.ingest import load_specs


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from credit_tier.cli.main import run; run()", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_every_table_is_exported_and_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Files are named after tables; the JSON result lists them; nothing temporary is left."""
    done = run("schemas", "export", "--out", str(tmp_path / "a"), "--json")
    assert done.returncode == 0, done.stderr
    tables = load_specs(Content.resolve())
    names = [*(f"{name}.schema.json" for name in sorted(tables)), "dictionary.html"]
    assert json.loads(done.stdout) == {"out": str(tmp_path / "a"), "tables": len(tables), "files": names}
    assert sorted(item.name for item in (tmp_path / "a").iterdir()) == sorted(names)
    for name in tables:
        assert json.loads((tmp_path / f"a/{name}.schema.json").read_text("utf-8"))["x-credit-tier"]["table"] == name
    told = run("schemas", "export", "--out", str(tmp_path / "b"))
    assert f"{len(tables)} 张表 tables" in told.stdout
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Exit code 4, and no traceback."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run("schemas", "export", "--out", str(tmp_path / "file" / "deep"))
    assert done.returncode == 4
    assert "CT-MACHINE-001" in done.stderr
    assert "Traceback" not in done.stderr
