"""Validation of a lake: every planted fault is found with its count, by date, by severity, and no value leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit_tier.content import Content, parse
from credit_tier.data.ingest import ingest, load_specs
from credit_tier.data.lake import Lake
from credit_tier.data.quality import Validation, validate
from credit_tier.data.quality_checks import Count, visible
from credit_tier.errors import DataError, UsageError
from credit_tier.features.visible import is_visible
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.types import uscc_check_character

FIRMS = """\
table: firms
title_zh: 主体名录
kind: entity
key: uscc
record_id: {column: uscc}
known_at: {column: received_on}
source: 测试
legal_basis: 测试
columns:
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  born_on: {type: date, title_zh: 成立日期}
  received_on: {type: date, title_zh: 入库日期}
"""

LISTINGS = """\
table: listings
title_zh: 名录
title_en: Listings
kind: event
key: uscc
record_id: {column: doc}
event_on: listed_on
known_at: {column: received_on}
source: 测试
legal_basis: 测试
cadence: 每月
cadence_days: 31
columns:
  doc: {type: text, title_zh: 文号}
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  listed_on: {type: date, title_zh: 列入日期}
  cause: {type: code, title_zh: 原因, vocabulary: {a: 甲, b: 乙}, nullable: true}
  removed_on: {type: date, title_zh: 移出日期, nullable: true}
  received_on: {type: date, title_zh: 入库日期}
checks:
  - {id: order, title_zh: 移出不早于列入, title_en: Removal not before listing, not_before: [removed_on, listed_on], severity: fail}
  - {id: after_birth, title_zh: 列入不早于成立, not_before: [listed_on, register.born_on]}
  - {id: one_active, title_zh: 同因只列一次, unique_active: {by: [cause], open: removed_on}}
  - {id: settled, title_zh: 列入日期不变, constant: [listed_on, cause], severity: fail}
"""

REPAIRS = """\
table: repairs
title_zh: 修复申请
kind: event
key: uscc
record_id: {column: number}
event_on: applied_on
known_at: {fixed: 2020-01-01, reason: 测试}
source: 测试
legal_basis: 测试
cadence_days: 5
columns:
  number: {type: text, title_zh: 编号}
  uscc: {type: uscc, title_zh: 统一社会信用代码}
  applied_on: {type: date, title_zh: 申请日期}
  about: {type: code, title_zh: 类别, vocabulary: {listing: 名录, other: 其他}}
  doc: {type: text, title_zh: 文号, nullable: true}
checks:
  - {id: listing_exists, title_zh: 名录记录存在, refers_to: {column: doc, table: listings, when: {about: listing}}}
