"""A number with the words that go with it: ``1 file was``, ``3 files were``."""

from __future__ import annotations


def counted(number: int, one: str, many: str) -> str:
    """*one* or *many* after *number*, which has its thousands set apart."""
    return f"{number:,} {one if number == 1 else many}"
