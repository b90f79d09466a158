"""Kubernetes' quantities of bytes.

Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[mkMGTPE]))?")
_POWERS = "kMGTPE"


def parse_quantity(text: str | int | float) -> int:
    """Bytes, rounded up as Kubernetes does.  ValueError for what is not a quantity."""
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"not a quantity: {text!r}")
    number, exponent, suffix = found.groups()
    value = Decimal(number + (exponent or ""))
    if suffix == "m":
        value /= 1000
    elif suffix:
        base = 1024 if suffix.endswith("i") else 1000
        value *= Decimal(base) ** (_POWERS.lower().index(suffix[0].lower()) + 1)
    return int(value.to_integral_value(ROUND_CEILING))


def render_bytes(size: int) -> str:
    """The shortest exact form that people use: ``304Mi``."""
    for suffix, unit in (("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)):
        if size and size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)
