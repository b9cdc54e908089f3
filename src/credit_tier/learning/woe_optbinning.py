"""Bins found by optbinning instead of by our own search: an extra, for those whose house rule names it. Only edges come from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from credit_tier.errors import MachineError
from credit_tier.learning.woe import LIMITS, Bins, Limits, prebin

TRENDS = {1: "ascending", 0: "auto_asc_desc", -1: "descending"}


def version() -> str:
    """Return the version of optbinning.

    Raises
    ------
    MachineError (CT-LEARN-038) if it is not installed.
    """
    from importlib import metadata

    try:
        return metadata.version("optbinning")
    except metadata.PackageNotFoundError as error:
        raise MachineError.of(
            "CT-LEARN-038",
            what="没有安装 optbinning · optbinning is not installed.",
            advice="Install the extra: pip install 'credit-tier[woe]'; or train without --optbinning, with the bins built in.",
        ) from error


def cut(
    values: NDArray[np.float64],
    y: NDArray[np.int8],
    *,
    direction: int = 0,
    weight: NDArray[np.float64] | None = None,
    limits: Limits = LIMITS,
) -> Bins:
    """Cut a number into bins by optbinning's constraint programme over the groups of :func:`.woe.prebin`.

    Parameters and result are those of :func:`.woe.cut`. optbinning keeps rates of the event in order; where the weights of evidence,
    which small bins have nearer to 0, do not follow, neighbours are joined. It counts whole rows: weights are rounded down by group.

    Raises
    ------
    MachineError (CT-LEARN-038) if optbinning is not installed.

    Source: Navas-Palencia, Optimal binning: mathematical programming formulation (2020).
    """
    version()
    from optbinning import OptimalBinning

    groups = prebin(values, weight, most=limits.prebins)
    if len(groups) == 0:
        return Bins.of(values, y, groups, weight)
    known = ~np.isnan(values)
    count = np.ones(len(y)) if weight is None else weight
    search = OptimalBinning(
        user_splits=groups,
        max_n_prebins=limits.prebins,
        max_n_bins=limits.most,
        min_bin_size=limits.share,
        min_bin_n_event=limits.events,
        min_bin_n_nonevent=limits.nonevents,
        monotonic_trend=TRENDS[direction],
    )
    search.fit(values[known], y[known], sample_weight=count[known])
    edges = np.asarray(search.splits, np.float64)
    found = Bins.of(values, y, edges, weight)
    while (wrong := np.flatnonzero(np.diff(found.woe[:-1]) * (direction or found.trend) < 0)).size:
        edges = np.delete(edges, wrong[0])
        found = Bins.of(values, y, edges, weight)
    return found
