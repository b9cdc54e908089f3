"""A feature as one SQL statement over the lake's tables: the plan that `features explain` prints, written from the declaration alone.

It says the same as the kernel in another language and shares no computation with it, so the tests hold the two against each other.
The dialect is DuckDB's; the tables are those of the lake, `_codes` its list of codes, and dates are day numbers as in the lake.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from credit_tier.errors import FeatureError
from credit_tier.features.values import column_of
from credit_tier.specs.condition import Condition, literal
from credit_tier.specs.dataset import JOINT, Column, DatasetSpec
from credit_tier.specs.feature import FeatureSpec, Related
from credit_tier.temporal import AsOf

ORDER = ("happened", "record_id", "known_day")
"""What "latest" means: the order in which the lake keeps the records of a subject."""


def sql(
    feature: FeatureSpec,
    specs: Mapping[str, DatasetSpec],
    register: str,
    as_of: AsOf | None,
    *,
    planned: Mapping[str, str] | None = None,
) -> str:
    """Return a statement that gives `enterprise_no, value` for every subject of the register known at as_of.

    Parameters
    ----------
    specs : contracts of the tables by name. register : name of the entity table.
    as_of : None leaves the parameter `:as_of`, a day number, in its place.
    planned : attributes of the planned event by which the feature groups; one that is not given stays a parameter of its name.

    Raises
    ------
    FeatureError : CT-FEAT-001 a column that is not there, CT-FEAT-006 a table that is not there,
        CT-FEAT-021 a feature of the planned event, which no table holds.
    """
    if feature.source == "spine":
        raise FeatureError.of(
            "CT-FEAT-021",
            where=feature.id,
            what="the feature is an attribute of the planned event, no table holds it.",
            advice="See the cohort of the model that uses it.",
        )
    for table in (feature.source, *([feature.via.table] if feature.via else []), register):
        if table not in specs:
            raise FeatureError.of(
                "CT-FEAT-006",
                where=feature.id,
                what=f"there is no table '{table}'.",
                advice=f"Tables are: {', '.join(sorted(specs))}.",
            )
    return _Plan(feature, specs, register, as_of, planned or {}).text()


class _Plan:
    def __init__(
        self,
        feature: FeatureSpec,
        specs: Mapping[str, DatasetSpec],
        register: str,
        as_of: AsOf | None,
        planned: Mapping[str, str],
    ) -> None:
        self.feature = feature
        self.spec = specs[feature.source]
        self.specs = specs
        self.register = specs[register]
        self.day = ":as_of" if as_of is None else str(as_of.day)
        self.title = f"-- {feature.id} · {feature.title_zh} · as_of {'' if as_of is None else f'{as_of} = '}{self.day}"
        towards = feature.shrink.towards if feature.shrink else ()
        self.groups = tuple(dict.fromkeys((*(feature.group_by or ()), *towards)))
        self.planned = {name: _quoted(value) for name, value in planned.items()}
        for name in self.groups:
            if name != self.register.key and name not in self.register.columns:
                column_of(name, self.spec)
                self.planned.setdefault(name, f":{name}")

    def text(self) -> str:
        f = self.feature
        parts = [("subjects", self._subjects())]
        if f.via is not None:
            parts.append(("edges", self._edges(f.via)))
        parts.append(("records", self._records()))
        if f.aggregate == "streak":
            parts.append(("counted", self._counted()))
        if f.group_by is None and f.shrink is None:
            records = "counted" if f.aggregate == "streak" else "records"
            grouped = _select(f"enterprise_no, {self._figure()} AS value", f"{records} GROUP BY enterprise_no")
            parts.append(("figures", grouped))
            value, joins = "figures.value", "LEFT JOIN figures USING (enterprise_no)"
        else:
            value, joins = self._compared(parts)
        fill = f.missing.fill
        value = value if fill is None else f"coalesce({value}, {fill!r})"
        steps = ",\n".join(f"{name} AS (\n  {body}\n)" for name, body in parts)
        return (
            f"{self.title}\n"
            f"WITH {steps}\nSELECT subjects.enterprise_no, {value} AS value\nFROM subjects {joins}\nORDER BY 1"
        )

    def _subjects(self) -> str:
        columns = ", ".join(
            [
                "r.enterprise_no",
                *(f"{self.planned.get(name) or self._group('r', name)} AS {_named(name)}" for name in self.groups),
            ]
        )
        return _select(columns, f"{self.register.table} AS r", [self._visible("r")])

    def _visible(self, alias: str) -> str:
        return f"{alias}.known_day < {self.day} AND {alias}.superseded_day >= {self.day}"

    def _edges(self, via: Related) -> str:
        tests = [
            self._visible("e"),
            f"coalesce(e.event_day, e.known_day) < {self.day}",
            "c.enterprise_no <> e.enterprise_no",
            *self._tests(via.filter, self.specs[via.table], "e"),
        ]
        columns = "DISTINCT e.enterprise_no AS subject, c.enterprise_no AS related"
        return _select(columns, f"{via.table} AS e JOIN _codes AS c ON c.code = e.{via.column}", tests)

    def _records(self) -> str:
        f, day = self.feature, self.day
        happened = "coalesce(r.event_day, r.known_day)"
        columns = [
            f"{'r.enterprise_no' if f.via is None else 'edges.subject'} AS enterprise_no",
            f"{happened} AS happened",
            "r.record_id",
            "r.known_day",
        ]
        if f.column is not None:
            columns.append(f"{self._value(f.column)} AS value")
        if f.aggregate == "trend":
            columns.append(f"{happened} >= {day} - {(f.window.days or 0) // 2} AS meets")
        elif f.numerator:
            tests = " AND ".join(self._tests(f.numerator, self.spec, "r"))
            columns.append(f"coalesce({tests}, FALSE) AS meets")
        sources = f"{self.spec.table} AS r"
        if f.via is not None:
            sources += " JOIN edges ON edges.related = r.enterprise_no"
        own = {*self.spec.columns, self.register.key}
        of_register = [name for name in self.groups if name not in own]
        if of_register:  # the group to which the subject belonged on the first day on which the record counted
            first = f"greatest({happened}, r.known_day)"
            sources += (
                f"\n    LEFT JOIN {self.register.table} AS g ON g.enterprise_no = r.enterprise_no"
                f" AND g.known_day <= {first} AND g.superseded_day > {first}"
            )
        columns += [
            f"{self._group('g' if name in of_register else 'r', name)} AS {_named(name)}" for name in self.groups
        ]
        kept = [self._visible("r"), f"{happened} < {day}"]
        if f.window.days is not None:
            kept.append(f"{happened} >= {day} - {f.window.days}")
        kept += self._tests(f.filter, self.spec, "r")
        return _select(", ".join(columns), sources, kept)

    def _group(self, alias: str, name: str) -> str:
        column = "enterprise_no" if name == self.register.key else name
        return f"coalesce(CAST({alias}.{column} AS VARCHAR), '')"

    def _value(self, name: str) -> str:
        if name == self.spec.key:
            return "r.enterprise_no"
        column = column_of(name, self.spec)
        return f"r.{name}" if self.feature.aggregate == "n_unique" else number(f"r.{name}", column)

    def _tests(self, conditions: Iterable[Condition], spec: DatasetSpec, alias: str) -> list[str]:
        return [self._test(condition, column_of(condition.column, spec), alias) for condition in conditions]

    def _test(self, condition: Condition, column: Column, alias: str) -> str:
        name = f"{alias}.{condition.column}"

        def written(text: str) -> str:
            if text == "as_of" and column.type == "date":
                return self.day
            value = literal(text, column)
            if isinstance(value, bool):
                return "TRUE" if value else "FALSE"
            return _quoted(value) if isinstance(value, str) else repr(value)

        if condition.is_null is not None:
            return f"{name} IS {'' if condition.is_null else 'NOT '}NULL"
        values = ", ".join(written(text) for text in condition.values())
        if column.type == "codes" and (condition.one_of or condition.not_one_of):
            held = f"string_split({name}, '{JOINT}')"
            return f"{'NOT ' if condition.not_one_of else ''}list_has_any({held}, [{values}])"
        if condition.one_of is not None:
            return f"{name} IN ({values})"
        if condition.not_one_of is not None:
            return f"{name} NOT IN ({values})"
        sign = "=" if condition.equals is not None else ">=" if condition.at_least is not None else "<="
        return f"{name} {sign} {values}"

    def _counted(self) -> str:
        order = ", ".join(f"{name} DESC" for name in ORDER)
        broken = f"sum(CASE WHEN meets THEN 0 ELSE 1 END) OVER (PARTITION BY enterprise_no ORDER BY {order})"
        return _select(f"enterprise_no, {broken} AS broken", "records")

    def _figure(self) -> str:
        f, day = self.feature, self.day
        last = f"last(value ORDER BY {', '.join(ORDER)})"
        if f.aggregate == "days_since":
            return f"{day} - max(happened)" if f.column is None else f"{day} - {last}"
        return {
            "count": "count(*)",
            "exists": "1",
            "sum": "coalesce(sum(value), 0)",
            "mean": "avg(value)",
            "max": "max(value)",
            "min": "min(value)",
            "last": last,
            "n_unique": "count(DISTINCT value)",
            "share": "avg(CASE WHEN meets THEN 1.0 ELSE 0.0 END)",
            "trend": "2 * count(*) FILTER (WHERE meets) - count(*)",
            "streak": "count(*) FILTER (WHERE broken = 0)",
        }[f.aggregate]

    def _compared(self, parts: list[tuple[str, str]]) -> tuple[str, str]:
        """Add the steps of a feature that looks at a group; return the value and the joins that bring it."""
        f = self.feature
        own = ("enterprise_no",) if f.group_by is None else tuple(_named(name) for name in f.group_by)
        parts.append(("figures", self._sides(own)))
        joins = _join("figures", own)
        if f.shrink is None:
            value = "figures.top" if f.aggregate in {"count", "sum"} else "figures.top / nullif(figures.bottom, 0)"
            return value, joins
        towards = tuple(_named(name) for name in f.shrink.towards)
        parts.append(("wider", self._sides(towards)))
        weight = f.shrink.weight
        value = (
            f"(coalesce(figures.top, 0) + {weight!r} * wider.top / nullif(wider.bottom, 0))"
            f" / (coalesce(figures.bottom, 0) + {weight!r})"
        )
        return value, f"{joins} {_join('wider', towards)}"

    def _sides(self, keys: tuple[str, ...]) -> str:
        top, bottom = {
            "count": ("count(*)", "count(*)"),
            "sum": ("coalesce(sum(value), 0)", "count(*)"),
            "mean": ("coalesce(sum(value), 0)", "count(value)"),
            "share": ("count(*) FILTER (WHERE meets)", "count(*)"),
        }[self.feature.aggregate]
        columns = [*keys, f"CAST({top} AS DOUBLE) AS top", f"{bottom} AS bottom"]
        ending = f" GROUP BY {', '.join(keys)}" if keys else " HAVING count(*) > 0"
        return _select(", ".join(columns), f"records{ending}")


def number(name: str, column: Column) -> str:
    """Return the number for which a column stands in sums, as SQL; codes count as their place in the vocabulary.

    >>> number("r.grade", Column(type="code", title_zh="等级", vocabulary={"low": "低", "high": "高"}))
    "CASE r.grade WHEN 'low' THEN 0 WHEN 'high' THEN 1 END"
    """
    if column.type == "code" and column.vocabulary is not None:
        places = " ".join(f"WHEN '{value}' THEN {place}" for place, value in enumerate(column.vocabulary))
        return f"CASE {name} {places} END"
    return f"round({name}, 6)" if column.type == "number" else f"CAST({name} AS BIGINT)"


def _select(columns: str, sources: str, tests: Iterable[str] = ()) -> str:
    where = "\n    AND ".join(tests)
    return f"SELECT {columns}\n  FROM {sources}" + (f"\n  WHERE {where}" if where else "")  # noqa: S608 - text for a reader


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _named(name: str) -> str:
    return f"group_{name}"


def _join(name: str, keys: tuple[str, ...]) -> str:
    return f"LEFT JOIN {name} " + (f"USING ({', '.join(keys)})" if keys else "ON TRUE")
