"""The OpenStack config drive: an ISO 9660 disc with the label `config-2`, from which cloud-init learns who the machine is.

Source of the layout: Nova's *Config drives* and *Metadata service* (`openstack/latest`), cloud-init's ConfigDrive data source.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a machine is."""

    hostname: str
    name: str = ""
    """The instance's; its host name unless given."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    public_keys: Sequence[str] = ()
    user_data: str = ""
    mac: str = ""
    """Of its one network card, which asks by DHCP; "": the drive says nothing of the network."""


def write(target: Path, who: Identity) -> None:
    """Make the drive, an ISO file."""
    import pycdlib

    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident="config-2")
    disc.add_directory("/OPENSTACK", rr_name="openstack", joliet_path="/openstack")
    disc.add_directory("/OPENSTACK/LATEST", rr_name="latest", joliet_path="/openstack/latest")
    for number, (name, content) in enumerate(_contents(who).items()):
        disc.add_fp(io.BytesIO(content), len(content), f"/OPENSTACK/LATEST/FILE{number}.;1", rr_name=name, joliet_path=f"/openstack/latest/{name}")
    disc.write(str(target))
    disc.close()


def _contents(who: Identity) -> dict[str, bytes]:
    found = {"meta_data.json": _json(_meta(who)), "vendor_data.json": _json({})}
    if who.user_data:
        found["user_data"] = who.user_data.encode()
    if who.mac:
        found["network_data.json"] = _json(_network(who.mac))
    return found


def _meta(who: Identity) -> dict[str, Any]:
    name = who.name or who.hostname
    told: dict[str, Any] = {"uuid": who.id, "hostname": who.hostname, "name": name, "launch_index": 0, "availability_zone": "nova"}
    if who.public_keys:
        told["public_keys"] = {f"key{number}": key for number, key in enumerate(who.public_keys)}
    return told


def _network(mac: str) -> dict[str, Any]:
    return {
        "links": [{"id": "link0", "type": "phy", "ethernet_mac_address": mac, "mtu": 1500}],
        "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "link0"}],
        "services": [],
    }


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode()
