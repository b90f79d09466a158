"""What `plan` and `status` say of a volume."""

from __future__ import annotations

from devcluster.cli.status import _left_out
from devcluster.run.volume.measure import Measured


def test_a_volume_in_words() -> None:
    assert str(Measured("data", "/data", "copy")) == "volume data (/data): copy"
    one = Measured("secrets", "/run/s", "memory", 1, 3)
    assert str(one) == "volume secrets (/run/s): memory, 3 B in 1 file"
    odd = Measured("data", "/data", "copy", 1200, 5 << 20, (("a.sock", "socket"), ("x", "unreadable")))
    assert str(odd) == (
        "volume data (/data): copy, 5.0 MiB in 1,200 files, without a.sock (socket), x (unreadable)"
    )
    assert odd.row()["left_out"][0] == {"path": "a.sock", "reason": "socket"}


def test_what_is_left_out_in_words() -> None:
    assert _left_out({}) == ""
    assert _left_out({"left_out": [{"path": ".", "reason": "the node's /proc"}]}) == "the node's /proc"
    many = [{"path": f"s{number}", "reason": "socket"} for number in range(7)]
    assert _left_out({"left_out": many}).endswith("s4 (socket) and 2 more")
