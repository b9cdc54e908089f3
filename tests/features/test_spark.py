"""The catalogue gives the same on PySpark as embedded, for every feature."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from credit_tier.content import Content
from credit_tier.data import engines
from credit_tier.data.city import generate
from credit_tier.data.ingest import ingest
from credit_tier.data.lake import Lake
from credit_tier.errors import UsageError
from credit_tier.features import build as builder
from credit_tier.features import frames, table
from credit_tier.features import spine as spines
from credit_tier.specs.feature import CatalogueSpec
from credit_tier.temporal import AsOf


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A local Spark session that keeps its files under the test's folder and is stopped afterwards."""
    if shutil.which("java") is None:
        message = "Java 17 is not installed: make system-deps"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    pytest.importorskip("pyspark")
    folder = tmp_path_factory.mktemp("spark")
    before = dict(os.environ)
    os.environ["SPARK_LOCAL_DIRS"] = str(folder)
    os.environ["JDK_JAVA_OPTIONS"] = "-XX:TieredStopAtLevel=1"  # optimising pays for nothing that runs once
    session = engines.spark_session(memory="1500m", partitions=2)
    session.sparkContext.setLogLevel("ERROR")
    session.conf.set("spark.sql.codegen.wholeStage", "false")  # compiling costs more than running at this size
    session.conf.set("spark.sql.adaptive.enabled", "false")
    session.conf.set("spark.sql.constraintPropagation.enabled", "false")  # grows fast with the width of a plan
    try:
        yield session
    finally:
        session.stop()
        os.environ.clear()
        os.environ.update(before)


AT_ONCE = 8
"""Features in one plan: several small plans are planned faster than a large one."""


def test_every_feature_of_the_catalogue_is_equal_on_spark(spark, tmp_path: Path) -> None:
    """What a city computes on one machine is what it computes when it has outgrown one, to the last bit."""
    generate(tmp_path / "city", enterprises=600, seed=4)
    ingest(tmp_path / "lake", tmp_path / "city" / "records", Content.resolve())
    lake = Lake.open(tmp_path / "lake")
    features = tuple(
        f for f in Content.resolve().load("pipelines", "features.yaml", CatalogueSpec).features if f.source != "spine"
    )
    spine = spines.grid(lake, (), [date(2025, 2, 1), date(2026, 1, 1)])
    embedded = builder.build(lake, features, spine)
    pairs = engines.to_spark(spark, spine.select("enterprise_no", "as_of_day"))
    by_table = {f.source: tuple(g for g in features if g.source == f.source) for f in features}
    plans = [chosen[n : n + AT_ONCE] for chosen in by_table.values() for n in range(0, len(chosen), AT_ONCE)]
    for chosen in plans:
        found = frames.compute(lake.on_spark(spark), chosen, pairs).collect("polars")
        by_spark = found.sort("as_of_day", "enterprise_no")
        np.testing.assert_array_equal(by_spark["enterprise_no"].to_numpy(), embedded.enterprise_no)
        for feature in chosen:
            ours = embedded.values[features.index(feature)]
            np.testing.assert_array_equal(by_spark[feature.id].to_numpy(), ours, feature.id)


def test_the_feature_table_by_spark_is_that_of_one_machine(spark, tmp_path: Path) -> None:
    """A folder of parts with the same rows and values; an existing folder is never replaced; no half-written one is left."""
    generate(tmp_path / "city", enterprises=300, seed=5)
    ingest(tmp_path / "lake", tmp_path / "city" / "records", Content.resolve())
    lake = Lake.open(tmp_path / "lake")
    features = tuple(
        f
        for f in Content.resolve().load("pipelines", "features.yaml", CatalogueSpec).features
        if f.source in {"enterprises", "tax_grades"}
    )
    as_of = AsOf.parse("2026-01-01")
    one = table.write(lake, features, as_of, tmp_path / "one.parquet", {})
    other = table.write_by_spark(lake, features, as_of, tmp_path / "parts", {})
    assert one == other
    read = pl.read_parquet(tmp_path / "parts" / "*.parquet").sort("code")
    assert read.equals(pl.read_parquet(tmp_path / "one.parquet").sort("code"))
    with pytest.raises(UsageError, match="CT-FEAT-016"):
        table.write_by_spark(lake, features, as_of, tmp_path / "parts", {})
    assert not list(tmp_path.glob(".tmp-*"))
