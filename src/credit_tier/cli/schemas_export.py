"""`credit-tier schemas export`: the contracts as JSON Schema files and one data dictionary page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from credit_tier.cli.shell import ContentOption, JsonFlag, emit

DICTIONARY = "dictionary.html"


def export(
    *,
    out: Annotated[Path, typer.Option("--out", help="输出目录 · folder to write into")],
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """导出契约:每表一个 JSON Schema,一页数据字典 · Export contracts: a JSON Schema per table and one data dictionary page."""
    import json

    from credit_tier.content import Content
    from credit_tier.data.ingest import load_specs
    from credit_tier.data.json_schema import json_schema
    from credit_tier.files import write_text
    from credit_tier.reports.dictionary import dictionary
    from credit_tier.reports.page import write

    specs = load_specs(Content.resolve(*(content or ())))
    written = []
    for name, spec in sorted(specs.items()):
        path = out / f"{name}.schema.json"
        write_text(path, json.dumps(json_schema(spec), ensure_ascii=False, indent=2) + "\n")
        written.append(path)
    written.append(write(out / DICTIONARY, dictionary(specs)))
    emit(
        {"out": str(out), "tables": len(specs), "files": [path.name for path in written]},
        as_json=as_json,
        lines=[f"{len(specs)} 张表 tables", *(f"→ {path}" for path in written)],
    )
