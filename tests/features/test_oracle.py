"""Features equal a slow oracle in plain Python, and know nothing of what became known on or after as_of."""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("polars")

from credit_tier.features import build as builder
from credit_tier.features import frames
from credit_tier.features import spine as spines
from credit_tier.specs.condition import Condition
from credit_tier.specs.feature import FeatureSpec
from credit_tier.temporal import date_of

START = dt.date(2024, 1, 1)
RANDOM = {"column": "kind", "equals": "random"}
FOUND = {"column": "found", "equals": "true"}


def spec(id_: str, **given_: object) -> FeatureSpec:
    base: dict[str, object] = {
        "id": id_,
        "title_zh": id_,
        "dimension": "d",
        "source": "checks",
        "missing": {"policy": "unknown"},
        "unit": "x",
        "direction": "0",
        "legal_basis": "x",
    }
    return FeatureSpec.model_validate({**base, **given_})


FEATURES = (
    spec("count_all", aggregate="count", missing={"policy": "zero"}),
    spec("count_30", aggregate="count", window={"days": 30}, filter=[RANDOM]),
    spec(
        "exists_open",
        aggregate="exists",
        filter=[{"column": "cured_on", "is_null": "true"}],
        missing={"policy": "value", "value": -1},
    ),
    spec("cured_before", aggregate="count", filter=[{"column": "cured_on", "at_most": "as_of"}]),
    spec("fine_sum", aggregate="sum", column="fine", window={"days": 60}),
    spec("fine_mean", aggregate="mean", column="fine"),
    spec("share_mean", aggregate="mean", column="share", window={"days": 90}),
    spec("fine_max", aggregate="max", column="fine", filter=[{"column": "fine", "at_least": "10.5"}]),
    spec("grade_min", aggregate="min", column="grade"),
    spec("grade_last", aggregate="last", column="grade", filter=[{"column": "kind", "not_one_of": ["campaign"]}]),
    spec("days_since_found", aggregate="days_since", filter=[FOUND]),
    spec(
        "looked", aggregate="count", filter=[{"column": "ways", "one_of": ["look", "test"]}], missing={"policy": "zero"}
    ),
    spec("not_asked", aggregate="share", numerator=[{"column": "ways", "not_one_of": ["ask"]}]),
    spec("only_looked", aggregate="count", filter=[{"column": "ways", "equals": "look"}], group_by=["area"]),
    spec("days_since_cured", aggregate="days_since", column="cured_on"),
    spec("kinds", aggregate="n_unique", column="kind", window={"days": 90}),
    spec("found_share", aggregate="share", numerator=[FOUND], window={"days": 90}),
    spec("trend", aggregate="trend", window={"days": 60}),
    spec("clean_streak", aggregate="streak", numerator=[{"column": "found", "equals": "false"}]),
    spec(
        "cured_streak",
        aggregate="streak",
        numerator=[{"column": "cured_on", "at_most": "as_of"}],
        filter=[FOUND],
        window={"days": 120},
        missing={"policy": "zero"},
    ),
    spec(
        "linked_found",
        aggregate="n_unique",
        column="firm",
        filter=[FOUND],
        window={"days": 90},
        via={"table": "links", "column": "other"},
    ),
    spec(
        "linked_open",
        aggregate="exists",
        filter=[{"column": "cured_on", "at_least": "as_of"}],
        via={"table": "links", "column": "other", "filter": [{"column": "kind", "equals": "owner"}]},
        missing={"policy": "zero"},
    ),
    spec(
        "linked_fine",
        aggregate="max",
        column="fine",
        via={"table": "links", "column": "other", "filter": [{"column": "ended_on", "is_null": "true"}]},
    ),
    spec(
        "linked_days",
        aggregate="days_since",
        filter=[RANDOM],
        via={"table": "links", "column": "other", "filter": [{"column": "ended_on", "at_least": "as_of"}]},
    ),
    spec(
        "linked_in_x",
        source="firms",
        aggregate="n_unique",
        column="firm",
        filter=[{"column": "area", "equals": "x"}],
        via={"table": "links", "column": "other"},
    ),
    spec("age", source="firms", aggregate="days_since", column="founded_on"),
    spec("area_count", aggregate="count", group_by=["area"], window={"days": 60}),
    spec(
        "area_found", aggregate="share", numerator=[FOUND], group_by=["area"], window={"days": 90}, shrink={"weight": 3}
    ),
    spec(
        "kind_area_fine",
        aggregate="mean",
        column="fine",
        group_by=["area"],
        filter=[RANDOM],
        shrink={"weight": 2, "towards": ["area"]},
    ),
    spec(
        "area_cured",
        aggregate="share",
        numerator=[{"column": "cured_on", "at_most": "as_of"}],
        filter=[FOUND],
        group_by=["area"],
        window={"days": 120},
    ),
    spec("area_uncured", aggregate="count", filter=[{"column": "cured_on", "at_least": "as_of"}], group_by=["area"]),
    spec("kind_fines", aggregate="sum", column="fine", group_by=["area", "founded_on"], filter=[RANDOM]),
    spec("own_by_kind", aggregate="count", group_by=["firm", "area"], window={"days": 90}),
    spec("all_fines", aggregate="sum", column="fine", group_by=[], window={"days": 45}),
    spec("own_found", aggregate="share", numerator=[FOUND], shrink={"weight": 5}, window={"days": 90}),
)


