"""The definition of the throw-away machine and its config drive, read back by others' parsers."""

from __future__ import annotations

import io
import json
import socket
import xml.etree.ElementTree as ET
from pathlib import Path

import pycdlib
import pytest

from builders import configdrive
from builders.configdrive import Identity
from builders.machine import Virtual, accelerator, domain_xml, free_port

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
ODD = Path("/srv/a & b/<c>/\"d\"/it's/caf\xe9.qcow2")


def definition(ports: dict[int, int] | None = None, memory: int = 512) -> ET.Element:
    return ET.fromstring(domain_xml(Virtual("forgelet-1", ODD, ODD.with_suffix(".iso"), ODD.with_suffix(".log"), memory, ports or {})))


def test_odd_paths_arrive_as_they_are() -> None:
    sources = [source.get("file") or source.get("path") for source in definition().iter("source")]
    assert sources == [str(ODD), str(ODD.with_suffix(".iso")), str(ODD.with_suffix(".log"))]


def test_the_machine_has_the_memory_that_was_asked_for_and_its_name() -> None:
    found = definition(memory=768)
    assert (found.findtext("name"), found.findtext("memory")) == ("forgelet-1", "768")


def arguments(found: ET.Element) -> list[str]:
    return [argument.get("value", "") for argument in found.iter(f"{QEMU}arg")]


def test_every_forward_listens_on_loopback_alone_and_the_network_is_closed() -> None:
    found = definition({80: 32768, 22: 32769})
    netdev = next(value for value in arguments(found) if value.startswith("user,"))
    assert netdev.split(",") == ["user", "id=forgelet0", "restrict=on", "hostfwd=tcp:127.0.0.1:32768-:80", "hostfwd=tcp:127.0.0.1:32769-:22"]
    assert list(found.iter("interface")) == []


def test_without_forwards_nothing_listens() -> None:
    assert not any("hostfwd" in value for value in arguments(definition()))


def test_the_images_disk_is_not_the_config_drives_and_the_drive_is_read_only() -> None:
    disk, drive = definition().iter("disk")
    assert (disk.get("device"), drive.get("device")) == ("disk", "cdrom")
    assert disk.find("readonly") is None and drive.find("readonly") is not None


def test_emulation_unless_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, wanted in ((None, "qemu"), ("kvm", "kvm"), ("yes", "qemu")):
        monkeypatch.delenv("FORGELET_ACCEL", raising=False)
        if value:
            monkeypatch.setenv("FORGELET_ACCEL", value)
        assert accelerator() == definition().get("type") == wanted


@pytest.mark.parametrize("paths", [{"joliet_path": "/openstack/latest/meta_data.json"}, {"rr_path": "/openstack/latest/meta_data.json"}])
def test_the_config_drive_says_the_name_in_openstacks_layout(tmp_path: Path, paths: dict[str, str]) -> None:
    configdrive.write(tmp_path / "config.iso", Identity("web-1.example"))
    disc, out = pycdlib.PyCdlib(), io.BytesIO()
    disc.open(str(tmp_path / "config.iso"))
    assert disc.pvd.volume_identifier.decode().strip() == "config-2"
    disc.get_file_from_iso_fp(out, **paths)
    disc.close()
    told = json.loads(out.getvalue())
    assert (told["hostname"], told["name"]) == ("web-1.example", "web-1.example")
    assert len(told["uuid"]) == 36


def test_two_drives_are_two_instances(tmp_path: Path) -> None:
    for name in ("a", "b"):
        configdrive.write(tmp_path / name, Identity("web"))
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))
        server.listen()
