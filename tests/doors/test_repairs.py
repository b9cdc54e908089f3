"""The door to credit repair: the worklist of a city, and what a repair does to points and class."""

from __future__ import annotations

import datetime as dt

from credit_tier import repairs
from credit_tier.temporal import AsOf

AS_OF = AsOf(dt.date(2026, 1, 1))


def test_the_worklist_covers_every_known_record_and_cites_its_pack(lake, content) -> None:
    """Every visible penalty gets a decision; helpful ones come first."""
    found = repairs.repair_worklist(lake, content, AS_OF)
    import narwhals as nw

    from credit_tier.features.visible import is_visible

    visible = len(lake.frame("penalties").filter(is_visible(nw.lit(AS_OF.day))).collect())
    assert sum(found.verdicts.values()) == visible
    assert [item.step for item in found.items] == sorted(item.step for item in found.items)
    assert {item.pack for item in found.items} == {found.pack.id}
