"""From catalogue, lake and spine to the feature frame: float32, one row per spine row, deterministic order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from credit_tier.canonical import digest_of
from credit_tier.errors import FeatureError
from credit_tier.features.context import context_pass
from credit_tier.features.subject import subject_pass
from credit_tier.specs.feature import FeatureSpec

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake


@dataclass(frozen=True)
class FeatureFrame:
    """Features of a spine.

    Attributes
    ----------
    frame : Narwhals frame in spine order: `enterprise_no` Int32, `as_of_day` Int32, then one Float32 column per feature.
    features : their specs, in column order.
    digest : SHA-256 over the features' declarations and the lake's digest.
    """

    frame: nw.DataFrame[Any]
    features: tuple[FeatureSpec, ...]
    digest: str

    def matrix(self) -> NDArray[np.float32]:
        """Return the values as a float32 array of shape (rows, features); NaN where a value is unknown."""
        import numpy as np

        columns = [self.frame[feature.id].to_numpy().astype(np.float32) for feature in self.features]
        return (
            np.ascontiguousarray(np.stack(columns, axis=1)) if columns else np.empty((len(self.frame), 0), np.float32)
        )


def catalogue_digest(features: tuple[FeatureSpec, ...]) -> str:
    """Return the SHA-256 of the features' declarations, in order."""
    return digest_of([feature.model_dump_json() for feature in features])


def build(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]) -> FeatureFrame:
    """Compute features for every spine row from records known before its as_of.

    Parameters
    ----------
    lake : the lake to read.
    features : specs in the wanted column order.
    spine : Narwhals frame with `row`, `enterprise_no`, `as_of_day` and attributes, from :mod:`credit_tier.features.spine`.

    Raises
    ------
    FeatureError : a feature that names a table, column or attribute that is not there.

    Source: DESIGN sections 2 and 5; `reference/performance.md` lessons 1 to 4.
    """

    _check_sources(lake, features, spine)
    spine = spine.sort("row")
    frame = spine.select("row", "enterprise_no", "as_of_day")
    own = [f for f in features if f.source != "spine" and f.group_by is None and f.shrink is None]
    for table in dict.fromkeys(f.source for f in own):
        chosen = tuple(f for f in own if f.source == table)
        frame = frame.join(subject_pass(lake, table, chosen, spine), on="row", how="left")
    context = tuple(f for f in features if f.group_by is not None or f.shrink is not None)
    if context:
        frame = frame.join(context_pass(lake, context, spine), on="row", how="left")
    attributes = [f for f in features if f.source == "spine"]
    if attributes:
        frame = frame.join(spine.select("row", *(_from_spine(f) for f in attributes)), on="row", how="left")
    finished = frame.sort("row").select("enterprise_no", "as_of_day", *(_filled(f) for f in features))
    return FeatureFrame(finished, features, digest_of([catalogue_digest(features), lake.digest]))


def _from_spine(feature: FeatureSpec) -> nw.Expr:
    """Return an attribute of the spine as a number, or whether the row meets the filter (attributes are text)."""
    import narwhals as nw

    if feature.aggregate == "attribute":
        return nw.col(feature.column or "").cast(nw.Float64).alias(feature.id)
    tests = [nw.col(c.column).is_in(list(c.values())) for c in feature.filter]
    return nw.all_horizontal(*tests, ignore_nulls=False).cast(nw.Float64).alias(feature.id)


def _filled(feature: FeatureSpec) -> nw.Expr:
    import narwhals as nw

    value = nw.col(feature.id)
    if feature.missing.fill is not None:
        value = value.fill_null(feature.missing.fill)
    return value.cast(nw.Float32)


def _check_sources(lake: Lake, features: tuple[FeatureSpec, ...], spine: nw.DataFrame[Any]) -> None:
    for feature in features:
        if feature.source == "spine":
            named = [feature.column] if feature.column else [c.column for c in feature.filter]
            for name in named:
                if name not in spine.columns:
                    raise FeatureError.of(
                        "CT-FEAT-005",
                        where=feature.id,
                        what=f"the spine has no attribute '{name}'.",
                        advice="Declare it in the model's cohort, or leave the feature out of the model.",
                    )
        elif feature.source not in lake.tables:
            raise FeatureError.of(
                "CT-FEAT-006",
                where=feature.id,
                what=f"the lake has no table '{feature.source}'.",
                advice=f"Ingest it; the lake has: {', '.join(lake.tables)}.",
            )