"""

Row = tuple[object, ...]


def code(number: int) -> str:
    body = f"91320500MA{number:07d}"
    return body + uscc_check_character(body)


def write_content(home: Path, *tables: str) -> Content:
    (home / "data_schemas").mkdir(parents=True)
    (home / "content.yaml").write_text("title_zh: 测试\ninherits: []\n", encoding="utf-8")
    for text in tables:
        name = text.split("\n", 1)[0].removeprefix("table: ")
        (home / f"data_schemas/{name}.yaml").write_text(text, encoding="utf-8")
    return Content.resolve(home)


def deliver(home: Path, **tables: tuple[str, Sequence[Row]]) -> Path:
    home.mkdir(parents=True)
    for name, (header, rows) in tables.items():
        lines = [header, *(",".join("" if value is None else str(value) for value in row) for row in rows)]
        (home / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return home


FIRM = "uscc,born_on,received_on"
LISTING = "doc,uscc,listed_on,cause,removed_on,received_on"
REPAIR = "number,uscc,applied_on,about,doc"


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return write_content(tmp_path / "content", FIRMS, LISTINGS, REPAIRS)


@pytest.fixture
def firms() -> list[Row]:
    return [(code(n), "2019-06-01", "2020-01-01") for n in range(5)]


@pytest.fixture
def sound() -> list[Row]:
    """Four listings that break nothing: two causes at once, one removed and listed again, one corrected version."""
    return [
        ("L1", code(0), "2020-02-01", "a", None, "2020-02-05"),
        ("L2", code(0), "2020-02-01", "b", None, "2020-02-05"),
        ("L3", code(1), "2020-02-03", "a", "2020-02-20", "2020-02-25"),
        ("L4", code(1), "2020-03-01", "a", None, "2020-03-02"),
        ("L4", code(1), "2020-03-01", "a", "2020-03-20", "2020-03-21"),
    ]


Build = Callable[..., Lake]


@pytest.fixture
def build(tmp_path: Path, content: Content, firms: list[Row]) -> Build:
    """Return a maker of one lake: delivery of listings after delivery, with register and repairs in the first."""

    made = 0

    def make(*listings: list[Row], repairs: Sequence[Row] = (), register: Iterable[Row] = ()) -> Lake:
        nonlocal made
        for rows in listings:
            tables: dict[str, tuple[str, Sequence[Row]]] = {"listings": (LISTING, rows)}
            if made == 0:
                tables |= {"firms": (FIRM, [*firms, *register]), "repairs": (REPAIR, repairs)}
            ingest(tmp_path / "lake", deliver(tmp_path / f"d{made}", **tables), content)
            made += 1
        return Lake.open(tmp_path / "lake")

    return make


def counts(found: Validation) -> dict[str, tuple[int, int]]:
    return {item.rule: (item.count.tested, item.count.failed) for item in found.rules}


def statuses(found: Validation) -> dict[str, str]:
    return {item.rule: item.outcome for item in found.rules}


def test_a_sound_lake_passes_with_everything_counted(build: Build, sound: list[Row]) -> None:
    """Every rule tells how much it looked at; what has nothing to look at says so and does not spoil the verdict."""
    found = validate(
        build(
            sound,
            repairs=[("R1", code(0), "2019-12-01", "listing", "L1"), ("R2", code(0), "2019-12-02", "listing", None)],
        )
    )
    assert (found.verdict, found.as_of) == ("pass", date(2020, 3, 22))
    assert counts(found) == {
        "firms.contract": (5, 0),
        "firms.one_subject": (0, 0),
        "listings.contract": (5, 0),
        "listings.freshness": (1, 0),
        "listings.known_not_before_event": (4, 0),
        "listings.one_subject": (1, 0),
        "listings.subject_in_register": (4, 0),
        "listings.order": (2, 0),
        "listings.after_birth": (4, 0),
        "listings.one_active": (2, 0),
        "listings.settled": (1, 0),
        "repairs.contract": (2, 0),
        "repairs.known_not_before_event": (2, 0),
        "repairs.one_subject": (0, 0),
        "repairs.subject_in_register": (2, 0),
        "repairs.listing_exists": (1, 0),
    }
    assert statuses(found)["firms.one_subject"] == "untested"


@pytest.mark.parametrize(
    ("row", "rule", "failed", "verdict"),
    [
        (("L9", code(2), "2020-03-01", "a", "2020-02-28", "2020-03-05"), "order", 1, "fail"),
        (("L9", code(2), "2019-05-31", "a", None, "2020-03-05"), "after_birth", 1, "warn"),
        (("L9", code(0), "2020-03-01", "b", None, "2020-03-05"), "one_active", 1, "warn"),
        (("L1", code(0), "2020-02-02", "a", None, "2020-03-05"), "settled", 1, "fail"),
        (("L1", code(0), "2020-02-01", "b", "2020-02-02", "2020-03-05"), "settled", 1, "fail"),
        (("L1", code(3), "2020-02-01", "a", None, "2020-03-05"), "one_subject", 1, "fail"),
        (("L1", code(0), "2020-02-01", None, None, "2020-03-05"), "settled", 0, "pass"),
        (("L9", code(0), "2020-03-01", "b", "2020-03-22", "2020-03-05"), "one_active", 1, "warn"),
        (("L9", code(0), "2020-03-01", "b", "2020-03-21", "2020-03-05"), "one_active", 0, "pass"),
    ],
)
def test_a_planted_fault_is_found_by_its_rule_alone(
    build: Build, sound: list[Row], row: Row, rule: str, failed: int, verdict: str
) -> None:
    """One bad row gives exactly one failure of exactly one rule, with the declared severity."""
    found = validate(build([*sound, row]))
    broken = {name: failures for name, (_, failures) in counts(found).items() if failures}
    assert broken == ({f"listings.{rule}": failed} if failed else {})
    assert found.verdict == verdict


def test_references_and_knowledge_before_events_are_found(build: Build, sound: list[Row]) -> None:
    """A record id that nobody delivered, and an event after the fixed day on which the table was known."""
    found = validate(
        build(
            sound,
            repairs=[
                ("R1", code(0), "2019-12-01", "listing", "L1"),
                ("R2", code(0), "2019-12-01", "listing", "L77"),
                ("R3", code(0), "2020-01-02", "listing", None),
                ("R4", code(0), "2019-12-01", "other", "L78"),
                ("R5", code(0), "2020-01-01", "other", None),
            ],
        )
    )
    assert counts(found)["repairs.listing_exists"] == (2, 1)
    assert counts(found)["repairs.known_not_before_event"] == (5, 1)
    assert found.verdict == "fail"


def test_a_reference_into_a_table_that_never_came_fails(tmp_path: Path, content: Content, firms: list[Row]) -> None:
    """Nothing delivered is not the same as nothing wrong."""
    rows = [("R1", code(0), "2019-12-01", "listing", "L1"), ("R2", code(0), "2019-12-01", "listing", None)]
    ingest(tmp_path / "lake", deliver(tmp_path / "d", firms=(FIRM, firms), repairs=(REPAIR, rows)), content)
    assert counts(validate(Lake.open(tmp_path / "lake")))["repairs.listing_exists"] == (1, 1)


def test_subjects_that_the_register_shows_later_are_counted(build: Build, sound: list[Row]) -> None:
    """The register is asked as of the date, not for all time."""
    late = (code(9), "2019-01-01", "2020-04-15")
    row = ("L9", code(9), "2020-03-01", "a", None, "2020-03-05")
    lake = build([*sound, row], register=[late])
    assert counts(validate(lake, as_of=date(2020, 4, 15)))["listings.subject_in_register"] == (5, 1)
    assert counts(validate(lake, as_of=date(2020, 4, 16)))["listings.subject_in_register"] == (5, 0)


def test_only_what_was_known_counts(build: Build, sound: list[Row]) -> None:
    """A fault delivered in April does not exist in March; the comparison date sees the state of then."""
    lake = build([*sound, ("L1", code(0), "2020-02-01", "a", "2020-01-01", "2020-04-10")])
    assert statuses(validate(lake, as_of=date(2020, 4, 10)))["listings.order"] == "pass"
    after = {item.rule: item for item in validate(lake, as_of=date(2020, 4, 11)).rules}["listings.order"]
    assert (after.count, after.before, after.trend) == (Count(3, 1), Count(1, 0), "worse")
    since = {item.rule: item for item in validate(lake, as_of=date(2020, 4, 12), since=date(2020, 4, 11)).rules}[
        "listings.order"
    ]
    assert (since.before, since.trend) == (Count(3, 1), "same")


def test_other_tables_are_seen_as_of_the_date_too(build: Build, sound: list[Row]) -> None:
    """A listing known later does not exist yet for a reference; a corrected register counts from the day of correction."""
    corrected = [(code(9), "2020-06-01", "2020-01-01"), (code(9), "2019-01-01", "2020-05-01")]
    row = ("L9", code(9), "2020-03-01", "a", None, "2020-03-05")
    lake = build([*sound, row], repairs=[("R1", code(0), "2019-12-01", "listing", "L1")], register=corrected)
    assert counts(validate(lake, as_of=date(2020, 2, 5)))["repairs.listing_exists"] == (1, 1)
    assert counts(validate(lake, as_of=date(2020, 2, 6)))["repairs.listing_exists"] == (1, 0)
    assert counts(validate(lake, as_of=date(2020, 5, 1)))["listings.after_birth"] == (5, 1)
    assert counts(validate(lake, as_of=date(2020, 5, 2)))["listings.after_birth"] == (5, 0)


def test_a_version_replaced_on_its_own_day_never_existed(build: Build, sound: list[Row]) -> None:
    """A correction delivered under the same day of knowledge is no change of the record."""
    lake = build(sound, [("L1", code(3), "2020-02-02", "b", None, "2020-02-05")])
    found = counts(validate(lake))
    assert found["listings.settled"] == (1, 0)
    assert found["listings.one_subject"] == (1, 0)


def test_an_age_beyond_the_cadence_is_a_warning(build: Build, sound: list[Row]) -> None:
    """31 days after the last record are within a monthly promise, 32 are not; a table without promise is not asked."""
    lake = build(sound)
    assert statuses(validate(lake, as_of=date(2020, 4, 21)))["listings.freshness"] == "pass"
    found = validate(lake, as_of=date(2020, 4, 22))
    assert statuses(found)["listings.freshness"] == "warn"
    table = {item.table: item for item in found.tables}
    assert (table["listings"].age_days, table["listings"].last_known) == (32, date(2020, 3, 21))
    assert table["firms"].is_fresh is None
    assert table["repairs"].is_fresh is None, "a table known since a fixed day does not age"
    assert "firms.freshness" not in statuses(found)


def test_quarantine_is_counted_by_rule_and_compared_with_the_delivery_before(build: Build, sound: list[Row]) -> None:
    """One of six rows bad, then one of two, then none: worse, then better; the quarantine keeps the sum."""
    bad = ("L7", code(0), "2020-13-01", "a", None, "2020-03-05")
    fresh = ("L6", code(2), "2020-03-01", "a", None, "2020-03-22")
    rule = "listings.listed_on.impossible_date"
    found = validate(build([*sound, bad], [bad, fresh]))
    results = {item.rule: item for item in found.rules}
    assert results[rule].count == Count(2, 1)
    assert results[rule].before == Count(6, 1)
    assert (results[rule].trend, results[rule].outcome, found.verdict) == ("worse", "warn", "warn")
    assert (results["listings.contract"].count, results["listings.contract"].unit) == (Count(2, 1), "row")
    clean = validate(build([("L5", code(2), "2020-03-01", "b", None, "2020-03-22")]))
    assert {item.rule: item.trend for item in clean.rules}[rule] == "better"
    assert (clean.verdict, clean.deliveries) == ("pass", 3)
    table = {item.table: item for item in clean.tables}["listings"]
    assert (table.quarantined, dict(table.quarantine)) == (2, {rule: 2})


def test_a_delivery_of_which_nothing_can_be_used_fails(build: Build, sound: list[Row]) -> None:
    """One bad row among good ones warns; nothing but bad rows means that something changed at the sender."""
    bad = ("L7", code(0), "2020-13-01", "a", None, "2020-03-05")
    found = validate(build(sound, [bad]))
    assert statuses(found)["listings.contract"] == "fail"
    assert statuses(found)["listings.listed_on.impossible_date"] == "warn"


def test_a_new_check_can_be_asked_of_an_old_lake(tmp_path: Path, build: Build, sound: list[Row]) -> None:
    """Contracts given beside the lake replace those it was taken in under; one that reads other columns is refused."""
    lake = build(sound)
    added = LISTINGS + "  - {id: once, title_zh: 只列一次, unique_active: {open: removed_on}, severity: fail}\n"
    found = validate(lake, contracts={"listings": parse(added, DatasetSpec, where="listings.yaml")})
    assert counts(found)["listings.once"] == (1, 1)
    other = write_content(
        tmp_path / "other", FIRMS.replace("born_on", "founded_on"), LISTINGS.split("checks:", maxsplit=1)[0]
    )
    with pytest.raises(DataError, match=r"CT-DATA-122 data_schemas/firms\.yaml"):
        validate(lake, contracts=load_specs(other))


def test_dates_that_cannot_be_asked_are_refused(build: Build, sound: list[Row]) -> None:
    """Before the first record there is nothing to validate, and a comparison goes backwards only."""
    lake = build(sound)
    with pytest.raises(UsageError, match="CT-DATA-120"):
        validate(lake, as_of=date(2020, 1, 1))
    with pytest.raises(UsageError, match="CT-DATA-121"):
        validate(lake, as_of=date(2020, 3, 1), since=date(2020, 3, 1))


DAY = date(2020, 1, 10)
days = st.integers(0, 12).map(lambda n: DAY + timedelta(days=n))
versions = st.lists(
    st.tuples(
        st.integers(0, 5),  # record
        st.integers(0, 2),  # firm
        days,  # listed
        st.sampled_from(["a", "b", None]),
        st.none() | days,  # removed
        days,  # known; raised to the listing's day where it lies before
    ),
    max_size=12,
    unique_by=lambda row: (row[0], max(row[5], row[2])),
)


@settings(max_examples=30, deadline=None)
@given(rows=versions, asked=days)
def test_counts_agree_with_a_slow_count(
    rows: list[tuple[int, int, date, str | None, date | None, date]], asked: date
) -> None:
    """Loops over the delivered rows give the same numbers, whatever the versions, and no order of rows matters."""
    listings = [(f"L{n}", code(firm), on, cause, off, max(known, on)) for n, firm, on, cause, off, known in rows]
    with TemporaryDirectory() as folder:
        home = Path(folder)
        firms = [(code(n), DAY + timedelta(days=3 * n), "2019-12-01") for n in range(3)]
        content = write_content(home / "content", FIRMS, LISTINGS)
        ingest(home / "lake", deliver(home / "d", firms=(FIRM, firms), listings=(LISTING, listings)), content)
        found = counts(validate(Lake.open(home / "lake"), as_of=asked))
    assert {
        name: found[f"listings.{name}"] for name in ("order", "after_birth", "one_active", "settled", "one_subject")
    } == slow(listings, {firm: born for firm, born, _ in firms}, asked)


def slow(
    listings: Sequence[tuple[str, str, date, str | None, date | None, date]], born: Mapping[str, date], asked: date
) -> dict[str, tuple[int, int]]:
    known = defaultdict(list)
    for row in sorted(listings, key=lambda row: row[5]):
        if row[5] < asked:
            known[row[0]].append(row)
    seen = [versions[-1] for versions in known.values()]
    removed = [row for row in seen if row[4] is not None]
    active = defaultdict(int)
    for row in seen:
        if row[4] is None or row[4] >= asked:
            active[row[1], row[3]] += 1
    several = [versions for versions in known.values() if len(versions) > 1]

    def differs(versions: Sequence[Row], *columns: int) -> bool:
        return any(len({row[n] for row in versions} - {None}) > 1 for n in columns)

    return {
        "order": (len(removed), sum(row[4] < row[2] for row in removed)),
        "after_birth": (len(seen), sum(row[2] < born[row[1]] for row in seen)),
        "one_active": (len(active), sum(number > 1 for number in active.values())),
        "settled": (len(several), sum(differs(item, 2, 3) for item in several)),
        "one_subject": (len(several), sum(differs(item, 1) for item in several)),
    }


def test_checks_see_what_features_see(build: Build, sound: list[Row]) -> None:
    """One notion of visibility: at every day the same versions as the feature code takes."""
    import narwhals as nw

    frame = build(sound).frame("listings")
    for day in range(18290, 18350):
        ours = visible(frame, day).collect().rows()
        assert ours == frame.filter(is_visible(nw.lit(day))).collect().rows()
