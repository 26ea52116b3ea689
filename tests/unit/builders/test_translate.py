"""Configuration of the source's surroundings in the terms of the new machine: what holds stays, what cannot is a comment."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders.bootable import Tree
from builders.plan import BuildPlan
from builders.translate import CRYPTTAB, commented, crypttab, fstab, interfaces, networkd, translate

from .conftest import plan_of, planned

OWN = "LABEL=forgelet-root / ext4 defaults 0 1\n"


def told(text: str) -> list[str]:
    """The lines that say something to a program."""
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("UUID=1 / ext4 errors=remount-ro 0 1", False),
        ("overlay / overlay defaults 0 0", False),
        ("UUID=2 /var ext4 defaults 0 2", False),
        ("/dev/sdb1 /srv xfs defaults 0 0", False),
        ("/dev/mapper/vg-home /home ext4 defaults 0 2", False),
        ("LABEL=data /data ext4 defaults 0 2", False),
        ("PARTUUID=9 none swap sw 0 0", False),
        ("tmpfs /tmp tmpfs size=1g 0 0", True),
        ("/swapfile none swap sw 0 0", True),
        ("/srv/a /srv/b none bind 0 0", True),
        ("nas.test:/share /mnt nfs nofail 0 0", True),
        ("//nas.test/share /mnt cifs nofail 0 0", True),
        ("proc /proc proc defaults 0 0", True),
    ],
)
def test_lines_of_disks_that_are_not_there_become_comments_and_others_stay(line: str, stays: bool) -> None:
    after = fstab(f"# mine\n{line}\n", OWN)
    assert told(after) == [OWN.strip(), *([line] if stays else [])]
    assert "# mine" in after.splitlines()
    assert stays or f"# {line}" in after.splitlines()


def test_a_comment_that_looks_like_a_disk_is_left_alone() -> None:
    text = "#UUID=1 / ext4 defaults 0 1\n   # /dev/sda1 /x\n\n"
    assert fstab(text, OWN).endswith(text)


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("vault UUID=1 none luks", False),
        ("swap /dev/sda5 /dev/urandom swap", False),
        ("vault PARTLABEL=x /etc/key", False),
        ("vault /srv/vault.img none luks", True),
        ("# vault UUID=1", True),
        ("", True),
    ],
)
def test_encrypted_disks_that_are_not_there_become_comments(line: str, stays: bool) -> None:
    after = crypttab(f"# mine\n{line}\n")
    assert (after == f"# mine\n{line}\n") == stays
    assert stays or (told(after) == [] and f"# {line}" in after.splitlines())


def test_the_table_of_encrypted_disks_is_rewritten_and_known_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/crypttab").write_text("vault UUID=1 none luks\n")
    changed = translate(Tree(tmp_path), plan_of(), OWN)
    assert changed == {CRYPTTAB: hashlib.sha256((tmp_path / "etc/crypttab").read_bytes()).hexdigest()}


INTERFACES = """\
# mine
auto lo
iface lo inet loopback

auto eth0 eth1
allow-hotplug eth2
iface eth0 inet static
    address 192.0.2.17/24
    # why
    gateway 192.0.2.1

iface eth1 inet dhcp
source /etc/network/interfaces.d/*
source-directory extra
iface lo inet6 loopback
mapping eth2
    script /x
"""


def test_only_the_loopback_and_the_names_of_other_files_are_left_of_ifupdowns() -> None:
    after = interfaces(INTERFACES)
    assert told(after) == ["auto lo", "iface lo inet loopback", "source /etc/network/interfaces.d/*", "source-directory extra", "iface lo inet6 loopback"]
    for line in INTERFACES.splitlines():
        assert line in after.splitlines() or f"# {line}" in after.splitlines(), line
    assert interfaces(told(after)[0] + "\n") == "auto lo\n"


def test_what_was_translated_once_stays_as_it_is() -> None:
    assert interfaces(interfaces(INTERFACES)) == interfaces(INTERFACES)
    assert commented(commented("network:\n  version: 2\n")) == commented("network:\n  version: 2\n")


def test_a_networkd_file_with_a_fixed_address_says_nothing_more_and_one_with_dhcp_stays() -> None:
    assert told(networkd("[Match]\nName=eth0\n[Network]\nAddress = 192.0.2.3/24\n")) == []
    dhcp = "[Match]\nName=en*\n[Network]\nDHCP=yes\n"
    assert networkd(dhcp) == dhcp


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "etc/fstab": "UUID=1 / ext4 defaults 0 1\n",
        "etc/network/interfaces": INTERFACES,
        "etc/network/interfaces.d/vlan": "auto eth0.5\niface eth0.5 inet dhcp\n",
        "etc/netplan/01.yaml": "network:\n  version: 2\n",
        "etc/netplan/notes.txt": "mine\n",
        "etc/systemd/network/lan.network": "[Match]\nName=eth0\n[Network]\nAddress=192.0.2.3/24\n",
    }
    for name, text in files.items():
        place = tmp_path / "root" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("plan", "changed"),
    [
        (plan_of(planned("ifupdown")), {"/etc/fstab", "/etc/network/interfaces", "/etc/network/interfaces.d/vlan", "/etc/systemd/network/lan.network"}),
        (plan_of(planned("netplan.io")), {"/etc/fstab", "/etc/netplan/01.yaml", "/etc/systemd/network/lan.network"}),
        (plan_of(), {"/etc/fstab", "/etc/systemd/network/lan.network"}),
        (plan_of(planned("network-manager"), planned("ifupdown")), {"/etc/fstab"}),
        (plan_of(planned("ifupdown")).model_copy(update={"network": "keep"}), {"/etc/fstab"}),
    ],
    ids=["ifupdown", "netplan", "networkd", "network-manager", "keep"],
)
def test_the_files_of_the_program_that_is_there_are_translated_and_told_by_digest(root: Path, plan: BuildPlan, changed: set[str]) -> None:
    before = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    done = translate(Tree(root), plan, OWN)
    assert set(done) == changed
    for path in root.rglob("*"):
        name = f"/{path.relative_to(root)}"
        if path.is_file():
            assert (path.read_bytes() == before[str(path)]) == (name not in changed), name
            assert name not in changed or hashlib.sha256(path.read_bytes()).hexdigest() == done[name]


def test_the_new_disks_own_table_and_links_are_left_alone(root: Path) -> None:
    (root / "etc/fstab").write_text(OWN)
    (root / "etc/network/interfaces").unlink()
    (root / "etc/network/interfaces").symlink_to("/etc/passwd")
    assert "/etc/fstab" not in (done := translate(Tree(root), plan_of(planned("ifupdown")), OWN))
    assert "/etc/network/interfaces" not in done
