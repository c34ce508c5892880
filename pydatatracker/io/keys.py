"""Keys that sign the roots of a sealed log: Ed25519, in PEM files.

Needs the extra ``seal``, but for a public key in hex.
"""

from __future__ import annotations

import os
import re
from typing import Any, Final

from pydatatracker.io.files import open_log
from pydatatracker.io.seals import SealError

__all__ = ["is_signed", "new_key", "private_key", "public_key"]

_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise ImportError('signed seals need cryptography: pip install "pydatatracker[seal]"') from None
    return ed25519, serialization


def private_key(given: Any) -> Any:
    """Return the key that signs.

    :param given: the path of a PEM file, its content as bytes, or an Ed25519PrivateKey.
    :raises SealError: it is another kind of key, or encrypted. OSError: the file cannot be read.
    :raises ImportError: cryptography is not installed.
    """
    ed25519, serialization = _library()
    if isinstance(given, ed25519.Ed25519PrivateKey):
        return given
    where = "seal_key"
    if isinstance(given, (str, os.PathLike)):
        where = os.fsdecode(given)
        with open(where, "rb") as file:
            given = file.read()
    if not isinstance(given, (bytes, bytearray)):
        raise SealError(f"seal_key must be the path of a PEM file, bytes or a private key, not {type(given).__name__}")
    try:
        found = serialization.load_pem_private_key(bytes(given), None)
    except TypeError:  # a password is needed
        raise SealError(f"{where}: the key is encrypted; load it in the program, and pass the key itself") from None
    except Exception:  # the text of the error may quote the key
        raise SealError(f"{where}: not a private key in PEM; `pydatatracker seal-key` makes one") from None
    if not isinstance(found, ed25519.Ed25519PrivateKey):
        raise SealError(f"{where}: a key of Ed25519 is needed; `pydatatracker seal-key` makes one")
    return found


def public_key(given: Any) -> str:
    """Return a public key in hex, as it stands in the lines with roots.

    :param given: these 64 digits, or the path of a PEM file with a public key or the private one.
    :raises SealError: it is neither. OSError: the file cannot be read.
    """
    text = os.fsdecode(given)
    if _HEX.fullmatch(text):
        return text.lower()
    with open(text, "rb") as file:
        data = file.read()
    ed25519, serialization = _library()
    if b"PRIVATE KEY" in data:
        return str(private_key(text).public_key().public_bytes_raw().hex())
    try:
        found = serialization.load_pem_public_key(data)
    except Exception:
        raise SealError(f"{text}: not a public key in PEM") from None
    if not isinstance(found, ed25519.Ed25519PublicKey):
        raise SealError(f"{text}: a public key of Ed25519 is needed")
    return str(found.public_bytes_raw().hex())


def is_signed(key: str, signature: str, data: bytes) -> bool:
    """Return whether a signature is that of the key over data. O(length).

    :param key: a public key, and the signature: in hex.
    """
    ed25519, _ = _library()
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(signature), data)
    except Exception:  # InvalidSignature, or what is not hex
        return False
    return True


def new_key(private: str | os.PathLike[str], public: str | os.PathLike[str]) -> str:
    """Write a new pair of keys as PEM; return the public key in hex.

    Only the owner may read the private one.

    :raises FileExistsError: one of the files exists; a key is never overwritten.
    """
    ed25519, serialization = _library()
    for path in (private, public):
        if os.path.lexists(path):
            raise FileExistsError(17, "it exists, and a key is never overwritten", os.fsdecode(path))
    key = ed25519.Ed25519PrivateKey.generate()
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    written = (
        (private, 0o600, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)),
        (public, 0o644, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)),
    )
    for path, mode, data in written:
        with open(open_log(os.fsdecode(path), os.O_WRONLY | os.O_EXCL, mode), "wb") as file:
            file.write(data)
    return str(key.public_key().public_bytes_raw().hex())
