"""A libvirt domain's own definition, read: what it says of the machine, and where its disks lie. Source: libvirt's *Domain XML format*."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

from scanner.host.systems import Disk
from scanner.report import Machine, MachineDisk, MachineNic

FORMATS = ("qcow2", "raw")
SOURCES = {"file": "file", "block": "dev"}
"""Type of a disk -> the attribute of its source that is a path of this machine."""
KIB = {"b": 1 / 1024, "bytes": 1 / 1024, "KB": 1000 / 1024, "k": 1, "KiB": 1, "MB": 10**6 / 1024, "M": 1024, "MiB": 1024, "GB": 10**9 / 1024, "G": 2**20, "GiB": 2**20}

VolumePath = Callable[[str, str], str]
"""Pool and volume -> its path on this machine."""


def machine(xml: str, state: str) -> Machine:
    """The facts of the definition `xml`."""
    root = ET.fromstring(xml)
    kind = root.find("os/type")
    memory = root.find("memory")
    return Machine(
        name=root.findtext("name", ""),
        uuid=root.findtext("uuid", ""),
        state=state,
        hypervisor=root.get("type", ""),
        arch=kind.get("arch", "") if kind is not None else "",
        machine=kind.get("machine", "") if kind is not None else "",
        memory=int(int(memory.text or 0) * KIB.get(memory.get("unit", "KiB"), 1) / 1024) if memory is not None else 0,
        cpus=int(root.findtext("vcpu", "0")),
        firmware=_firmware(root),
        disks=[_disk(one) for one in root.iterfind("devices/disk")],
        nics=[_nic(one) for one in root.iterfind("devices/interface")],
    )


def has_agent(xml: str) -> bool:
    """Whether the machine has the channel that a guest agent answers on."""
    return any(one.get("name") == "org.qemu.guest_agent.0" for one in ET.fromstring(xml).iterfind("devices/channel/target"))


def agent_answers(xml: str) -> bool:
    """Whether, of a running machine, something in the guest holds that channel open."""
    return any(
        one.get("name") == "org.qemu.guest_agent.0" and one.get("state") == "connected" for one in ET.fromstring(xml).iterfind("devices/channel/target")
    )


def disks(xml: str, path_of: VolumePath) -> tuple[list[Disk], list[str]]:
    """The disks that can be opened from this machine, and, of the others, why not. Drives for media are left out."""
    found, others = [], []
    for one in ET.fromstring(xml).iterfind("devices/disk"):
        if one.get("device", "disk") not in ("disk", "lun") or one.find("source") is None:
            continue
        told = _disk(one)
        why = _why_not(one, told)
        if why:
            others.append(f"disk {told.target} {why}")
            continue
        source = one.find("source")
        assert source is not None
        path = path_of(source.get("pool", ""), source.get("volume", "")) if told.type == "volume" else told.source
        found.append(Disk(told.target, Path(path), told.format))
    return found, others


def _why_not(one: ET.Element, told: MachineDisk) -> str:
    if one.find("encryption") is not None or one.find("source/encryption") is not None:
        return "is encrypted and cannot be read from outside"
    if told.type not in (*SOURCES, "volume"):
        return f"is of type '{told.type}', which is not on this machine"
    return "" if told.format in FORMATS else f"has the format '{told.format}', which is not known here"


def _disk(one: ET.Element) -> MachineDisk:
    source, target, driver = one.find("source"), one.find("target"), one.find("driver")
    kind = one.get("type", "")
    if source is None:
        where = ""
    elif kind == "volume":
        where = f"{source.get('pool')}/{source.get('volume')}"
    else:
        where = source.get(SOURCES.get(kind, "name")) or ""
    return MachineDisk(
        target=target.get("dev", "") if target is not None else "",
        bus=target.get("bus", "") if target is not None else "",
        device=one.get("device", "disk"),
        type=kind,
        # As libvirt does: never guessed from the contents, which the guest may have written.
        format=driver.get("type", "raw") if driver is not None else "raw",
        source=where,
        read_only=one.find("readonly") is not None,
    )


def _nic(one: ET.Element) -> MachineNic:
    def of(tag: str, *keys: str) -> str:
        found = one.find(tag)
        return next((value for key in keys if found is not None and (value := found.get(key))), "")

    return MachineNic(mac=of("mac", "address"), model=of("model", "type"), type=one.get("type", ""), source=of("source", "network", "bridge", "dev"))


def _firmware(root: ET.Element) -> str:
    kind, loader = root.find("os"), root.find("os/loader")
    is_efi = (kind is not None and kind.get("firmware") == "efi") or (loader is not None and loader.get("type") == "pflash")
    return "efi" if is_efi else "bios"
