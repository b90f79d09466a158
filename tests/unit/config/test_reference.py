"""docs/reference.md shows every key of the file in an example, and each example is understood."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.config.load import parse_project
from devcluster.config.read.keys import PROJECT, WORKLOAD
from devcluster.config.schema import schema

Json = dict[str, Any]

_REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", _REFERENCE.read_text(), re.DOTALL | re.MULTILINE)
LATER: Json = {"not": {}}


def whole(example: str) -> str:
    """An example of a workload's keys as a file."""
    if "workloads:" in example:
        return example
    return "workloads:\n  web:\n" + "".join(f"    {line}\n" for line in example.splitlines())


def keys(shape: Json, path: str = "") -> Iterator[str]:
    """Every key that is built, ``*`` for a free name."""
    for name, inner in shape.get("properties", {}).items():
        if not LATER.items() <= inner.items():
            yield f"{path}.{name}"
            yield from keys(inner, f"{path}.{name}")
    for pattern, inner in shape.get("patternProperties", {}).items():
        if pattern != "^x-":
            yield from keys(inner, f"{path}.*")
    for inner in (*shape.get("anyOf", ()), *([shape["items"]] if "items" in shape else [])):
        yield from keys(inner, path)


def shown(shape: Json, value: Any, path: str = "") -> Iterator[str]:
    """Those of ``keys`` that are in *value*."""
    for inner in shape.get("anyOf", ()):
        yield from shown(inner, value, path)
    for part in value if isinstance(value, list) else ():
        yield from shown(shape.get("items", {}), part, path)
    for name, part in value.items() if isinstance(value, dict) else ():
        if name in shape.get("properties", {}):
            yield f"{path}.{name}"
            yield from shown(shape["properties"][name], part, f"{path}.{name}")
        for pattern, inner in shape.get("patternProperties", {}).items():
            if re.search(pattern, str(name)):
                yield from shown(inner, part, f"{path}.*")


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_understood(example: str) -> None:
    file = Path("/home/ann/shop/devcluster.yaml")
    assert parse_project(
        whole(example), path=file, environ={}, dotenv={}, env_files=lambda path: "{}"
    ).workloads


def test_every_key_is_explained() -> None:
    """Also what is not built yet."""
    names = {key.name for record in (PROJECT, WORKLOAD) for key in record.keys}
    assert {name for name in names if f"`{name}`" not in _REFERENCE.read_text()} == set()


def test_every_key_that_is_built_is_in_an_example() -> None:
    seen = {key for it in EXAMPLES for key in shown(schema(), yaml.safe_load(whole(it)))}
    assert sorted(set(keys(schema())) - seen) == []
