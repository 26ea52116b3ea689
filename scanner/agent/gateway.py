"""Where the service may be when the URL names loopback: on this machine, or behind its default gateway.

A virtual machine in QEMU's user-mode network reaches its host's loopback at its gateway, under the same port.
"""

import ipaddress
import socket
import struct
from typing import List, Optional
from urllib.parse import urlsplit, urlunsplit

ROUTES = "/proc/net/route"
UP_GATEWAY = 0x3
"""RTF_UP and RTF_GATEWAY of linux/route.h."""


def places(base: str, routes: str = ROUTES) -> List[str]:
    """`base`, and the same at the default gateway when its host is loopback."""
    found = [base]
    parts = urlsplit(base)
    gateway = default(routes) if is_loopback(parts.hostname or "") else None
    if gateway is not None:
        port = ":%d" % parts.port if parts.port else ""
        found.append(urlunsplit((parts.scheme, gateway + port, parts.path, "", "")))
    return found


def is_loopback(host: str) -> bool:
    """By its name or its address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def default(routes: str = ROUTES) -> Optional[str]:
    """The IPv4 default gateway's address, of the lowest metric; None when there is none. proc(5): numbers are in host order."""
    try:
        with open(routes, encoding="ascii") as table:
            rows = [line.split() for line in table][1:]
    except OSError:
        return None
    found = []
    for row in rows:
        if len(row) > 7 and int(row[1], 16) == 0 and int(row[7], 16) == 0 and int(row[3], 16) & UP_GATEWAY == UP_GATEWAY:
            found.append((int(row[6]), socket.inet_ntoa(struct.pack("=I", int(row[2], 16)))))
    return min(found)[1] if found else None