# ------------------------------------------------------------------------------------------------------------------ the oracle


def seen_at(rows: list[dict], key: str, as_of: dt.date) -> list[dict]:
    """Latest version of each record known before as_of."""
    latest: dict[object, dict] = {}
    for row in sorted(rows, key=lambda r: r["seen_on"]):
        if row["seen_on"] < as_of:
            latest[row[key]] = row
    return list(latest.values())


def holds(row: dict, tests: tuple[Condition, ...], as_of: dt.date) -> bool:
    for test in tests:
        value = row[test.column]
        if test.is_null is not None:
            if (value is None) != test.is_null:
                return False
            continue
        if value is None:
            return False

        def read(text: str, like: object = value) -> object:
            if text == "as_of":
                return as_of
            if isinstance(like, bool):
                return text == "true"
            return float(text) if isinstance(like, float) else text

        if test.equals is not None and value != read(test.equals):
            return False
        held = set(value.split(";")) if test.column == "ways" else {value}
        if test.one_of is not None and not held & set(test.one_of):
            return False
        if test.not_one_of is not None and held & set(test.not_one_of):
            return False
        if test.at_least is not None and not value >= read(test.at_least):
            return False
        if test.at_most is not None and not value <= read(test.at_most):
            return False
    return True


def number(feature: FeatureSpec, value: object) -> float | None:
    if value is None:
        return None
    if feature.column == "fine":
        return round(float(value) * 100)  # fen
    if feature.column == "grade":
        return ["low", "middle", "high"].index(value)
    return float(value)


def aggregate(feature: FeatureSpec, rows: list[dict], as_of: dt.date) -> tuple[float, float]:
    """Numerator and denominator of a mean or share."""
    if feature.aggregate == "share":
        return sum(holds(r, feature.numerator, as_of) for r in rows), len(rows)
    values = [v for r in rows if (v := number(feature, r[feature.column])) is not None]
    return sum(values), len(values)


