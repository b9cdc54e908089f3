"""The page that verifies in a browser says what the Python verifier says: of sound files, and of every kind of tampering."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from credit_tier import draws
from credit_tier.canonical import canonical_json
from credit_tier.sampling import verify
from credit_tier.specs.plan import PlanSpec

PAGE = Path(verify.__file__).with_suffix(".html")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NAMES = ("commitment.json", "rules.json", "record.json", "public.json", "plan.json", "secret.json", "frame.jsonl")
DRIVER = """
<script>
(async () => {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const told = [];
  try {
    const { base, cases } = await (await fetch("/cases")).json();
    for (const item of cases) {
      const files = new Map(item.only ? [] : Object.entries(base).map(([name, text]) => [name, bytes(text)]));
      for (const [name, text] of Object.entries(item.files)) text === null ? files.delete(name) : files.set(name, bytes(text));
      told.push(await verifyDraw(files, item.options ?? {}));
    }
    const chosen = new DataTransfer();
    for (const [name, text] of Object.entries(base)) chosen.items.add(new File([bytes(text)], name));
    document.getElementById("files").files = chosen.files;
    await show();
    await fetch("/told", { method: "POST", body: JSON.stringify({ told, page: document.getElementById("result").innerText }) });
  } catch (error) {
    await fetch("/told", { method: "POST", body: JSON.stringify({ error: String(error.stack || error), told }) });
  }
})();
</script>
"""


def encoded(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def in_browser(base: dict[str, bytes], cases: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Open the page in a headless browser, let it verify all cases, and return what it says."""
    page = PAGE.read_text(encoding="utf-8").replace("default-src 'none'", "default-src 'self'") + DRIVER
    body = json.dumps({"base": {name: encoded(data) for name, data in base.items()}, "cases": cases}).encode()
    done, found = threading.Event(), {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = body if self.path == "/cases" else page.encode()
            self.send_response(200)
            kind = "application/json" if self.path == "/cases" else "text/html; charset=utf-8"
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            found.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            done.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [
            str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'browser'}",
            f"http://127.0.0.1:{server.server_port}/",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                assert done.wait(240), "the browser did not answer"
            finally:
                browser.terminate()
        server.shutdown()
    assert "error" not in found, found["error"]
    return found


def flipped(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]


def changed(value: Any) -> Iterator[Any]:
    """Yield a JSON value with one leaf changed, for every leaf, some lists shortened or doubled, and a key taken out."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: inner for name, inner in value.items() if name != key}
            for other in changed(item):
                yield {**value, key: other}
    elif isinstance(value, list):
        if value:
            yield value[1:]
            yield [*value, value[0]]
        for place, item in enumerate(value[:2]):
            for other in changed(item):
                yield [*value[:place], other, *value[place + 1 :]]
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield str(value)
    elif isinstance(value, str):
        yield value[:-1] + ("0" if value[-1:] != "0" else "1")
        yield None
    else:
        yield 0


@pytest.fixture
def browser() -> None:
    if BROWSER is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no browser: make system-deps brings Chromium")
        pytest.skip("no browser: `make system-deps` brings Chromium (as root)")


def by_python(base: dict[str, bytes], case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the Python verifier's verdict on the same files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = {} if case.get("only") else dict(base)
    for name, text in case["files"].items():
        if text is None:
            files.pop(name)
        else:
            files[name] = base64.b64decode(text)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    path, public = folder, None
    if case.get("only"):
        path = folder / case["only"]
        public = folder / "public.json" if case["only"] == "proof.json" and "public.json" in files else None
    return verify.verify(path, public=public, **case.get("options", {}))


def test_the_page_agrees_with_the_verifier(drawn, tmp_path: Path, units, browser) -> None:
    """Sound folders, public files and proofs hold; flipped bytes, changed leaves, missing files and wrong published values do not.

    Both name the same broken step, whatever was changed.
    """
    base = {name: (drawn / name).read_bytes() for name in NAMES}
    record = json.loads(base["record.json"])
    won = next(draws.DrawRecord.open(drawn).entries())["code"]
    proofs = {
        name: canonical_json(draws.proof(drawn, code)) + b"\n"
        for name, code in (("won", won), ("any", units[5]["code"]))
    }
    commitment = json.loads(base["commitment.json"])["commitment"]
    cases: list[dict[str, Any]] = [
        {"files": {}},
        {"files": {}, "options": {"commitment": commitment, "beacon": record["beacon"]}},
        {"files": {}, "options": {"commitment": commitment[::-1]}},
        {"files": {}, "options": {"beacon": "7"}},
        *({"files": {name: None}} for name in NAMES),
        {"only": "public.json", "files": {"public.json": encoded(base["public.json"])}},
        {"only": "public.json", "files": {"public.json": encoded(base["public.json"])}, "options": {"beacon": "7"}},
    ]
    for data in proofs.values():
        alone = {"proof.json": encoded(data)}
        cases += [
            {"only": "proof.json", "files": alone},
            {"only": "proof.json", "files": {**alone, "public.json": encoded(base["public.json"])}},
        ]
    sound = [case for case in cases if case.get("options", {}).get("beacon") != "7"]
    for name in NAMES:
        size = len(base[name])
        for step in range(16):
            place = (step * 2654435761 + size // 3) % size
            cases.append({"files": {name: encoded(flipped(base[name], place, step % 7))}})
    for name in ("commitment.json", "rules.json", "record.json", "public.json", "plan.json"):
        whole = list(changed(json.loads(base[name])))
        for other in whole[:: max(1, len(whole) // 40)]:
            cases.append({"files": {name: encoded(canonical_json(other) + b"\n")}})
    for name, data in (("proof.json", proofs["won"]), ("public.json", base["public.json"])):
        whole = list(changed(json.loads(data)))
        for other in whole[:: max(1, len(whole) // 40)]:
            cases.append({"only": name, "files": {name: encoded(canonical_json(other) + b"\n")}})
    found = in_browser(base, cases, tmp_path)
    assert "everything holds (auditor)" in found["page"]
    assert len(found["told"]) == len(cases) > 250
    differing = [
        (number, case.get("only"), case.get("options"), list(case["files"]), told, expected)
        for number, (case, told) in enumerate(zip(cases, found["told"], strict=True))
        if told != (expected := by_python(base, case, tmp_path / "case"))
    ]
    assert not differing, "\n".join(map(str, differing[:8]))
    assert sum(told["holds"] for told in found["told"]) >= len(sound) - 5
    assert sum(not told["holds"] for told in found["told"]) > 200


@pytest.mark.usefixtures("browser")
def test_the_page_recomputes_burden_days_and_optimal_sizes(tmp_path: Path, units: Any, spec: Any, secret: str) -> None:
    """What the plans of other tests leave out: chances lowered by earlier visits, inspector-days, whole and fractional optimal sizes.

    A size that was changed afterwards is found.
    """
    optimal = {
        "reference": "测试",
        "verified": False,
        "title_zh": "测试",
        "allocation": {"kind": "neyman", "expected": {"A": "2%", "B": "8%", "C": "25%", "D": "50%"}},
        "burden": {"column": "visits", "factor": "2/3", "floor": "1/4", "most": 2},
    }
    days = {"column": "district", "values": {"320583": "3/2", "320507": "1/3"}}
    wanted = [
        {**optimal, "department": "one", "strata": ["district", "risk_class"], "inspector_days": "123/4", "days": days},
        {**optimal, "department": "two", "strata": ["risk_class"], "budget": 50, "caps": {"D": "1/2"}, "size": "staff"},
    ]
    changed_spec = PlanSpec.model_validate({**spec.model_dump(mode="json"), "departments": wanted})
    folder = tmp_path / "draw"
    plan = draws.plan([{**unit, "visits": i % 4} for i, unit in enumerate(units)], changed_spec)
    draws.commit(plan, folder, secret=secret)
    draws.run(folder, beacon="1")
    base = {name: (folder / name).read_bytes() for name in NAMES}
    assert verify.verify(folder)["holds"]
    record = json.loads(base["record.json"])
    first = record["departments"][0]["strata"][0]
    first["size"] = "2"
    cases = [{"files": {}}, {"files": {"record.json": encoded(canonical_json(record) + b"\n")}}]
    told = in_browser(base, cases, tmp_path)["told"]
    assert [item["broken"] for item in told] == [None, "sizes"]
    assert told[1] == by_python(base, cases[1], tmp_path / "case")


def test_the_page_names_no_other_place() -> None:
    """No address, no import, nothing loaded: the policy of the page forbids any connection."""
    text = PAGE.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "://" not in text
    assert "import(" not in text
