"""`make bench`: every benchmark in one run, sizes and ratios against named alternatives; nothing is judged by absolute time."""

from __future__ import annotations

import sys

from benchmarks import city_scoring, features, online, repair, scoring, teams, validation

if __name__ == "__main__":
    sys.exit(
        max(
            features.main(),
            online.main(),
            repair.main(),
            scoring.main(),
            city_scoring.main(),
            teams.main(),
            validation.main(),
        )
    )
