"""`credit-tier content`: which declarations are in force, and whether they are sound."""

from __future__ import annotations

import typer

from credit_tier.cli.shell import ContentOption, JsonFlag, emit

app = typer.Typer(help="内容目录 · the content rooms", no_args_is_help=True)


@app.command("list")
def list_(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """列出生效的声明文件 · List the declaration files in force."""
    from credit_tier.content import ROOMS, Content

    found = Content.resolve(*(content or ()))
    files = [item for room in ROOMS for item in found.files(room)]
    emit(
        {
            "base": str(found.base),
            "overlays": [str(p) for p in found.overlays],
            "digest": found.digest(),
            "files": {f.label: f.digest for f in files},
        },
        as_json=as_json,
        lines=[f"{item.digest[:12]}  {item.label}" for item in files],
    )
