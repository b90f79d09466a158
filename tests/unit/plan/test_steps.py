"""What `plan` prints of the laptop's half."""

from __future__ import annotations

from devcluster.plan.steps import plan_pulls, render_steps
from devcluster.rules.container.image import ImageChoice, ImageFacts

HERE = ImageFacts("sha256:1", (), (), None, "", "/", "amd64", ())


def test_pulls_in_words() -> None:
    absent = ImageChoice("web:1", "web@sha256:2", None, source="web@sha256:2")
    always = ImageChoice("mine:dev", "", HERE, source="mine:dev")
    assert render_steps(plan_pulls([absent, always])) == (
        " 1. pull image web@sha256:2\n"
        "    because this laptop does not have it\n"
        "    `down` keeps it\n"
        " 2. pull image mine:dev\n"
        "    because pull_policy says so\n"
        "    `down` keeps it"
    )
