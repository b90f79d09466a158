"""Four quick rows of the matrix with each test run; ``scripts/test.sh faults`` runs all of them.

Figures are printed; judged with three times what is promised.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.faults import FAULTS, Fault
from tests.faults.matrix import FLOW, TRUTH, open_stage, run_fault
from tests.scenarios.world import load_app

_QUICK = ("gateway-killed", "api-reset-7", "agent-killed", "roamed")
_ROWS = [it for it in FAULTS if it.name in _QUICK]


@pytest.fixture(scope="session")
def app(kubeconfig: Path) -> str:
    return load_app(kubeconfig)


@pytest.mark.parametrize("fault", _ROWS, ids=lambda it: it.name)
async def test_row(kubeconfig: Path, app: str, tmp_path: Path, fault: Fault) -> None:
    async with open_stage(kubeconfig, tmp_path, app) as stage:
        row = await run_fault(stage, fault)
    print(row)
    assert row.truth < 3 * TRUTH
    assert row.flow < 3 * FLOW
    assert row.left == ()
    assert not [text for text in row.broken if "late" not in text]
