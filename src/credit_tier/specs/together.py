"""What the declarations say of each other: tables, columns, features, models, classes and plans must fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from credit_tier.content import Content, ContentFile, FileSpec
from credit_tier.errors import ContentError, Fault
from credit_tier.specs.condition import Condition, literal
from credit_tier.specs.dataset import DatasetSpec
from credit_tier.specs.feature import CatalogueSpec, FeatureSpec
from credit_tier.specs.model import EventCohort, GridCohort, ModelSpec, TiersSpec
from credit_tier.specs.plan import PlanSpec
from credit_tier.specs.quality import reference_faults
from credit_tier.specs.repairs import RepairsSpec
from credit_tier.specs.rulepack import RulePackSpec
from credit_tier.specs.rulepack_check import together as packs_together
from credit_tier.specs.teams import RosterSources, TeamsSpec

_PIPELINES: dict[str, type[FileSpec]] = {
    "features.yaml": CatalogueSpec,
    "tiers.yaml": TiersSpec,
    "inspection_round.yaml": PlanSpec,
    "inspection_joint.yaml": PlanSpec,
    "inspection_teams.yaml": TeamsSpec,
    "repairs.yaml": RepairsSpec,
}


def check(content: Content) -> tuple[list[Fault], int]:
    """Read every YAML file of the rooms as the spec its place calls for, and check references across files.

    Returns
    -------
    faults (sorted by file; empty if all is well) and the number of files read.
    """
    faults: list[Fault] = []
    loaded: dict[str, FileSpec] = {}
    files = [item for room in ("data_schemas", "models", "pipelines", "rule_packs") for item in content.files(room)]
    for item in files:
        spec = spec_of(item)
        if spec is None:
            faults.append(
                Fault("CT-CONTENT-020", item.label, "nothing reads a file of this name.", "Move or remove it.")
            )
            continue
        try:
            loaded[item.label] = content.load(item.room, item.name, spec)
        except ContentError as error:
            faults.extend(error.faults)
    faults.extend(_references(loaded))
    return faults, len(files)


def spec_of(item: ContentFile) -> type[FileSpec] | None:
    """Return the spec that a file's place calls for, or None if no spec lives there."""
    if item.room == "data_schemas" and "/" not in item.name:
        return DatasetSpec
    if item.room == "models" and item.name.endswith("/model.yaml"):
        return ModelSpec
    if item.room == "rule_packs" and item.name.count("/") == 2:
        return RulePackSpec
    if item.room == "pipelines":
        return _PIPELINES.get(item.name)
    return None


def _references(loaded: dict[str, FileSpec]) -> Iterator[Fault]:
    tables = {spec.table: spec for spec in loaded.values() if isinstance(spec, DatasetSpec)}
    catalogue = loaded.get("pipelines/features.yaml")
    features = catalogue.features if isinstance(catalogue, CatalogueSpec) else ()
    models = {spec.model: spec for spec in loaded.values() if isinstance(spec, ModelSpec)}
    registers = [spec for spec in tables.values() if spec.kind == "entity"]
    if tables and len(registers) != 1:
        yield Fault(
            "CT-CONTENT-021",
            "data_schemas",
            f"{len(registers)} tables are of kind entity.",
            "Exactly one is the register.",
        )
    for label, spec in loaded.items():
        if isinstance(spec, DatasetSpec) and label != f"data_schemas/{spec.table}.yaml":
            yield Fault(
                "CT-CONTENT-022", label, f"the file declares table '{spec.table}'.", f"Name it {spec.table}.yaml."
            )
        if isinstance(spec, ModelSpec):
            yield from _model(label, spec, tables, registers, {f.id for f in features})
            yield from _bridges(label, spec, features)
        if isinstance(spec, TiersSpec) and spec.model not in models:
            yield Fault(
                "CT-CONTENT-024",
                label,
                f"the classes rest on model '{spec.model}', which is not declared.",
                f"Models are: {', '.join(models)}.",
            )
        if isinstance(spec, RepairsSpec):
            yield from spec.faults(label, tables)
        if isinstance(spec, TeamsSpec) and spec.sources is not None:
            yield from _roster(label, spec.sources, tables)
    for feature in features:
        yield from _feature(feature, tables, registers)
    yield from reference_faults(tables)
    yield from packs_together({label: spec for label, spec in loaded.items() if isinstance(spec, RulePackSpec)}, tables)


def _roster(label: str, sources: RosterSources, tables: dict[str, DatasetSpec]) -> Iterator[Fault]:
    for name, columns in sources.columns().items():
        if name in tables:
            yield from _columns(label, tables[name], columns)
        else:
            yield Fault(
                "CT-CONTENT-023", label, f"there is no table '{name}'.", f"Tables are: {', '.join(sorted(tables))}."
            )


