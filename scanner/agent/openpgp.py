"""Fingerprints and user IDs of OpenPGP public keys (RFC 4880), binary or armoured."""

import base64
import binascii
import hashlib
import re
from typing import Iterator, List, Tuple

ARMOUR = re.compile(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL)
PUBLIC_KEY, USER_ID = 6, 13


def keys(raw: bytes) -> Tuple[List[str], List[str]]:
    """Fingerprints of the primary keys and user IDs; what is not understood is left out."""
    fingerprints: List[str] = []
    names: List[str] = []
    for block in _blocks(raw):
        for tag, body in _packets(block):
            if tag == PUBLIC_KEY and body[:1] == b"\x04":
                fingerprints.append(hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper())
            elif tag == USER_ID:
                names.append(body.decode("utf-8", "backslashreplace"))
    return fingerprints, names


def _blocks(raw: bytes) -> Iterator[bytes]:
    if b"-----BEGIN PGP" not in raw:
        yield raw
    for match in ARMOUR.finditer(raw):
        text = match.group(1).replace(b"\r", b"")
        body = text.partition(b"\n\n")[2] if b"\n\n" in text else text
        lines = [line for line in body.split(b"\n") if not line.startswith(b"=")]
        try:
            yield base64.b64decode(b"".join(lines))
        except binascii.Error:
            continue


def _packets(raw: bytes) -> Iterator[Tuple[int, bytes]]:
    at = 0
    while at < len(raw) and raw[at] & 0x80:
        try:
            tag, start, length = _new(raw, at) if raw[at] & 0x40 else _old(raw, at)
        except (IndexError, ValueError):
            return
        yield tag, raw[start : start + length]
        at = start + length


def _old(raw: bytes, at: int) -> Tuple[int, int, int]:
    """Tag, where the body starts, its length: section 4.2.1."""
    kind = raw[at] & 3
    if kind == 3:
        return raw[at] >> 2 & 15, at + 1, len(raw) - at - 1
    size = 1 << kind
    return raw[at] >> 2 & 15, at + 1 + size, int.from_bytes(raw[at + 1 : at + 1 + size], "big")


def _new(raw: bytes, at: int) -> Tuple[int, int, int]:
    """Section 4.2.2. Raises ValueError for partial lengths, which keys do not have."""
    first = raw[at + 1]
    if first < 192:
        return raw[at] & 63, at + 2, first
    if first < 224:
        return raw[at] & 63, at + 3, (first - 192 << 8) + raw[at + 2] + 192
    if first < 255:
        raise ValueError("a partial length")
    return raw[at] & 63, at + 6, int.from_bytes(raw[at + 2 : at + 6], "big")
