"""What Suzhou is made of: districts, industries, departments, kinds of entity, with plausible shares.

Numbers only; how they are used is said where they are used.
Shares are the generator's own, shaped after published totals (`policy.md` section 7), and no statistic of the real city.
Nothing here may be used as a fact about a real place or trade.
"""

from __future__ import annotations

from typing import Final

DISTRICTS: Final[dict[str, tuple[str, float, float]]] = {
    "320505": ("苏州市虎丘区", 0.09, -0.08),
    "320506": ("苏州市吴中区", 0.12, 0.16),
    "320507": ("苏州市相城区", 0.09, 0.24),
    "320508": ("苏州市姑苏区", 0.07, 0.00),
    "320509": ("苏州市吴江区", 0.12, 0.32),
    "320571": ("苏州工业园区", 0.15, -0.48),
    "320581": ("常熟市", 0.08, 0.08),
    "320582": ("张家港市", 0.06, -0.16),
    "320583": ("昆山市", 0.18, -0.08),
    "320585": ("太仓市", 0.05, -0.24),
}
"""Code: name, share of the enterprises, effect on the true log-odds of being in violation."""

SECTIONS: Final[dict[str, tuple[float, float, float]]] = {
    "A": (0.012, 0.00, 0.3),
    "B": (0.0005, 0.75, 0.2),
    "C": (0.240, 0.22, 0.3),
    "D": (0.0015, 0.00, 0.5),
    "E": (0.070, 0.52, 0.5),
    "F": (0.330, -0.15, 1.6),
    "G": (0.030, 0.22, 0.9),
    "H": (0.030, 0.83, 3.0),
    "I": (0.060, -0.75, 0.8),
    "J": (0.006, -0.15, 1.2),
    "K": (0.026, 0.15, 2.0),
    "L": (0.110, -0.30, 0.7),
    "M": (0.090, -0.52, 0.4),
    "N": (0.005, 0.30, 0.5),
    "O": (0.022, 0.38, 2.5),
    "P": (0.010, 0.15, 2.5),
    "Q": (0.005, 0.15, 2.2),
    "R": (0.015, 0.45, 2.0),
    "S": (0.0005, -0.75, 0.2),
    "T": (0.0001, -0.75, 0.1),
}
"""GB/T 4754-2017 section: share, effect on the true log-odds, how often its customers complain (1 = average)."""

DIVISIONS: Final[dict[str, dict[str, float]]] = {
    "A": {"01": 5, "02": 1, "03": 1, "04": 2, "05": 3},
    "B": {"06": 0.1, "07": 0.1, "08": 0.1, "09": 0.1, "10": 3, "11": 1, "12": 0.2},
    "C": dict(
        zip(
            [str(number) for number in range(13, 44)],
            [
                *(1.0, 1.2, 0.3, 0.01, 8, 6, 0.6, 1.0, 2, 2, 3, 2, 0.1, 3, 0.6),
                *(1, 8, 3, 0.7, 0.8, 16, 14, 12, 4, 0.8, 9, 10, 2, 1.5, 0.4, 1.5),
            ],
            strict=True,
        )
    ),
    "D": {"44": 6, "45": 1, "46": 2},
    "E": {"47": 3, "48": 2, "49": 3, "50": 6},
    "F": {"51": 6, "52": 4},
    "G": {"53": 0.1, "54": 5, "55": 0.6, "56": 0.1, "57": 0.02, "58": 2, "59": 2, "60": 1},
    "H": {"61": 2, "62": 7},
    "I": {"63": 0.3, "64": 2, "65": 6},
    "J": {"66": 2, "67": 4, "68": 2, "69": 1},
    "K": {"70": 1},
    "L": {"71": 1.5, "72": 8},
    "M": {"73": 2, "74": 4, "75": 4},
    "N": {"76": 0.5, "77": 3, "78": 3, "79": 0.3},
    "O": {"80": 3, "81": 3, "82": 2},
    "P": {"83": 1},
    "Q": {"84": 3, "85": 1},
    "R": {"86": 0.5, "87": 1.5, "88": 2, "89": 3, "90": 2},
    "S": {"91": 0.01, "92": 0.01, "93": 0.01, "94": 0.2, "95": 2, "96": 0.5},
    "T": {"97": 1},
}
"""Divisions of each section with relative weights within it."""

