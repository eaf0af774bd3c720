"""Keys that callers show: how they are made, and what is kept of them."""

import hashlib
import secrets

KEY_PREFIX = "cn_"
_KEY_BYTES = 32


def new_key() -> str:
    """A key that nobody has and nobody guesses: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def key_digest(key: str) -> bytes:
    """What the configuration keeps of *key*, as bytes.

    A plain hash serves here, unlike for passwords: nobody finds 256 random bits by trying.
    """
    return hashlib.sha256(key.encode()).digest()
