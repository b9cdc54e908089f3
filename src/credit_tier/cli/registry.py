"""`credit-tier promote`, `rollback`, `models`, `keys`: which model is in use, who decided so, and whose signature counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from credit_tier.cli.shell import JsonFlag, emit, table

if TYPE_CHECKING:
    from datetime import datetime

    from credit_tier.learning.promotion import Decision

ModelArgument = Annotated[str, typer.Argument(help="模型名 · model")]
StoreOption = Annotated[Path, typer.Option("--store", help="MLflow 存储目录 · folder of the MLflow store")]
WhoOption = Annotated[str, typer.Option("--who", help="决定人 · who decides")]
WhyOption = Annotated[str, typer.Option("--why", help="理由 · why")]
KeyOption = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="CREDIT_TIER_SIGNING_KEY",
        help="签名私钥文件,缺省用模型库自己的 · private key file to sign with; the store's own if not given",
    ),
]
TrustOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust",
        envvar="CREDIT_TIER_TRUSTED_KEYS",
        help="可信公钥文件或目录,代替模型库 trusted/ · trusted public keys, files or folders, in place of the store's",
    ),
]

models_app = typer.Typer(help="模型库 · versions of models, and the decisions about them", no_args_is_help=True)
keys_app = typer.Typer(help="签名密钥 · keys that sign models", no_args_is_help=True)


def promote(
    model: ModelArgument,
    store: StoreOption,
    who: WhoOption,
    why: WhyOption,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="版本号,缺省为候选 · version; the challenger if not given")
    ] = None,
    trust: TrustOption = None,
    as_json: JsonFlag = False,
) -> None:
    """启用模型为现役 · Make a version the champion; exit 3 if a gate failed, it does not open, or the champion is better."""
    from credit_tier import training

    _tell(
        training.promote(store, model, version=version, who=who, why=why, at=_now(), trust=trust or ()),
        as_json=as_json,
    )


def rollback(
    model: ModelArgument,
    store: StoreOption,
    who: WhoOption,
    why: WhyOption,
    trust: TrustOption = None,
    as_json: JsonFlag = False,
) -> None:
    """回退到上一个现役模型 · Bring the champion before this one back into use."""
    from credit_tier import training

    _tell(training.rollback(store, model, who=who, why=why, at=_now(), trust=trust or ()), as_json=as_json)


@models_app.command("list")
def list_models(store: StoreOption, as_json: JsonFlag = False) -> None:
    """列出全部版本及别名 · List all versions with their aliases."""
    from credit_tier.learning import tracking

    found = tracking.versions(store)
    rows = [[v.model, str(v.number), " ".join(v.aliases), f"{v.metrics['auc']:.3f}", v.bundle[:16]] for v in found]
    told = [
        {"model": v.model, "version": v.number, "aliases": list(v.aliases), "auc": v.metrics["auc"], "bundle": v.bundle}
        for v in found
    ]
    headers = ["模型 model", "版本 version", "别名 aliases", "AUC", "模型包 bundle"]
    emit({"versions": told}, as_json=as_json, lines=table("版本 versions", headers, rows))


@models_app.command("show")
def show(
    model: ModelArgument,
    store: StoreOption,
    version: Annotated[str, typer.Option("--version", help="版本号或别名 · version number or alias")] = "champion",
    trust: TrustOption = None,
    as_json: JsonFlag = False,
) -> None:
    """查看一个版本,并逐字节核对其模型包 · Show one version after checking every byte of its bundle."""
    from credit_tier.learning import signing, tracking
    from credit_tier.learning.bundle import Bundle

    found = tracking.find(store, model, version)
    bundle = Bundle.open(found.folder, trusted=signing.trusted_by_store(store, trust or ()))
    emit(
        {
            "model": model,
            "version": found.number,
            "aliases": list(found.aliases),
            "bundle": bundle.digest,
            "folder": str(found.folder),
            "signer": bundle.signer.fingerprint,
            "trusted_as": bundle.signer.trusted_as,
            "metrics": bundle.manifest["metrics"],
            "failed_gates": bundle.manifest["failed_gates"],
            "card": found.description,
            "tags": dict(found.tags),
        },
        as_json=as_json,
        lines=[
            f"{model} {found.number} {' '.join(found.aliases)}",
            str(bundle.signer),
            f"→ {found.folder}",
            "",
            *found.description.splitlines(),
        ],
    )


@models_app.command("log")
def log(store: StoreOption, as_json: JsonFlag = False) -> None:
    """决定记录,并核对其链 · The log of decisions; exit 5 if its chain is broken, or MLflow holds other digests."""
    from dataclasses import asdict

    from credit_tier.learning import promotion

    found = promotion.decisions(store)
    apart = promotion.unconfirmed(store, found)
    actions = {"promoted": "启用 promoted", "rolled_back": "回退 rolled back", "refused": "拒绝 refused"}
    rows = [
        [str(d.sequence), d.at, actions[d.action], d.model, str(d.version), d.who, d.why, " ".join(d.faults)]
        for d in found
    ]
    headers = ["序 no", "时间 at", "决定 action", "模型 model", "版本 version", "决定人 who", "理由 why", "缘由 faults"]
    emit(
        {"decisions": [asdict(d) for d in found], "unconfirmed": list(apart)},
        as_json=as_json,
        lines=[
            *table("决定记录 decisions", headers, rows),
            *(f"与 MLflow 标签不一致 · MLflow does not say the same of {name}" for name in apart),
        ],
    )
    if apart:
        raise typer.Exit(5)


@keys_app.command("new")
def new_key(
    folder: Annotated[Path, typer.Argument(help="目录 · folder")],
    name: Annotated[str, typer.Option("--name", help="密钥名,如单位或人 · name of the key")] = "signing",
    as_json: JsonFlag = False,
) -> None:
    """生成签名密钥对,私钥仅本人可读 · Make a pair of keys; only the owner can read the private one."""
    from credit_tier.learning import signing

    private, public = signing.new_key(folder, name)
    emit(
        {"private": str(private), "public": str(public)},
        as_json=as_json,
        lines=[
            f"私钥 private key → {private} (保密,勿拷贝 · keep secret)",
            f"公钥 public key → {public} (放入模型库的 {signing.TRUSTED}/ · goes into the store's folder '{signing.TRUSTED}')",
        ],
    )


def _now() -> datetime:
    """Return the wall clock: a decision is an act of a person, the one thing here that has a time of its own."""
    from datetime import datetime

    return datetime.now().astimezone()


def _tell(decision: Decision, *, as_json: bool) -> None:
    from dataclasses import asdict

    before = "无 none" if decision.champion is None else str(decision.champion)
    emit(
        asdict(decision),
        as_json=as_json,
        lines=[
            f"{decision.model}: 现役版本 champion {before} → {decision.version} · {decision.bundle}",
            *([decision.compared] if decision.compared else []),
            f"决定记录 decision {decision.sequence} · {decision.at} · {decision.who}: {decision.why}",
        ],
    )
