"""The two key pairs of an installation: the agent's and the laptop's.

Ed25519, made anew for each installation and kept in the workload's Secret: whoever may read the Secret may
attach, and nobody else.  The agent's key is PKCS8 PEM and the public ones are OpenSSH lines, since both ends
(Go's crypto/ssh and asyncssh) read these without conversion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyPair:
    """``private``: PKCS8 PEM.  ``public``: one OpenSSH line without comment, newline at its end."""

    private: str = field(repr=False)
    public: str


def generate_pair() -> KeyPair:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), public.decode() + "\n")
