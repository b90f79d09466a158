"""The file's JSON Schema, from the table that the parser reads.

A key that is not built yet is in it as ``{"not": {}}``, so that an editor refuses it as the parser does.
"""

from __future__ import annotations

from typing import Any

from devcluster.config.read.keys import PROJECT


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "devcluster.yaml",
        **PROJECT.schema(),
    }
