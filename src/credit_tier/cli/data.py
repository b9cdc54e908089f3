"""`credit-tier ingest`, `lake` and `schemas`: deliveries go in, the lake is looked at and verified, contracts are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credit_tier.cli.shell import ContentOption, JsonFlag, Steps, emit, table

if TYPE_CHECKING:
    from credit_tier.data.databases import Database
    from credit_tier.data.report import FileReport, IngestReport
    from credit_tier.specs.dataset import Column

app = typer.Typer(help="数据 · deliveries, lake and contracts", no_args_is_help=True)
lake_app = typer.Typer(help="数据湖 · the lake", no_args_is_help=True)
schemas_app = typer.Typer(help="数据契约 · the contracts of source tables", no_args_is_help=True)
app.add_typer(lake_app, name="lake")
app.add_typer(schemas_app, name="schemas")

LakeArgument = Annotated[Path, typer.Argument(help="数据湖目录 · lake folder")]


@app.command()
def ingest(
    delivery: Annotated[
        str,
        typer.Argument(
            help="送达数据目录或数据库地址 · folder with <table>.csv, .xlsx, .parquet …, or database URL such as postgresql://reader@host/city"
        ),
    ],
    lake: LakeArgument,
    received_on: Annotated[
        str | None,
        typer.Option(
            "--received-on",
            help="送达日期 YYYY-MM-DD:拒收声称晚于此日可知的行,缺可知日期列时以此为准 · reject rows known later; known on this day if no column says it",
        ),
    ] = None,
    schema: Annotated[
        str | None, typer.Option("--schema", help="数据库模式 · schema of the tables, for a database URL")
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", metavar="OURS=THEIRS", help="表名对应 · what our table is called in the database; repeatable"
        ),
    ] = None,
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """数据入湖:校验,合格入湖,不合格隔离 · Check a delivery and take it into the lake; rows that fail go to quarantine.

    Exit code 1 if a row was quarantined or a file refused; everything else is kept.
    """
    from credit_tier.content import Content
    from credit_tier.data.ingest import ingest as take
    from credit_tier.temporal import parse_date

    source = _source(delivery, schema, tables or [])
    day = None if received_on is None else parse_date(received_on, where="--received-on")
    with Steps(quiet=as_json).step("入湖 ingest"):
        report = take(lake, source, Content.resolve(*(content or ())), received_on=day)
    emit(report.to_json(), as_json=as_json, lines=_report_lines(report))
    if not report.clean:
        raise typer.Exit(1)


def _source(delivery: str, schema: str | None, tables: list[str]) -> Path | Database:
    """Return a folder, or a database if the text is a URL."""
    from credit_tier.data.databases import Database, is_database_url
    from credit_tier.errors import UsageError

    pairs = [pair.partition("=") for pair in tables]
    is_url = is_database_url(delivery)
    if any(not (ours and theirs) for ours, _, theirs in pairs) or ((schema or tables) and not is_url):
        raise UsageError.of(
            "CT-DATA-024",
            where="--schema, --table",
            what="these go with a database URL, and a table is given as OURS=THEIRS.",
            advice="Write for example: credit-tier ingest postgresql://reader@host/city LAKE --table penalties=v_penalty.",
        )
    return Database(delivery, schema, {ours: theirs for ours, _, theirs in pairs}) if is_url else Path(delivery)


def _report_lines(report: IngestReport) -> list[str]:
    from credit_tier.data.report import advice_of

    rows = [
        [
            item.table,
            *(
                f"{number:,}"
                for number in (
                    item.rows_read,
                    item.accepted,
                    item.added,
                    item.unchanged,
                    item.duplicates,
                    item.quarantined,
                )
            ),
            f"{item.known_first}…{item.known_last}" if item.known_first else "",
        ]
        for item in report.tables
    ]
    headers = [
        "表 table",
        "读入 read",
        "合格 accepted",
        "新增 added",
        "已有 unchanged",
        "重复 duplicate",
        "隔离 quarantined",
    ]
    lines = table(f"入湖 ingest → {report.lake}", [*headers, "可知日期 known"], rows)
    broken = [
        [f"{count:,}", rule, advice_of(rule)] for item in report.tables for rule, count in sorted(item.rules.items())
    ]
    if broken:
        lines += ["", *table("隔离原因 why rows were quarantined", ["行 rows", "规则 rule", "说明 what to do"], broken)]
        lines += [f"→ {report.lake}/{item.quarantine_file}" for item in report.tables if item.quarantine_file]
    if report.refused:
        lines += ["", "拒收的文件 refused files", *(str(fault) for fault in report.refused)]
    for item in report.tables:
        for file in item.files:
            lines += _mapping_lines(item.table, file)
            if file.unmapped_columns:
                lines.append(f"未用的列 unused columns: {file.name}: {', '.join(file.unmapped_columns)}")
            if file.absent_columns:
                lines.append(f"缺少的可选列 absent optional columns: {file.name}: {', '.join(file.absent_columns)}")
            if file.footer:
                lines.append(
                    f"表尾行,不是记录 lines below the table, no records: {file.name}: {', '.join(file.footer)}"
                )
            if not file.rows:
                lines.append(f"没有数据行 no rows: {file.name}")
    if report.unknown_files:
        lines.append(f"不属于任何表 files of no table: {', '.join(report.unknown_files)}")
    lines.append(f"摘要 digest {report.lake_digest}" + ("" if report.changed else "(未变 unchanged)"))
    return lines


def _mapping_lines(name: str, file: FileReport) -> list[str]:
    """Return which header became which column, unless all headers are the columns' own names."""
    if all(column.how == "name" and not column.day_numbers for column in file.columns):
        return []
    how = {
        "name": "列名 name",
        "alias": "别名 alias",
        "title": "名称 title",
        "guessed": "推测 guessed",
        "received": "送达日期 day of receipt",
    }
    unit_from = {"header": "表头 header", "contract": "契约默认 contract's default"}
    place = f"第 {file.header_row} 行 line {file.header_row}" if file.header_row else ""
    sheet = f"工作表 sheet {file.sheet}" if file.sheet else ""
    rows = [
        [
            column.header,
            column.column,
            how[column.how],
            f"{column.unit}({unit_from[column.unit_from]})"
            if column.unit and column.unit_from
            else f"{column.day_numbers:,} 个序号日期 day numbers"
            if column.day_numbers
            else "",
        ]
        for column in file.columns
    ]
    title = " · ".join(part for part in (f"列对应 columns: {file.name} → {name}", sheet, place) if part)
    return ["", *table(title, ["表头 header", "列 column", "依据 by", "单位 unit, 推测 assumed"], rows)]


