"""The repository holds no address of a package index, no machine path, no data, no binaries."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_index_address_and_no_machine_path() -> None:
    """Installing takes whatever index the machine is set up with."""
    forbidden = re.compile("--(extra-)?" + "index-url|https?://[^ \"']*/simp" + r"le\b|/ho" + r"me/\w|/wo" + r"rk/")
    for path in tracked():
        text = path.read_text("utf-8", errors="replace")
        found = forbidden.search(text)
        assert found is None, f"{path.relative_to(ROOT)}: {found.group(0) if found else ''}"


def test_content_rooms_hold_yaml_and_markdown_only() -> None:
    """No binary, no code in the declarative rooms."""
    for path in tracked():
        room = path.relative_to(ROOT).parts[0]
        if room in {"data_schemas", "models", "pipelines", "rule_packs"}:
            assert path.suffix in {".yaml", ".md"}, path


def test_no_large_or_binary_file() -> None:
    """Data and models live outside; the largest text is the lock."""
    for path in tracked():
        data = path.read_bytes()
        assert len(data) < 400_000, path
        assert b"\0" not in data, path


def test_modules_stay_small() -> None:
    """One idea a module: no source file over 500 lines."""
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text("utf-8").splitlines()) <= 500, path