def _feature(feature: FeatureSpec, tables: dict[str, DatasetSpec], registers: list[DatasetSpec]) -> Iterator[Fault]:
    where = f"pipelines/features.yaml {feature.id}"
    if feature.source == "spine":
        return
    table = tables.get(feature.source)
    if table is None:
        yield Fault(
            "CT-CONTENT-023", where, f"there is no table '{feature.source}'.", f"Tables are: {', '.join(tables)}."
        )
        return
    if table.kind == "reference":
        yield Fault(
            "CT-CONTENT-030",
            where,
            f"the table '{table.table}' is about no subject, so no feature can come from it.",
            "Name a table with a key.",
        )
    yield from _columns(where, table, [feature.column] if feature.column else [])
    yield from _conditions(where, table, (*feature.filter, *feature.numerator))
    yield from _impersonal(where, feature, tables, registers)
    if (
        feature.column is not None
        and feature.column == table.key
        and not (feature.via and feature.aggregate == "n_unique")
    ):
        yield Fault("CT-CONTENT-028", where, "the key is no value to aggregate.", "n_unique of it goes with via.")
    if feature.via is not None:
        edges = tables.get(feature.via.table)
        if edges is None:
            yield Fault(
                "CT-CONTENT-023",
                where,
                f"there is no table '{feature.via.table}'.",
                f"Tables are: {', '.join(tables)}.",
            )
            return
        yield from _columns(where, edges, [feature.via.column])
        yield from _conditions(where, edges, feature.via.filter)
    for name in (*(feature.group_by or ()), *(feature.shrink.towards if feature.shrink else ())):
        known = name in table.columns or any(name in register.columns for register in registers)
        if not known:
            yield Fault(
                "CT-CONTENT-023",
                where,
                f"neither {table.table} nor the register has the group column '{name}'.",
                "Correct group_by.",
            )


def _impersonal(
    where: str, feature: FeatureSpec, tables: dict[str, DatasetSpec], registers: list[DatasetSpec]
) -> Iterator[Fault]:
    own = {feature.column, *(c.column for c in (*feature.filter, *feature.numerator))}
    groups = {*(feature.group_by or ()), *(feature.shrink.towards if feature.shrink else ())}
    read: list[tuple[DatasetSpec, set[str | None]]] = [(tables[feature.source], own | groups)]
    read += [(register, {*groups}) for register in registers if register.table != feature.source]
    if feature.via is not None and feature.via.table in tables:
        read.append((tables[feature.via.table], {c.column for c in feature.via.filter}))
    for table, named in read:
        for name, column in table.columns.items():
            if name in named and column.sensitivity == "personal":
                yield Fault(
                    "CT-CONTENT-029",
                    where,
                    f"'{table.table}.{name}' is personal information and may not feed a feature (个人信息保护法 art. 6).",
                    "Leave it out.",
                )


def _bridges(label: str, spec: ModelSpec, features: Iterable[FeatureSpec]) -> Iterator[Fault]:
    own = [f for f in features if spec.features is None or f.id in spec.features]
    for bridge in spec.trees.bridges:
        for what in bridge.faults(own):
            advice = f"Dimensions of the model: {', '.join(dict.fromkeys(f.dimension for f in own))}."
            yield Fault("CT-CONTENT-031", f"{label} {bridge.id}", f"a bridge that fits no features: {what}.", advice)


def _model(
    label: str, spec: ModelSpec, tables: dict[str, DatasetSpec], registers: list[DatasetSpec], ids: set[str]
) -> Iterator[Fault]:
    for name in spec.features or ():
        if name not in ids:
            yield Fault(
                "CT-CONTENT-025", label, f"the catalogue has no feature '{name}'.", "See credit-tier features list."
            )
    source = tables.get(spec.label.source)
    if source is None:
        yield Fault(
            "CT-CONTENT-023",
            label,
            f"the label's table '{spec.label.source}' is not declared.",
            f"Tables are: {', '.join(tables)}.",
        )
    else:
        yield from _conditions(label, source, (*spec.label.where, *spec.label.positive))
    if isinstance(spec.cohort, EventCohort):
        events = tables.get(spec.cohort.source)
        if events is None:
            yield Fault(
                "CT-CONTENT-023",
                label,
                f"the cohort's table '{spec.cohort.source}' is not declared.",
                f"Tables are: {', '.join(tables)}.",
            )
        else:
            yield from _conditions(label, events, spec.cohort.where)
            yield from _columns(label, events, spec.cohort.attributes.values())
    members = spec.cohort.where if isinstance(spec.cohort, GridCohort) else ()
    for register in registers:
        yield from _conditions(label, register, (*members, *(spec.population.where if spec.population else ())))


def _conditions(where: str, table: DatasetSpec, conditions: Iterable[Condition]) -> Iterator[Fault]:
    for condition in conditions:
        column = table.columns.get(condition.column)
        if column is None:
            yield from _columns(where, table, [condition.column])
            continue
        for text in condition.values():
            if text == "as_of" and column.type == "date":
                continue
            try:
                literal(text, column)
            except ValueError as error:
                yield Fault("CT-CONTENT-026", f"{where} {condition.column}", str(error), "")


def _columns(where: str, table: DatasetSpec, names: Iterable[str]) -> Iterator[Fault]:
    for name in names:
        if name not in table.columns:
            yield Fault(
                "CT-CONTENT-023",
                where,
                f"the table '{table.table}' has no column '{name}'.",
                f"Columns are: {', '.join(table.columns)}.",
            )
