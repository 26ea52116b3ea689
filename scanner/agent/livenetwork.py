"""Addresses and routes that a running system has now, from its kernel's tables (proc(5): net/fib_trie, net/if_inet6, net/route)."""

import re
import socket
import struct
from typing import List

LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


def addresses(process: bytes) -> List[str]:
    """IPv4 addresses, and IPv6 ones with prefix length and interface. `process` is a folder of /proc."""
    found = set(LOCAL.findall(_text(process + b"/net/fib_trie")))
    for line in _text(process + b"/net/if_inet6").splitlines():
        words = line.split()
        if len(words) == 6:
            found.add("%s/%d %s" % (socket.inet_ntop(socket.AF_INET6, bytes.fromhex(words[0])), int(words[2], 16), words[5]))
    return sorted(found)


def routes(process: bytes) -> List[str]:
    """`192.0.2.0/24 eth0`, `0.0.0.0/0 eth0 via 192.0.2.1`: the main table of IPv4."""
    found = []
    for line in _text(process + b"/net/route").splitlines()[1:]:
        words = line.split()
        if len(words) > 7:
            bits = bin(int(words[7], 16)).count("1")
            via = "" if int(words[2], 16) == 0 else " via " + _dotted(words[2])
            found.append("%s/%d %s%s" % (_dotted(words[1]), bits, words[0], via))
    return found


def _dotted(word: str) -> str:
    """The kernel prints the number as this machine has it in memory."""
    return socket.inet_ntoa(struct.pack("=I", int(word, 16)))


def _text(path: bytes) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as table:
            return table.read()
    except OSError:
        return ""