@lake_app.command("show")
def show_lake(lake: LakeArgument, as_json: JsonFlag = False) -> None:
    """数据湖概况:表、行数、截止日、摘要 · Tables, rows, cut-off and digest of a lake."""
    from credit_tier.data.lake import Lake

    found = Lake.open(lake)
    entries = {name: found.manifest.tables[name] for name in found.tables}
    facts = {
        name: {
            "title_zh": entry.contract.title_zh,
            "rows": entry.rows,
            "cutoff": entry.cutoff,
            "files": len(entry.files),
            "bytes": sum(item.bytes for item in entry.files),
            "schema_digest": entry.schema_digest,
        }
        for name, entry in entries.items()
    }
    rows = [
        [
            name,
            entry.contract.title_zh,
            f"{entry.rows:,}",
            str(entry.cutoff or ""),
            f"{sum(item.bytes for item in entry.files) / 1e6:,.1f}",
        ]
        for name, entry in entries.items()
    ]
    emit(
        {
            "register": found.register,
            "enterprises": found.enterprises,
            "cutoff": found.cutoff,
            "digest": found.digest,
            "deliveries": len(found.manifest.deliveries),
            "tables": facts,
        },
        as_json=as_json,
        lines=[
            *table(f"数据湖 lake {lake}", ["表 table", "名称 title", "行 rows", "截止 cut-off", "MB"], rows),
            f"主体 subjects {found.enterprises:,} · 送达 deliveries {len(found.manifest.deliveries)} · 截止 cut-off {found.cutoff}",
            f"摘要 digest {found.digest}",
        ],
    )


