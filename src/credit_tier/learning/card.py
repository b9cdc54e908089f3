"""The model card (模型卡) that MLflow shows with a version: what was measured, then what the author of the model wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card_of(manifest: Mapping[str, Any], prose: str) -> str:
    """Return the card as Markdown, the measured figures first.

    Parameters
    ----------
    manifest : of the bundle. prose : text of `models/<model>/card.md`; empty if there is none.
    """
    figures, test, failed = manifest["metrics"], manifest["split"]["test"], manifest["failed_gates"]
    folds = manifest["split"].get("folds")
    judged = (
        ("检验期 test period", f"{test['from']} – {test['to']}")
        if folds is None
        else (
            "检验方式 tested by",
            f"{folds} 折交叉验证,非时间外 · {folds}-fold cross-validation, NOT out of time; {test['from']} – {test['to']}",
        )
    )
    ratio = [figures[f"predicted_to_observed{end}"] for end in ("", "_low", "_high")]
    rows = [
        ("用途 purpose", manifest["purpose"]),
        ("依据 legal basis", manifest["legal_basis"]),
        judged,
        ("检验样本 test rows", f"{test['rows']:,}, 正例 positive {test['positives']:,}"),
        ("AUC (95 %)", f"{figures['auc']:.3f} ({figures['auc_low']:.3f}–{figures['auc_high']:.3f})"),
        ("KS", f"{figures['ks']:.3f}"),
        ("Brier / 常数 constant", f"{figures['brier_ratio']:.3f}"),
        ("预测/实际 predicted/observed (95 %)", f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"),
        ("门槛 gates", "；".join(failed) if failed else "全部通过 all passed"),
        *_trees(manifest),
        ("模型包 bundle", manifest["digest"]),
    ]
    table = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join([f"# {manifest['title_zh']} {manifest['model']}", "", *table, "", prose]).rstrip() + "\n"


def _trees(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return rows on bridges and on settings that were searched, where a model has them."""
    trees = manifest["declaration"]["trees"]
    names = "；".join(f"{one['title_zh']} ({' × '.join(one['dimensions'])})" for one in trees["bridges"])
    rows = [("维度间桥接 bridges", names)] if names else []
    if manifest["searched_from"] is not None:
        chosen = ", ".join(f"{k} {trees[k]}" for k, v in manifest["searched_from"].items() if trees[k] != v)
        rows.append(("搜索选定的参数 settings chosen by search", chosen or "同声明 as declared"))
    return rows
