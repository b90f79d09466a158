from __future__ import annotations

import asyncssh

from devcluster.rules.cluster.keys import generate_pair


def test_both_forms_are_one_key_and_stay_out_of_the_repr() -> None:
    pair = generate_pair()
    private = asyncssh.import_private_key(pair.private)
    assert private.export_public_key().decode().split()[:2] == pair.public.split()[:2]
    assert "PRIVATE" in pair.private
    assert "PRIVATE" not in repr(pair)
    assert generate_pair() != pair
