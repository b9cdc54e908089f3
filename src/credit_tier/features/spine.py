"""The spine (观测表): rows (subject, as_of) for which features are wanted, with what is known before as_of."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from credit_tier.data import engines
from credit_tier.errors import FeatureError
from credit_tier.features.conditions import AS_OF, bind
from credit_tier.features.values import register_column
from credit_tier.features.visible import is_visible
from credit_tier.specs.condition import Condition
from credit_tier.specs.model import EventCohort, GridCohort, ModelSpec
from credit_tier.temporal import add_months, day_number

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    from numpy.typing import NDArray

    from credit_tier.data.lake import Lake


def grid_dates(cohort: GridCohort, until: date) -> list[date]:
    """Return the as_of dates of a grid up to and including `until`.

    >>> from credit_tier.specs.model import GridCohort
    >>> [str(d) for d in grid_dates(GridCohort(kind="grid", every_months=6, first=date(2024, 1, 1)), date(2025, 1, 1))]
    ['2024-01-01', '2024-07-01', '2025-01-01']
    """
    dates = []
    step = 0
    while (day := add_months(cohort.first, step)) <= until:
        dates.append(day)
        step += cohort.every_months
    return dates


def grid(lake: Lake, where: tuple[Condition, ...], dates: list[date]) -> nw.DataFrame[Any]:
    """Return one row per date and subject whose register record, visible at that date, meets the conditions.

    Returns
    -------
    frame sorted by as_of, subject: `row` Int64 (0..n-1), `enterprise_no` Int32, `as_of_day` Int32.

    Raises
    ------
    FeatureError (CT-FEAT-010) if there is no date, or no subject at any of them.
    """
    import narwhals as nw

    if not dates:
        raise FeatureError.of(
            "CT-FEAT-010", what="the cohort has no as_of date.", advice="Check 'first' against the data cut-off."
        )
    import numpy as np

    spec = lake.spec(lake.register)
    columns = dict.fromkeys(["enterprise_no", "known_day", "superseded_day", *(c.column for c in where)])
    register = lake.frame(lake.register).select(*columns)
    days = [day_number(as_of) for as_of in sorted(dates)]
    members = []
    for day in days:
        seen = register.filter(is_visible(nw.lit(day))).with_columns(nw.lit(day).cast(nw.Int32).alias(AS_OF))
        found = seen.filter(bind(where, spec, knows_as_of=True)).select("enterprise_no").collect()
        members.append(found["enterprise_no"].to_numpy())
    subject = np.concatenate(members)
    if len(subject) == 0:
        raise _empty()
    as_of_day = np.repeat(np.array(days, np.int32), [len(part) for part in members])
    return engines.frame({"row": np.arange(len(subject)), "enterprise_no": subject, AS_OF: as_of_day})


def observations(lake: Lake, model: ModelSpec) -> nw.DataFrame[Any]:
    """Return the spine from which a model learns, up to the data cut-off of its label's table."""
    if isinstance(model.cohort, EventCohort):
        return events(lake, model.cohort)
    return grid(lake, model.cohort.where, grid_dates(model.cohort, lake.cutoff_of(model.label.source)))


def events(lake: Lake, cohort: EventCohort) -> nw.DataFrame[Any]:
    """Return one row per subject and day on which records of the cohort's table happened.

    Returns
    -------
    frame sorted by as_of, subject: `row`, `enterprise_no`, `as_of_day`, and the cohort's attributes as text.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, CT-FEAT-010 no such record.
    """
    import narwhals as nw

    spec = lake.spec(cohort.source)
    missing = sorted(set(cohort.attributes.values()) - set(spec.columns))
    if missing:
        raise FeatureError.of(
            "CT-FEAT-001",
            where=f"{cohort.source}.{missing[0]}",
            what="a spine attribute names a column that the table does not have.",
            advice=f"Columns are: {', '.join(spec.columns)}.",
        )
    attributes = [
        nw.col(column).cast(nw.String).fill_null("").min().alias(name) for name, column in cohort.attributes.items()
    ]
    days = _announced(lake, cohort).group_by("enterprise_no", AS_OF).agg(*attributes)
    return _numbered(days, list(cohort.attributes))


def _announced(lake: Lake, cohort: EventCohort) -> nw.LazyFrame[Any]:
    """Return the cohort's records as they were announced: later corrections of what happened are not known before as_of."""
    import narwhals as nw

    first = nw.col("known_day") == nw.col("known_day").min().over("record_id")
    found = lake.frame(cohort.source).filter(first)
    found = found.filter(bind(cohort.where, lake.spec(cohort.source), knows_as_of=False))
    return found.with_columns(nw.col("event_day").alias(AS_OF))


