"""Systems that are not built here: the elements and arguments that diskimage-builder would get, held against diskimage-builder itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import diskimage_builder
import pytest
from diskimage_builder.element_dependencies import get_elements

from builders.rehearsal import Outlook
from builders.rehearse import rehearse
from builders.spec import BuilderSpec
from builders.unproven import ELEMENT, FAMILIES, additions_of, family_of, image_builder
from scanner.report import BlindSpot, Group, Package, Redacted, ScanReport, System, User

from .conftest import WriteReport, entry, head_of

SPEC = BuilderSpec("openstack", 3000, 1024)
OWN = Path(diskimage_builder.__file__).parent / "elements"
SYSTEMS = {
    "ubuntu": ("Ubuntu", "22.04", "jammy", "jammy"),
    "centos": ("CentOS", "9", "", "9-stream"),
    "rhel": ("RedHat", "9.3", "Plow", "9"),
    "rocky": ("Rocky Linux", "9.3", "", "9"),
    "almalinux": ("AlmaLinux", "9.3", "", "9"),
    "fedora": ("Fedora", "40", "", "40"),
    "opensuse-leap": ("openSUSE", "15.6", "", "15.6"),
    "opensuse-tumbleweed": ("openSUSE", "20240101", "", "tumbleweed"),
}
PACKAGES = [
    Package(name="bash", version="5.1-6", arch="amd64"),
    Package(name="gone", version="1", arch="amd64", status="config-files"),
    Package(name="evil; rm -rf /", version="$(reboot)", arch="amd64"),
]


def head(name: str, **fields: object) -> ScanReport:
    distribution, version, codename, _ = SYSTEMS[name]
    system = System(os_release={"ID": name}, distribution=distribution, version=version, codename=codename, arch="x86_64", package_arch="amd64")
    return head_of(system=system, packages=PACKAGES, users=[User(name="app it", uid=120, gid=121)], groups=[Group(name="app", gid=121)], **fields)


def write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_every_family_is_tested() -> None:
    assert SYSTEMS.keys() == FAMILIES.keys()


@pytest.mark.parametrize("name", SYSTEMS)
def test_diskimage_builder_knows_every_element_and_finds_the_generated_one(name: str, tmp_path: Path) -> None:
    told = image_builder(head(name), SPEC, FAMILIES[name])
    write(told.files, tmp_path)
    found = {name for name, _ in get_elements(told.elements, f"{tmp_path}:{OWN}")}
    assert set(told.elements) <= found
    assert {"package-installs", "block-device-mbr"} <= found
    assert told.arguments[-len(told.elements) :] == told.elements
    assert told.environment["DIB_RELEASE"] == SYSTEMS[name][3]


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_generated_scripts_are_shell_and_install_exactly_the_sources_versions(name: str, tmp_path: Path) -> None:
    told = image_builder(head(name), SPEC, FAMILIES[name])
    folder = write(told.files, tmp_path) / ELEMENT
    for script in [*folder.rglob("*.d/*")]:
        subprocess.run(["bash", "-n", str(script)], check=True)
    said = tmp_path / "said"
    shell = f"install-packages() {{ printf '%s\\n' \"$@\" > {said}; }}; . {folder / 'install.d/50-forgelet-versions'}"
    subprocess.run(["bash", "-c", shell], check=True)
    asked = said.read_text().splitlines()
    assert len(asked) == 2
    assert asked[0].startswith("bash") and "5.1-6" in asked[0]
    assert "evil; rm -rf /" in asked[1] and "$(reboot)" in asked[1]
    assert json.loads((folder / "package-installs.json").read_text()).keys() == {one.item for one in additions_of(head(name), FAMILIES[name])}


def test_accounts_get_their_numbers_by_the_systems_own_tools(tmp_path: Path) -> None:
    told = image_builder(head("ubuntu"), SPEC, FAMILIES["ubuntu"])
    script = write(told.files, tmp_path) / ELEMENT / "pre-install.d/05-forgelet-accounts"
    said = tmp_path / "said"
    fakes = f"getent() {{ return 2; }}; groupadd() {{ printf '%s|' groupadd \"$@\" >> {said}; }}; useradd() {{ printf '%s|' useradd \"$@\" >> {said}; }}"
    subprocess.run(["bash", "-c", f"{fakes}; . {script}"], check=True)
    assert said.read_text().startswith("groupadd|--system|--gid|121|app|useradd|--system|--uid|120|--gid|121|")
    assert said.read_text().endswith("|app it|")


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_rehearsal_shows_all_of_it_says_that_it_is_unproven_and_blocks(name: str, write_report: WriteReport, tmp_path: Path) -> None:
    (told,) = rehearse(write_report(head=head(name)), [SPEC], tmp_path)
    assert told.verdict is Outlook.BLOCKED
    assert not told.proven
    assert told.image_builder is not None and told.image_builder.files
    assert told.additions
    assert told.packages == {"not checked": 2}
    assert "unproven" in told.points[0].what


@pytest.mark.parametrize("name", [*SYSTEMS, "nothing that is known"])
def test_what_needs_no_repository_is_told_of_every_system(name: str, write_report: WriteReport, tmp_path: Path) -> None:
    system = head(name) if name in SYSTEMS else head(next(iter(SYSTEMS))).model_copy(update={"system": System(distribution=name, os_release={"ID": name}, arch="x86_64")})
    fields = {"redacted": [Redacted(path="/etc/key", secret="private key")], "blind_spots": [BlindSpot(path="/srv/x", reason="denied")], "network": {"interfaces": ["eth0"]}}
    (told,) = rehearse(write_report([entry("/srv/big", size=9000 * 2**20)], head=system.model_copy(update=fields)), [SPEC], tmp_path)
    codes = {one.code for one in told.points}
    assert {"secrets-redacted", "blind-spots", "interface-names"} <= codes
    assert ("disk-too-small" in codes) == (told.disk is not None) == (name in SYSTEMS)


def test_a_kernel_of_the_sources_own_is_not_added_twice() -> None:
    kernel = Package(name="kernel-core", version="6", arch="x86_64")
    added = {one.item for one in additions_of(head_of(packages=[kernel]), FAMILIES["fedora"])}
    assert "kernel" not in added
    assert {"cloud-init", "qemu-guest-agent", "grub2-pc"} <= added


def test_a_system_of_which_diskimage_builder_knows_nothing_has_no_elements(write_report: WriteReport, tmp_path: Path) -> None:
    system = System(os_release={"ID": "alpine"}, distribution="Alpine", version="3.19", arch="x86_64", package_arch="x86_64")
    assert family_of(head_of(system=system)) is None
    (told,) = rehearse(write_report(head=head_of(system=system)), [SPEC], tmp_path)
    assert told.image_builder is None
    assert told.verdict is Outlook.BLOCKED
