"""The Secret holds all that `down` needs, and gives it back as it was."""

from __future__ import annotations

from dataclasses import replace

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.keys import generate_pair
from devcluster.rules.cluster.marks import (
    Holder,
    Originals,
    Record,
    encode_files,
    owner_reference,
    parse_originals,
    parse_record,
    render_record,
    render_secret,
    restore_template,
)
from devcluster.rules.cluster.services import PortMove
from devcluster.rules.cluster.template import Wrapping, wrap_template
from devcluster.rules.ports.ports import PortKey

PLAIN = {"spec": {"containers": [{"name": "web", "image": "a"}]}}


def wrapped(port: int) -> dict[str, object]:
    wrapping = Wrapping("s", ("c",), ("/app",), port)
    return wrap_template(PLAIN, container="web", wrapping=wrapping)


ORIGINALS = Originals(
    ref=WorkloadRef("deployment", "shop", "web"),
    uid="u",
    container="web",
    template=PLAIN,
    wrapped=wrapped(9900),
    history_limit=10,
    raised_limit=20,
    revision="3",
    revisions={"web-1": ("3", "1")},
    moves=(PortMove("web", PortKey(80), 8080, 9901),),
    managers={"deployment/web": [{"manager": "kubectl"}]},
)


def test_secret_round_trip() -> None:
    item = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "uid": "u"}}
    owner = owner_reference(item)
    record = Record(3, Holder("ann", "laptop", "shop", "f00d"), "2026-11-23T08:00:00Z")
    pair = generate_pair()
    secret = render_secret(ORIGINALS, settings={}, agent=pair, laptop=pair, owner=owner, record=record)
    assert secret["metadata"]["name"] == "devcluster-deployment-web"
    assert parse_originals(secret) == ORIGINALS
    assert parse_record(secret) == record
    secret["data"] |= encode_files({"record.json": render_record(Record(4))})
    assert parse_record(secret) == Record(4)
    assert parse_originals({"data": {}}) is None
    assert parse_record({}) == Record()


def test_crash_while_wrapping_anew() -> None:
    former = {"template": PLAIN, "wrapped": wrapped(9900)}
    now = replace(ORIGINALS, wrapped=wrapped(9950), former=former)
    for live in (wrapped(9900), wrapped(9950)):
        restored = restore_template(now, live)
        assert (restored.template, restored.kept) == (PLAIN, ())


def test_a_record_remembers_who_left() -> None:
    ann = Holder("ann", "laptop", "shop", "f00d")
    left = Record(3, last=ann)
    secret = {"data": encode_files({"record.json": render_record(left)})}
    assert parse_record(secret) == left
    assert left.is_of(ann)
    assert not left.is_of(Holder("ann", "laptop", "shop", "beef"))
    assert not Record(4, Holder("bob", "desk", "shop"), last=ann).is_of(ann)
    assert not Record().is_of(ann)