def expected(world, feature: FeatureSpec, firm: str, as_of: dt.date) -> float:
    fill = feature.missing.fill
    fill = math.nan if fill is None else fill
    firms = {f["firm"]: f for f in seen_at(world.firms, "firm", as_of)}
    if feature.via is not None:
        return over_links(world, feature, firm, as_of, fill)
    if feature.source == "firms":
        return (as_of - firms[firm]["founded_on"]).days if firm in firms else fill
    low = as_of - dt.timedelta(days=feature.window.days) if feature.window.days else dt.date.min
    rows = [
        r
        for r in seen_at(world.checks, "check_no", as_of)
        if low <= r["happened_on"] < as_of and holds(r, feature.filter, as_of)
    ]
    if feature.group_by is not None or feature.shrink is not None:

        def members(group) -> list[dict]:
            if group is None:
                return [r for r in rows if r["firm"] == firm]
            if not group:
                return rows
            return [r for r in rows if when_usable(world, r, group) == group_values(firms.get(firm), group)]

        own = members(feature.group_by)
        if feature.aggregate == "count":
            return len(own) if own else fill
        if feature.aggregate == "sum":
            return sum(number(feature, r[feature.column]) or 0 for r in own) if own else fill
        top, bottom = aggregate(feature, own, as_of)
        if feature.shrink is None:
            return top / bottom if bottom else fill
        wide_top, wide_bottom = aggregate(feature, members(feature.shrink.towards), as_of)
        weight = feature.shrink.weight
        return (top + weight * wide_top / wide_bottom) / (bottom + weight) if wide_bottom else fill
    own = sorted((r for r in rows if r["firm"] == firm), key=lambda r: (r["happened_on"], r["check_no"]))
    if not own:
        return fill
    values = (
        []
        if feature.column in {None, "kind", "cured_on"}
        else [v for r in own if (v := number(feature, r[feature.column])) is not None]
    )
    match feature.aggregate:
        case "count":
            return len(own)
        case "exists":
            return 1
        case "sum":
            return sum(values)
        case "mean":
            return sum(values) / len(values) if values else fill
        case "max":
            return max(values, default=fill)
        case "min":
            return min(values, default=fill)
        case "last":
            last = number(feature, own[-1][feature.column])
            return fill if last is None else last
        case "days_since":
            when = own[-1]["happened_on"] if feature.column is None else own[-1][feature.column]
            return fill if when is None else (as_of - when).days
        case "n_unique":
            return len({r["kind"] for r in own})
        case "share":
            return sum(holds(r, feature.numerator, as_of) for r in own) / len(own)
        case "streak":
            fails = [i for i, r in enumerate(own) if not holds(r, feature.numerator, as_of)]
            return len(own) - 1 - max(fails, default=-1)
        case _:
            late = sum(r["happened_on"] >= as_of - dt.timedelta(days=feature.window.days // 2) for r in own)
            return 2 * late - len(own)


def over_links(world, feature: FeatureSpec, firm: str, as_of: dt.date, fill: float) -> float:
    """The records of the firms to which the firm's links lead."""
    others = {
        link["other"]
        for link in seen_at(world.links, "link_no", as_of)
        if link["firm"] == firm
        and link["began_on"] < as_of
        and link["other"] != firm
        and holds(link, feature.via.filter, as_of)
    }
    if feature.source == "firms":
        rows = [r for r in seen_at(world.firms, "firm", as_of) if r["firm"] in others]
        rows = [r for r in rows if holds(r, feature.filter, as_of)]
        return len({r["firm"] for r in rows}) if rows else fill
    low = as_of - dt.timedelta(days=feature.window.days) if feature.window.days else dt.date.min
    rows = [
        r
        for r in seen_at(world.checks, "check_no", as_of)
        if r["firm"] in others and low <= r["happened_on"] < as_of and holds(r, feature.filter, as_of)
    ]
    if not rows:
        return fill
    match feature.aggregate:
        case "n_unique":
            return len({r["firm"] for r in rows})
        case "exists":
            return 1
        case "max":
            return max((v for r in rows if (v := number(feature, r["fine"])) is not None), default=fill)
        case _:
            return (as_of - max(r["happened_on"] for r in rows)).days


def when_usable(world, row: dict, group: tuple[str, ...]) -> list[object]:
    """Group of the firm as known on the first day the version can count."""
    usable = max(row["happened_on"], row["seen_on"]) + dt.timedelta(days=1)
    known = {f["firm"]: f for f in seen_at(world.firms, "firm", usable)}.get(row["firm"])
    return [
        row["firm"] if name == "firm" else value for name, value in zip(group, group_values(known, group), strict=True)
    ]


def group_values(firm: dict | None, group: tuple[str, ...]) -> list[object]:
    return [None if firm is None else firm[name] for name in group]


# ------------------------------------------------------------------------------------------------------------------- the worlds

days = st.integers(0, 200)


@st.composite
def worlds(draw):
    firms, checks = [], []
    names = ["F1", "F2", "F3"]
    for name in names:
        first = draw(st.integers(-20, 60))
        firms.append(
            {
                "firm": name,
                "area": draw(st.sampled_from(["x", "y", None])),
                "founded_on": START - dt.timedelta(days=draw(st.integers(0, 999))),
                "seen_on": at(first),
            }
        )
        if draw(st.booleans()):
            firms.append(
                {
                    **firms[-1],
                    "area": draw(st.sampled_from(["x", "y"])),
                    "seen_on": at(first + draw(st.integers(1, 90))),
                }
            )
    for i in range(draw(st.integers(1, 12))):
        happened = draw(days)
        seen = happened + draw(st.integers(0, 40))
        row = {
            "check_no": f"C{i:02d}",
            "firm": draw(st.sampled_from(names)),
            "happened_on": at(happened),
            "seen_on": at(seen),
            "kind": draw(st.sampled_from(["random", "complaint", "campaign"])),
            "grade": draw(st.sampled_from([None, "low", "middle", "high"])),
            "ways": draw(st.sampled_from([None, "look", "look_twice", "look;ask", "look_twice;ask;test", "ask"])),
            "found": draw(st.booleans()),
            "fine": draw(st.sampled_from([None, 0.0, 10.5, 99.99, 1000.0])),
            "share": draw(st.sampled_from([None, 0.25, 0.1])),
            "cured_on": None,
        }
        checks.append(row)
        for _ in range(draw(st.integers(0, 2))):
            seen += draw(st.integers(1, 60))
            row = {**row, "found": draw(st.booleans()), "cured_on": at(draw(days)), "seen_on": at(seen)}
            checks.append(row)
    links = []
    for i in range(draw(st.integers(0, 5))):
        began = draw(days)
        seen = began + draw(st.integers(0, 40))
        row = {
            "link_no": f"L{i}",
            "firm": draw(st.sampled_from(names)),
            "other": draw(st.sampled_from(names)),
            "kind": draw(st.sampled_from(["owner", "address"])),
            "began_on": at(began),
            "ended_on": None,
            "seen_on": at(seen),
        }
        links.append(row)
        if draw(st.booleans()):
            ended = began + draw(st.integers(0, 120))
            links.append({**row, "ended_on": at(ended), "seen_on": at(seen + draw(st.integers(1, 60)))})
    return firms, checks, links


def at(number_: int) -> dt.date:
    return START + dt.timedelta(days=number_)


def features_of(world, name: str, dates: list[dt.date]) -> tuple[list[tuple[str, dt.date]], np.ndarray]:
    lake = world.lake(name)
    spine = spines.grid(lake, (), dates)
    frame = builder.build(lake, FEATURES, spine)
    pairs = spine.lazy().select("enterprise_no", "as_of_day")
    by_frames = frames.compute(lake, FEATURES, pairs).collect().sort("as_of_day", "enterprise_no")
    for feature, ours in zip(FEATURES, frame.values, strict=True):
        np.testing.assert_array_equal(ours, by_frames[feature.id].to_numpy(), feature.id)
    with (
        mock.patch.multiple("credit_tier.features.build", SUBJECTS_AT_ONCE=1),
        mock.patch.multiple("credit_tier.features.context", SUBJECTS_AT_ONCE=2, CELLS=1),
    ):
        ranges = list(builder.blocks(lake, FEATURES, spine))
    order = np.lexsort((frame.as_of_day, frame.enterprise_no))
    np.testing.assert_array_equal(np.concatenate([r.values for r in ranges], axis=1), frame.values[:, order])
    codes = lake.codes()["code"].to_list()
    rows = list(zip(spine["enterprise_no"].to_list(), spine["as_of_day"].to_list(), strict=True))
    return [(codes[no], date_of(day)) for no, day in rows], frame.matrix()


DATES = [at(70), at(100), at(133), at(200), at(300)]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=worlds())
def test_every_feature_equals_a_plain_python_oracle(data, world_class):
    """A feature is what its declaration says, on any small world with versions and late knowledge, by kernel, by frames, and range by range."""
    with tempfile.TemporaryDirectory() as folder:
        world = world_class(Path(folder), *data)
        keys, values = features_of(world, "lake", DATES)
        for (firm, as_of), row in zip(keys, values, strict=True):
            wanted = np.array([expected(world, f, firm, as_of) for f in FEATURES], dtype=np.float32)
            for feature, got, want in zip(FEATURES, row, wanted, strict=True):
                assert (math.isnan(got) and math.isnan(want)) or got == pytest.approx(want, rel=1e-6), (
                    feature.id,
                    firm,
                    as_of,
                )


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=worlds(), planted=worlds(), order=st.randoms(use_true_random=False))
def test_records_known_on_or_after_as_of_never_matter(data, planted, order, world_class):
    """Planting records and corrections known on as_of or later, and shuffling the rows, changes no feature."""
    firms, checks, links = data
    as_of = at(133)
    with tempfile.TemporaryDirectory() as folder:
        keys, before = features_of(world_class(Path(folder) / "a", firms, checks, links), "lake", [as_of])
        future = [
            {**row, "check_no": f"P{row['check_no']}", "seen_on": max(row["seen_on"], as_of)} for row in planted[1]
        ]
        corrections = [
            {
                **row,
                "found": not row["found"],
                "fine": 12345.0,
                "seen_on": max(as_of + dt.timedelta(days=i), row["happened_on"]),
            }
            for i, row in enumerate(checks)
        ]
        moved = [{**row, "area": "z", "seen_on": as_of + dt.timedelta(days=100)} for row in firms[:1]]
        taken = {(row["check_no"], row["seen_on"]) for row in checks}
        unique = {
            (row["check_no"], row["seen_on"]): row
            for row in [*future, *corrections]
            if (row["check_no"], row["seen_on"]) not in taken
        }
        rows = [*checks, *unique.values()]
        order.shuffle(rows)
        later = [{**row, "link_no": f"P{row['link_no']}", "seen_on": max(row["seen_on"], as_of)} for row in planted[2]]
        ended = [
            {
                **row,
                "ended_on": max(as_of, row["began_on"]),
                "seen_on": max(as_of, row["seen_on"] + dt.timedelta(days=1)),
            }
            for row in links
        ]
        rows_of_links = {(row["link_no"], row["seen_on"]): row for row in [*later, *ended]}
        rows_of_links |= {(row["link_no"], row["seen_on"]): row for row in links}
        after_keys, after = features_of(
            world_class(Path(folder) / "b", [*firms, *moved], rows, [*rows_of_links.values()]), "lake", [as_of]
        )
        np.testing.assert_array_equal(before, after)
        assert keys == after_keys


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=worlds(), order=st.randoms(use_true_random=False))
def test_order_of_rows_doublets_and_parts_of_the_lake_never_matter(data, order, world_class):
    """Rows in another order, some of them delivered twice, in a lake with a part per enterprise: the same features."""
    with tempfile.TemporaryDirectory() as folder:
        keys, before = features_of(world_class(Path(folder) / "a", *data), "lake", DATES)
        firms, checks, links = ([*rows, *order.sample(rows, len(rows) // 2)] for rows in data)
        for rows in (firms, checks, links):
            order.shuffle(rows)
        with mock.patch.multiple("credit_tier.data.ingest", ENTERPRISES_PER_PART=1):
            world = world_class(Path(folder) / "b", firms, checks, links)
            after_keys, after = features_of(world, "lake", DATES)
        np.testing.assert_array_equal(before, after)
        assert keys == after_keys