@lake_app.command("verify")
def verify_lake(lake: LakeArgument, as_json: JsonFlag = False) -> None:
    """重新计算全部文件的 SHA-256 · Recompute the SHA-256 of every file; exit code 5 names what was changed."""
    from credit_tier.data.lake import Lake, read_manifest
    from credit_tier.errors import LakeError

    manifest = read_manifest(lake)
    if manifest is None:
        raise LakeError.of(
            "CT-LAKE-001",
            where=str(lake),
            what="there is no lake here.",
            advice="Build one: credit-tier ingest DELIVERY LAKE.",
        )
    found = Lake(lake, manifest)
    found.verify()
    files = len(list(manifest.files()))
    emit(
        {"files": files, "digest": found.digest, "verified": True},
        as_json=as_json,
        lines=[f"✓ {files} 个文件一致 files agree", f"摘要 digest {found.digest}"],
    )


@schemas_app.command("list")
def list_schemas(content: ContentOption = None, as_json: JsonFlag = False) -> None:
    """列出全部数据契约 · List the contracts."""
    from credit_tier.content import Content
    from credit_tier.data.ingest import load_specs
    from credit_tier.data.lake import schema_digest
    from credit_tier.reports.dictionary import KINDS

    specs = load_specs(Content.resolve(*(content or ())))
    rows = [
        [name, spec.title_zh, KINDS[spec.kind], str(len(spec.columns)), spec.key or "—"]
        for name, spec in sorted(specs.items())
    ]
    emit(
        {
            "schemas": {
                name: {
                    "title_zh": spec.title_zh,
                    "kind": spec.kind,
                    "columns": len(spec.columns),
                    "digest": schema_digest(spec),
                }
                for name, spec in specs.items()
            }
        },
        as_json=as_json,
        lines=table(
            f"数据契约 contracts · {len(rows)}", ["表 table", "名称 title", "种类 kind", "列 columns", "主体 key"], rows
        ),
    )


@schemas_app.command("show")
def show_schema(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="表名 · table")],
    content: ContentOption = None,
    as_json: JsonFlag = False,
) -> None:
    """说明一张表的契约:列、类型、限制、可用表头 · One contract: columns, types, limits, accepted headers."""
    from credit_tier.content import Content
    from credit_tier.data.ingest import load_specs
    from credit_tier.errors import UsageError

    specs = load_specs(Content.resolve(*(content or ())))
    if name not in specs:
        raise UsageError.of(
            "CT-DATA-012",
            where=name,
            what="there is no such table.",
            advice=f"Tables are: {', '.join(sorted(specs))}.",
        )
    spec = specs[name]
    known = spec.known_at
    when = f"{known.column} + {known.delay_days} 天 days" if known.column else f"{known.fixed} ({known.reason})"
    identity = spec.record_id.column or " + ".join(
        (*spec.record_id.of, *(["序号 repeat"] if spec.record_id.repeats else []))
    )
    rows = [
        [
            column_name,
            column.type + ("" if column.unit is None else f" ({column.unit})"),
            "可空 optional" if column.nullable else "必填 required",
            column.title_zh,
            _limits(column),
            "、".join(column.aliases),
        ]
        for column_name, column in spec.columns.items()
    ]
    emit(
        spec.model_dump(mode="json"),
        as_json=as_json,
        lines=[
            *table(
                f"{spec.table} {spec.title_zh} {spec.title_en}".rstrip(),
                ["列 column", "类型 type", "必填", "名称 title", "限制 limits", "可用表头 headers"],
                rows,
            ),
            f"主体 key: {spec.key or '—'} · 记录 record: {identity} · 业务日期 event: {spec.event_on or '—'} · 可知日期 known: {when}",
            f"文件 files: {', '.join(spec.files or (spec.table,))} · 来源 source: {spec.source} · 依据 legal basis: {spec.legal_basis}",
        ],
    )


def _limits(column: Column) -> str:
    parts = []
    if column.vocabulary is not None:
        parts.append(" ".join(f"{code}={meaning}" for code, meaning in column.vocabulary.items()))
    if column.minimum is not None:
        parts.append(f"≥ {column.minimum}")
    if column.maximum is not None:
        parts.append(f"≤ {column.maximum}")
    if column.pattern is not None:
        parts.append(f"/{column.pattern}/")
    return ", ".join(parts)
