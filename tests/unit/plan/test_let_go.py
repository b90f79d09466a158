"""What goes when a workload is let go of: a row for each way, and for what is known."""

from __future__ import annotations

import pytest

from devcluster.plan.let_go import plan_detach, plan_put_back

DETACH = [
    ("`leave`", False, False, "hand back; remove nothing"),
    ("`down`", False, True, "take out; remove agent, containers"),
    ("`leave` of what somebody took", True, False, "give up; remove nothing"),
    ("`down` of what somebody took", True, True, "give up; remove containers"),
]


@pytest.mark.parametrize(("what", "taken", "remove_agent", "done"), DETACH, ids=[row[0] for row in DETACH])
def test_a_command_lets_go(what: str, taken: bool, remove_agent: bool, done: str) -> None:
    assert str(plan_detach(taken=taken, remove_agent=remove_agent)) == done


PUT_BACK = [
    # attached, created, theirs
    ("nothing was made yet", False, False, False, "nothing; remove nothing"),
    ("somebody else holds it", False, False, True, "nothing; remove nothing"),
    ("the agent was being installed", False, True, False, "nothing; remove agent, containers, copies"),
    ("somebody else installs it", False, True, True, "nothing; remove containers, copies"),
    ("an edit fails, or a start by an older agent", True, False, False, "hand back; remove nothing"),
    ("an edit, and somebody takes it", True, False, True, "hand back; remove nothing"),
    ("the first start fails", True, True, False, "hand back; remove agent, containers, copies"),
    ("the first start, and somebody takes it", True, True, True, "hand back; remove containers, copies"),
]


@pytest.mark.parametrize(
    ("what", "attached", "created", "theirs", "done"), PUT_BACK, ids=[row[0] for row in PUT_BACK]
)
def test_a_failure_puts_back(what: str, attached: bool, created: bool, theirs: bool, done: str) -> None:
    assert str(plan_put_back(attached=attached, created=created, theirs=theirs)) == done
