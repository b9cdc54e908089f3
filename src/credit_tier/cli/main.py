"""`credit-tier`: the command line. Each group lives in a module of its own and imports its door inside the command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from credit_tier.cli import (
    city,
    content,
    data,
    demo,
    draw,
    features,
    model,
    monitor,
    registry,
    repair,
    rules,
    schemas_export,
    validate,
)
from credit_tier.cli.shell import debug, fail, remark
from credit_tier.errors import CreditTierError

app = typer.Typer(
    name="credit-tier",
    help="信用分级分类监管 · credit-based supervision: records → features → risk classes → verifiable draws → credit repair.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"credit-tier {version('credit-tier')}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="版本 · version")] = False,
) -> None:
    """信用分级分类监管 · credit-based supervision: records → features → risk classes → verifiable draws → credit repair."""


app.command("demo")(demo.demo)
app.command("city")(city.city)
app.command("ingest")(data.ingest)
app.command("validate")(validate.validate)
app.add_typer(data.lake_app, name="lake")
data.schemas_app.command("export")(schemas_export.export)
app.add_typer(data.schemas_app, name="schemas")
app.add_typer(features.app, name="features")
app.command("train")(model.train)
app.command("recalibrate")(model.recalibrate)
app.command("score")(model.score)
app.command("profile")(model.profile)
app.command("monitor")(monitor.monitor)
app.command("promote")(registry.promote)
app.command("rollback")(registry.rollback)
app.add_typer(registry.models_app, name="models")
app.add_typer(registry.keys_app, name="keys")
app.add_typer(draw.app, name="draw")
app.add_typer(repair.app, name="repair")
app.add_typer(rules.app, name="rules")
app.add_typer(content.app, name="content")


def run() -> None:
    """Run the command line; exit codes: 0 done, 1 finding, 2 wrong use, 3 refused, 4 machine, 5 verification failed."""
    try:
        app()
    except CreditTierError as error:
        if debug():
            raise
        fail(error, as_json="--json" in sys.argv)
    except KeyboardInterrupt:
        remark("已中断 · interrupted")
        raise SystemExit(130) from None
    except OSError as error:
        if debug():
            raise
        remark(
            f"CT-MACHINE-001 {type(error).__name__}: {error.strerror or 'the system refused'}. Check the path, rights and free space."
        )
        raise SystemExit(4) from None
    except Exception as error:
        if debug():
            raise
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{frame.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{frame.tb_lineno}" if frame else "?"
        remark(
            f"CT-BUG-001 {where}: {type(error).__name__}. This is a defect of credit_tier; CREDIT_TIER_DEBUG=1 shows the traceback."
        )
        raise SystemExit(4) from None
