"""Nothing but the plan branches on a workload's mode, take, order or run: the others read what it says."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import devcluster
from devcluster.config.model import Mode, Order, Run, Take

_ROOT = Path(devcluster.__file__).parent
_WORDS = {"mode": Mode, "take": Take, "order": Order, "run": Run}
_MAY = {
    "plan/handover.py": "the order of things",
    "plan/serving.py": "all else",
    "config/read/modes.py": "which keys go together",
    "run/host/opening.py": "makes the side that serves",
}


def branches(tree: ast.AST) -> Iterator[int]:
    """Lines that compare one of them with one of its words."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        names = [_name(it) for it in (node.left, *node.comparators)]
        said = {it.value for it in ast.walk(node) if isinstance(it, ast.Constant)}
        if any(name in _WORDS and said & set(get_args(_WORDS[name])) for name in names):
            yield node.lineno


def _name(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


@pytest.mark.parametrize("path", sorted(_ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(_ROOT)))
def test_a_field_of_the_plan_is_read_instead(path: Path) -> None:
    """Whoever needs another answer adds a field to ``plan.serving``."""
    found = [] if str(path.relative_to(_ROOT)) in _MAY else list(branches(ast.parse(path.read_text())))
    assert found == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('workload.run == "host"', [1]),
        ('wish.mode != "replace"', [1]),
        ('mode in ("replace", "ingest")', [1]),
        ('"direct" == take', [1]),
        ('plan.mode == "copy"', []),  # of a volume
        ("serving.needs_image", []),
        ("mode == other.mode", []),
    ],
)
def test_what_is_found(text: str, found: list[int]) -> None:
    assert list(branches(ast.parse(text))) == found
