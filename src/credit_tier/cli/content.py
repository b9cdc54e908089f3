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


@app.command()
def lint(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """检查全部声明 · Read every declaration strictly and check what they say of each other; report all faults at once."""
    from credit_tier.content import Content
    from credit_tier.errors import ContentError
    from credit_tier.specs.together import check

    found = Content.resolve(*(content or ()))
    faults, read = check(found)
    if faults:
        raise ContentError(*faults)
    emit({"files": read, "faults": 0}, as_json=as_json, lines=[f"{read} 个文件,没有问题 · {read} files, no fault"])