KEY_DIVISIONS: Final[tuple[str, ...]] = (
    *("10", "13", "14", "15", "25", "26", "27", "45", "47", "48", "54", "61", "62", "83", "84", "90"),
)
"""Divisions whose checks are key items (重点检查事项): drawn more often, and riskier in truth by `KEY_EFFECT`."""

KEY_EFFECT: Final = 0.5

DEPARTMENTS: Final[tuple[str, ...]] = (
    *("market_regulation", "emergency", "fire", "environment", "housing", "transport"),
    *("labour", "health", "culture", "tax", "other"),
)

DEPARTMENT_NAMES: Final[dict[str, str]] = {
    "market_regulation": "市场监督管理局",
    "emergency": "应急管理局",
    "fire": "消防救援大队",
    "environment": "生态环境局",
    "housing": "住房和城乡建设局",
    "transport": "交通运输局",
    "labour": "人力资源和社会保障局",
    "health": "卫生健康委员会",
    "culture": "文化体育和旅游局",
    "tax": "税务局",
    "other": "综合行政执法局",
}

DEPARTMENT_SHARES: Final[dict[str, dict[str, float]]] = {
    "C": {"market_regulation": 5, "emergency": 4, "environment": 4, "fire": 2, "labour": 2, "tax": 1},
    "E": {"housing": 6, "emergency": 2, "labour": 2, "market_regulation": 1, "tax": 1},
    "G": {"transport": 7, "market_regulation": 2, "emergency": 1},
    "H": {"market_regulation": 7, "fire": 2, "health": 1},
    "P": {"other": 4, "market_regulation": 3, "fire": 2},
    "Q": {"health": 7, "market_regulation": 3},
    "R": {"culture": 7, "market_regulation": 2, "fire": 2},
    "": {"market_regulation": 8, "fire": 1, "labour": 1, "tax": 1, "other": 0.5},
}
"""Who inspects a section; the empty key stands for all sections not named."""

DOMAINS: Final[tuple[str, ...]] = (
    *("food", "drug", "special_equipment", "work_safety", "fire"),
    *("environment", "market", "tax", "labour", "other"),
)

DOMAIN_OF_DEPARTMENT: Final[dict[str, str]] = {
    "market_regulation": "market",
    "emergency": "work_safety",
    "fire": "fire",
    "environment": "environment",
    "housing": "work_safety",
    "transport": "other",
    "labour": "labour",
    "health": "drug",
    "culture": "other",
    "tax": "tax",
    "other": "other",
}

FOOD_DIVISIONS: Final[tuple[str, ...]] = ("13", "14", "15", "62")
DRUG_DIVISIONS: Final[tuple[str, ...]] = ("27", "84")
EQUIPMENT_DIVISIONS: Final[tuple[str, ...]] = ("44", "45", "61", "78")
"""In these divisions the market regulator's findings are food, drug or special equipment matters."""

ENTITY_TYPES: Final[dict[str, tuple[str, float]]] = {
    "1151": ("private", 0.42),
    "1130": ("private", 0.33),
    "1153": ("private", 0.05),
    "1152": ("other", 0.03),
    "2000": ("private", 0.06),
    "5000": ("foreign", 0.025),
    "6000": ("hk_mo_tw", 0.018),
    "4530": ("private", 0.02),
    "4540": ("private", 0.02),
    "1140": ("state", 0.006),
    "1110": ("state", 0.004),
    "1220": ("private", 0.004),
    "1210": ("other", 0.0005),
    "9100": ("collective", 0.006),
    "3400": ("collective", 0.003),
    "3200": ("collective", 0.001),
    "3100": ("state", 0.0005),
}
"""Type of entity: ownership slice and share. Ownership has no effect on the truth: a difference found is an artefact."""

CAMPAIGNS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("market_regulation", ("62",)),
    ("market_regulation", ("13", "14", "15")),
    ("market_regulation", ("52",)),
    ("emergency", ("25", "26", "28")),
    ("emergency", ("33", "34")),
    ("fire", ("17", "18")),
    ("housing", ("47", "48", "49", "50")),
    ("environment", ("22", "29", "35")),
    ("transport", ("54", "59")),
    ("culture", ("87", "88", "90")),
    ("health", ("84",)),
    ("market_regulation", ("70", "72")),
)
"""Special campaigns (专项行动) that come up: who runs them and in which divisions."""