def inclusion(lake: Lake, cohort: EventCohort, column: str, spine: nw.DataFrame[Any]) -> NDArray[np.float64]:
    """Return with what probability the subject of each row was drawn, NaN where no record of the day says; shape (rows,).

    Of several records of one day, drawn by several departments, the largest probability counts: the row would be there with any.

    Raises
    ------
    FeatureError : CT-FEAT-001 unknown column, CT-FEAT-011 a value that is not above 0 and at most 1.
    """
    import narwhals as nw
    import numpy as np

    if column not in lake.spec(cohort.source).columns:
        raise FeatureError.of(
            "CT-FEAT-001",
            where=f"{cohort.source}.{column}",
            what="the selection names a column that the table does not have.",
        )
    drawn = _announced(lake, cohort).group_by("enterprise_no", AS_OF).agg(nw.col(column).max().alias("probability"))
    rows = spine.lazy().select("row", "enterprise_no", AS_OF).join(drawn, on=["enterprise_no", AS_OF], how="left")
    found = rows.sort("row").collect()["probability"].cast(nw.Float64).fill_null(float("nan")).to_numpy()
    wrong = int(((found <= 0) | (found > 1)).sum())
    if wrong:
        raise FeatureError.of(
            "CT-FEAT-011",
            where=f"{cohort.source}.{column}",
            what=f"{wrong} 行的入样概率不在 (0, 1] 内 · {wrong} rows have a probability that is not above 0 and at most 1.",
            advice="Correct the column where it is made, or leave the rows empty.",
        )
    return np.asarray(found)


def _numbered(rows: nw.LazyFrame[Any], attributes: list[str]) -> nw.DataFrame[Any]:
    import narwhals as nw

    frame = rows.sort(AS_OF, "enterprise_no").collect().with_row_index("row")
    if len(frame) == 0:
        raise _empty()
    return frame.select(
        nw.col("row").cast(nw.Int64), nw.col("enterprise_no").cast(nw.Int32), nw.col(AS_OF).cast(nw.Int32), *attributes
    )


def _empty() -> FeatureError:
    return FeatureError.of(
        "CT-FEAT-010",
        what="the cohort is empty.",
        advice="Check its conditions against the lake (credit-tier lake show).",
    )


def register_columns(lake: Lake, spine: nw.DataFrame[Any], names: list[str]) -> nw.DataFrame[Any]:
    """Return `row` and columns of the register's record visible at each row's as_of, empty where none is.

    Raises
    ------
    FeatureError (CT-FEAT-001) if the register has no such column.
    """
    import narwhals as nw

    for name in names:
        register_column(name, lake)
    known = lake.frame(lake.register).select("enterprise_no", "known_day", "superseded_day", *names)
    rows = spine.lazy().select("row", "enterprise_no", AS_OF)
    found = rows.join(known, on="enterprise_no", how="inner").filter(is_visible(nw.col(AS_OF))).select("row", *names)
    return rows.select("row").join(found, on="row", how="left").sort("row").collect()


def scoring(lake: Lake, model: ModelSpec, as_of: date) -> nw.DataFrame[Any]:
    """Return the subjects that a model scores at one as_of.

    An event cohort's attributes are those of the subject's latest visible record of its kind (the next event is taken to be
    planned like it), empty where there is none.

    Raises
    ------
    FeatureError (CT-FEAT-010) if nobody is to be scored.
    """
    import narwhals as nw

    if isinstance(model.cohort, GridCohort):
        return grid(lake, (model.population or model.cohort).where, [as_of])
    cohort = model.cohort
    day = day_number(as_of)
    known = lake.frame(cohort.source).filter(
        is_visible(nw.lit(day)),
        nw.col("event_day") < day,
        bind(cohort.where, lake.spec(cohort.source), knows_as_of=False),
    )
    latest = [
        nw.col(column).cast(nw.String).fill_null("").last(order_by=["event_day", "record_id"]).alias(name)
        for name, column in cohort.attributes.items()
    ]
    planned = known.group_by("enterprise_no").agg(nw.col("known_day").max().alias("last_known"), *latest)
    attributes = list(cohort.attributes)
    if model.population is None:
        rows = planned.with_columns(nw.lit(day).cast(nw.Int32).alias(AS_OF)).select("enterprise_no", AS_OF, *attributes)
        return _numbered(rows, attributes)
    members = grid(lake, model.population.where, [as_of])
    if not attributes:
        return members
    joined = members.lazy().join(planned.select("enterprise_no", *attributes), on="enterprise_no", how="left")
    return joined.with_columns(*(nw.col(name).fill_null("") for name in attributes)).sort("row").collect()
