"""How interfaces are configured, by any of the programs that do it: their files as they are, not what the kernel made of them."""

from typing import Dict, Iterator, List, Tuple

from scanner.agent import ini
from scanner.agent.tree import Root, printable

Row = Dict[str, object]
Values = Dict[str, List[str]]
NETPLAN_DEVICES = ("ethernets", "wifis", "bonds", "bridges", "vlans", "tunnels", "modems")


def connections(root: Root) -> Iterator[Row]:
    """One row an interface and file."""
    for path in [b"/etc/network/interfaces", *_files(root, b"/etc/network/interfaces.d", b"")]:
        yield from _ifupdown(printable(path), printable(root.read(path)).splitlines())
    for folder in (b"/etc/systemd/network", b"/usr/lib/systemd/network"):
        for path in _files(root, folder, b".network"):
            yield _networkd(printable(path), dict(ini.sections(root.read(path))))
    for path in _files(root, b"/etc/NetworkManager/system-connections", b""):
        yield _manager(printable(path), dict(ini.sections(root.read(path))))
    for path in _files(root, b"/etc/netplan", b".yaml"):
        yield from _netplan(printable(path), printable(root.read(path)).splitlines())
    for path in _files(root, b"/etc/sysconfig/network-scripts", b"") + _files(root, b"/etc/sysconfig/network", b""):
        if path.rpartition(b"/")[2].startswith(b"ifcfg-"):
            yield _ifcfg(path, printable(root.read(path)).splitlines())


def _files(root: Root, folder: bytes, suffix: bytes) -> List[bytes]:
    return [folder + b"/" + name for name in root.names(folder) if name.endswith(suffix) and not name.startswith(b".")]


def _row(renderer: str, file: str, interface: str, dhcp: bool, addresses: List[str], gateways: List[str]) -> Row:
    return {
        "renderer": renderer,
        "file": file,
        "interface": interface,
        "dhcp": dhcp,
        "addresses": addresses,
        "gateways": gateways,
    }


def _ifupdown(file: str, lines: List[str]) -> Iterator[Row]:
    """interfaces(5): a stanza goes to the next line that begins one."""
    stanza: Values = {}
    for line in [*lines, "auto"]:
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("iface", "auto", "mapping", "source", "source-directory", "no-auto-down", "no-scripts") or words[0].startswith("allow-"):
            if stanza:
                yield _row("ifupdown", file, stanza["iface"][0], "dhcp" in stanza["iface"], _masked(stanza), stanza.get("gateway", []))
            stanza = {"iface": words[1:]} if words[0] == "iface" and len(words) > 1 else {}
        elif stanza:
            stanza.setdefault(words[0], []).extend(words[1:2])


def _masked(stanza: Values) -> List[str]:
    masks = stanza.get("netmask", [])
    addresses = stanza.get("address", [])
    return ["%s/%s" % (addresses[0], masks[0])] if len(addresses) == len(masks) == 1 else addresses


def _networkd(file: str, parts: Dict[str, Values]) -> Row:
    network, match = parts.get("Network", {}), parts.get("Match", {})
    addresses = network.get("Address", []) + parts.get("Address", {}).get("Address", [])
    gateways = network.get("Gateway", []) + parts.get("Route", {}).get("Gateway", [])
    dhcp = network.get("DHCP", ["no"])[-1].lower() not in ("no", "false", "0", "off", "none")
    return _row("networkd", file, " ".join(match.get("Name", []) + match.get("MACAddress", [])), dhcp, addresses, gateways)


def _manager(file: str, parts: Dict[str, Values]) -> Row:
    """nm-settings-keyfile(5): `address1=192.0.2.7/24,192.0.2.1`, where what follows the comma is a gateway."""
    connection = parts.get("connection", {})
    addresses, gateways = [], []
    for family in (parts.get("ipv4", {}), parts.get("ipv6", {})):
        gateways += family.get("gateway", [])
        for key in sorted(family):
            if key.startswith("address") and key[7:].isdigit():
                address, _, gateway = family[key][0].partition(",")
                addresses.append(address)
                gateways += [gateway] if gateway else []
    name = (connection.get("interface-name") or connection.get("id") or [""])[0]
    return _row("NetworkManager", file, name, parts.get("ipv4", {}).get("method") == ["auto"], addresses, gateways)


def _ifcfg(path: bytes, lines: List[str]) -> Row:
    values = {key.strip(): value.strip().strip("\"'") for key, sign, value in (line.partition("=") for line in lines) if sign}
    addresses = [values[key] for key in sorted(values) if key.startswith("IPADDR") and values[key]]
    if addresses and "/" not in addresses[0]:
        tail = values.get("PREFIX") or values.get("PREFIXLEN") or values.get("NETMASK")
        addresses[0] += "/" + tail if tail else ""
    name = values.get("DEVICE") or printable(path).rpartition("ifcfg-")[2]
    gateways = [values["GATEWAY"]] if values.get("GATEWAY") else []
    return _row("ifcfg", printable(path), name, "dhcp" in values.get("BOOTPROTO", "").lower(), addresses, gateways)


def _netplan(file: str, lines: List[str]) -> Iterator[Row]:
    """The block style that netplan's own tools write, without a YAML reader: names under the kinds of devices, by indentation."""
    found: Dict[str, Values] = {}
    for path, value in _yaml(lines):
        if len(path) >= 3 and path[0] == "network" and path[1] in NETPLAN_DEVICES:
            values = found.setdefault(path[2], {})
            if value and len(path) > 3:
                values.setdefault(path[3] if path[3] != "routes" else path[-1], []).append(value)
    for name, values in found.items():
        dhcp = any(value in ("true", "yes", "on") for key in ("dhcp4", "dhcp6") for value in values.get(key, []))
        yield _row("netplan", file, name, dhcp, values.get("addresses", []), values.get("gateway4", []) + values.get("via", []))


def _yaml(lines: List[str]) -> Iterator[Tuple[List[str], str]]:
    """Path of keys and scalar for each line; items of a list, block or flow style, come one by one."""
    stack: List[Tuple[int, str]] = []
    for line in lines:
        text = line.partition(" #")[0].rstrip()
        body = text.strip()
        if not body or body.startswith("#"):
            continue
        indent = len(text) - len(text.lstrip())
        item = body.startswith("- ")
        body = body[2:].strip() if item else body
        stack = [(depth, key) for depth, key in stack if depth < indent or (item and depth == indent)]
        key, colon, value = body.partition(":")
        if colon and (not value or value[0] == " "):
            stack.append((indent + (2 if item else 0), key.strip("\"' ")))
            body = value
        for scalar in body.strip().strip("[]").split(",") if body.strip() else [""]:
            yield [name for _, name in stack], scalar.strip().strip("\"'")
