"""File capabilities, as libcap writes them and as the kernel keeps them, are the same sets."""

from __future__ import annotations

import struct

import pytest

from scanner.agent.capabilities import ALL, NONE, of_attribute, of_text


@pytest.mark.parametrize(
    ("text", "sets"),
    [
        ("", NONE),
        ("cap_net_raw=ep", (1 << 13, 0, True)),
        ("= cap_net_raw+ep", (1 << 13, 0, True)),
        ("cap_net_bind_service,cap_net_raw=ep", (1 << 13 | 1 << 10, 0, True)),
        ("cap_chown=p cap_setuid=i", (1, 1 << 7, False)),
        ("cap_chown+eip cap_chown-i", (1, 0, True)),
        ("=ep", (ALL, 0, True)),
        ("cap_checkpoint_restore=p", (1 << 40, 0, False)),
    ],
)
def test_text_is_understood(text, sets):
    assert of_text(text) == sets


def test_attributes_of_every_revision_are_understood():
    assert of_attribute(struct.pack("<III", 0x01000001, 1 << 13, 0)) == (1 << 13, 0, True)
    assert of_attribute(struct.pack("<IIIII", 0x02000000, 1, 2, 1 << 8, 0)) == (1 | 1 << 40, 2, False)
    assert of_attribute(struct.pack("<IIIIII", 0x03000001, 1, 0, 0, 0, 1000)) == (1, 0, True)
    assert of_attribute(b"cut") == NONE
