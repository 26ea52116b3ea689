"""What a tree gets to start as a machine, and that none of it is ever written outside the tree."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from builders.bootable import COMMAND_UNIT, NETWORK_LINKS, Tree, make_bootable
from builders.plan import BuildPlan
from scanner.report import Package

from .conftest import plan_of, planned

STATUS = """\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.22
Conffiles:
 /etc/nginx/nginx.conf 0123456789abcdef0123456789abcdef
Description: web server
 small
 .
 fast

Package: tzdata
Status: install ok installed
Architecture: all
Version: 2024a

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36

Package: cloud-init
Status: install ok installed
Architecture: all
Version: 22

Package: grub-common
Status: install ok installed
Architecture: amd64
Version: 2.06

"""


PLAN = plan_of(planned("nginx", hold=True), planned("tzdata", "all"), planned("libc6", auto=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for folder in ("etc/ssh", "var/lib/dpkg", "var/log", "var/lib/apt"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_text(STATUS)
    return root


def make(root: Path, plan: BuildPlan = PLAN, log: str = "", given: Iterable[str] = ()) -> None:
    make_bootable(root, plan, log, set(given).__contains__)


def test_name_and_hosts_are_written_where_the_source_brought_none(root: Path) -> None:
    make(root)
    assert (root / "etc/hostname").read_text() == "web\n"
    assert "127.0.1.1 web\n" in (root / "etc/hosts").read_text()


def test_name_hosts_and_resolver_of_the_source_stay(root: Path) -> None:
    for name in ("hostname", "hosts", "resolv.conf"):
        (root / "etc" / name).write_text("the source's\n")
    make(root, given=["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"])
    for name in ("hostname", "hosts", "resolv.conf"):
        assert (root / "etc" / name).read_text() == "the source's\n"


def test_the_identity_is_empty_so_that_the_machine_makes_its_own(root: Path) -> None:
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    make(root)
    assert (root / "etc/machine-id").read_bytes() == b""
    assert (root / "etc/machine-id").stat().st_mode & 0o777 == 0o444


def test_machines_of_one_image_do_not_share_the_id_that_d_bus_made_on_the_base(root: Path) -> None:
    make(root)
    assert not os.path.lexists(root / "var/lib/dbus/machine-id"), "where there is no D-Bus there is no id of it"
    (root / "var/lib/dbus").mkdir(parents=True)
    (root / "var/lib/dbus/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    make(root)
    assert str((root / "var/lib/dbus/machine-id").readlink()) == "/etc/machine-id"


def test_the_network_is_dhcp_on_wired_interfaces_enabled_by_systemds_own_links(root: Path) -> None:
    make(root)
    text = (root / "etc/systemd/network/90-forgelet-dhcp.network").read_text()
    assert "Name=en* eth*" in text and "DHCP=yes" in text
    for path, target in NETWORK_LINKS.items():
        assert str(Path(f"{root}{path}").readlink()) == target
    assert str((root / "etc/resolv.conf").readlink()) == "../run/systemd/resolve/stub-resolv.conf"


@pytest.mark.parametrize(("manager", "network"), [("network-manager", "dhcp"), ("ifupdown", "keep"), ("netplan.io", "keep")])
def test_where_a_manager_of_the_source_keeps_the_network_nothing_of_it_is_touched(root: Path, manager: str, network: str) -> None:
    make(root, plan_of(planned(manager)).model_copy(update={"network": network}))
    assert not (root / "etc/systemd").exists()
    assert not os.path.lexists(root / "etc/resolv.conf")


@pytest.mark.parametrize("manager", ["ifupdown", "netplan.io"])
def test_where_the_managers_files_are_translated_the_machine_takes_dhcp(root: Path, manager: str) -> None:
    make(root, plan_of(planned(manager)))
    assert "DHCP=yes" in (root / "etc/systemd/network/90-forgelet-dhcp.network").read_text()


@pytest.mark.parametrize(
    ("text", "network", "replaced"),
    [
        ("nameserver 192.0.2.1\n", "dhcp", True),
        ("search a.test\nnameserver 192.0.2.1\n", "dhcp", True),
        ("nameserver 192.0.2.1\n", "keep", False),
        ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", "dhcp", False),
        ("nameserver ::1\n", "dhcp", False),
        ("# nobody\n", "dhcp", False),
    ],
)
def test_a_resolver_of_the_old_network_is_not_asked_any_more(root: Path, text: str, network: str, replaced: bool) -> None:
    (root / "etc/resolv.conf").write_text(text)
    make(root, PLAN.model_copy(update={"network": network}), given=["/etc/resolv.conf"])
    assert (root / "etc/resolv.conf").is_symlink() is replaced


def test_a_release_without_a_resolver_package_has_the_resolver_enabled(root: Path) -> None:
    make(root, PLAN.model_copy(update={"codename": "bullseye"}))
    assert (root / "etc/systemd/system/multi-user.target.wants/systemd-resolved.service").is_symlink()
    assert not any("resolve" in path for path in NETWORK_LINKS)


def test_lines_that_somebody_added_to_a_containers_hosts_are_kept(root: Path) -> None:
    make(root, PLAN.model_copy(update={"hosts": ["192.0.2.9 db.test db"]}))
    assert (root / "etc/hosts").read_text().splitlines()[-1] == "192.0.2.9 db.test db"


def test_a_link_that_the_source_brought_itself_stays(root: Path) -> None:
    path = next(iter(NETWORK_LINKS))
    place = Path(f"{root}{path}")
    place.parent.mkdir(parents=True)
    place.symlink_to("/dev/null")
    make(root, given=[path])
    assert str(place.readlink()) == "/dev/null"


def cloud_config(root: Path) -> dict[str, object]:
    found = yaml.safe_load((root / "etc/cloud/cloud.cfg.d/90_forgelet.cfg").read_text())
    assert isinstance(found, dict)
    return found


def test_cloud_init_keeps_name_accounts_and_host_keys(root: Path) -> None:
    (root / "etc/ssh/ssh_host_ed25519_key").write_text("key")
    make(root)
    config = cloud_config(root)
    assert config["ssh_genkeytypes"] == []
    assert (config["ssh_deletekeys"], config["preserve_hostname"], config["users"]) == (False, False, [])
    assert config["network"] == {"config": "disabled"}
    assert config["apt_preserve_sources_list"] is True


def test_a_machine_without_host_keys_makes_its_own(root: Path) -> None:
    (root / "etc/ssh/ssh_host_rsa_key.pub").write_text("only the public half")
    make(root)
    assert cloud_config(root)["ssh_genkeytypes"] == ["rsa", "ecdsa", "ed25519"]


def test_host_keys_of_the_base_are_nobodys_when_the_scan_brought_none(root: Path) -> None:
    for name in ("ssh_host_rsa_key", "ssh_host_rsa_key.pub", "sshd_config"):
        (root / "etc/ssh" / name).write_text("shared by every image of this base")
    make(root, PLAN.model_copy(update={"overlay": False}))
    assert [path.name for path in (root / "etc/ssh").iterdir()] == ["sshd_config"]
    assert cloud_config(root)["ssh_genkeytypes"] == ["rsa", "ecdsa", "ed25519"]


def test_a_machine_without_ssh_gets_no_folder_for_it(root: Path) -> None:
    (root / "etc/ssh").rmdir()
    make(root)
    assert not (root / "etc/ssh").exists()
    assert cloud_config(root)["ssh_genkeytypes"] == []


def test_the_sources_own_cloud_init_is_left_alone(root: Path) -> None:
    make(root, plan_of(additions=()))
    assert not (root / "etc/cloud").exists()


def test_the_containers_command_becomes_an_enabled_unit_only_where_there_is_one(root: Path) -> None:
    wants = root / "etc/systemd/system/multi-user.target.wants/forgelet-container.service"
    make(root)
    assert not os.path.lexists(wants)
    make(root, plan_of(command_unit="[Service]\nExecStart=/opt/run\n"))
    assert Path(f"{root}{COMMAND_UNIT}").read_text() == "[Service]\nExecStart=/opt/run\n"
    assert str(wants.readlink()) == COMMAND_UNIT


def test_the_builds_log_follows_the_sources(root: Path) -> None:
    (root / "var/log/dpkg.log").write_bytes(b"source \xff\n")
    make(root, log="build \udcfe\n")
    assert (root / "var/log/dpkg.log").read_bytes() == b"source \xff\nbuild \xfe\n"


def test_holds_and_automatic_marks_are_the_sources_and_nothing_else_of_the_database_changes(root: Path) -> None:
    make(root)
    status = (root / "var/lib/dpkg/status").read_text()
    assert status == STATUS.replace("Package: nginx\nStatus: install ok", "Package: nginx\nStatus: hold ok")
    states = (root / "var/lib/apt/extended_states").read_text()
    assert states == "".join(f"Package: {name}\nArchitecture: amd64\nAuto-Installed: 1\n\n" for name in ("libc6", "grub-common"))


def test_what_dpkg_was_told_to_take_away_it_still_will(root: Path) -> None:
    leaving = planned("nginx").model_copy(update={"wanted": "deinstall"})
    make(root, PLAN.model_copy(update={"packages": [leaving]}))
    assert "Package: nginx\nStatus: deinstall ok installed\n" in (root / "var/lib/dpkg/status").read_text()


@pytest.mark.parametrize("auto", [False, True])
def test_a_removed_package_has_the_state_and_the_mark_that_it_had(root: Path, auto: bool) -> None:
    with (root / "var/lib/dpkg/status").open("a") as status:
        status.write("Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n")
    make(root, PLAN.model_copy(update={"removed": [Package(name="gone", version="1", arch="all", auto=auto, status="config-files")]}))
    assert "Package: gone\nStatus: deinstall ok config-files\n" in (root / "var/lib/dpkg/status").read_text()
    assert ("Package: gone\n" in (root / "var/lib/apt/extended_states").read_text()) is auto


# Whatever links the tree holds, nothing outside it is written.

TARGETS = [
    "/etc/hostname",
    "/etc/hosts",
    "/etc/machine-id",
    "/etc/resolv.conf",
    "/etc/systemd/network/90-forgelet-dhcp.network",
    "/etc/cloud/cloud.cfg.d/90_forgelet.cfg",
    "/etc/systemd/system/forgelet-container.service",
    "/var/log/dpkg.log",
    "/var/lib/apt/extended_states",
]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the tree with a file of every name that is written."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for target in TARGETS:
        (outside / Path(target).name).write_text("untouched")
    return outside


def everything(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_file_that_is_a_link_out_of_the_tree_is_never_followed(root: Path, outside: Path, target: str, relative: bool) -> None:
    before = everything(outside)
    place = Path(f"{root}{target}")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    there = outside / place.name
    place.symlink_to(os.path.relpath(there, place.parent) if relative else there)
    make(root, plan_of(command_unit="[Service]\n"), log="build\n")
    assert everything(outside) == before


@pytest.mark.parametrize("folder", ["/etc/systemd", "/etc/cloud", "/var/log", "/var/lib/apt", "/etc"])
def test_a_folder_that_is_a_link_out_of_the_tree_is_refused_or_resolved_inside(root: Path, outside: Path, folder: str) -> None:
    before = everything(outside)
    place = Path(f"{root}{folder}")
    moved = place.with_name("moved")
    if place.exists():
        place.rename(moved)
    place.symlink_to(os.path.relpath(outside, place.parent))
    with pytest.raises(ValueError, match="leads out of the image"):
        make(root, log="build\n")
    assert everything(outside) == before
    assert sorted(path.name for path in outside.iterdir()) == sorted(before)


def test_an_absolute_link_is_taken_as_the_machine_would_take_it(root: Path) -> None:
    (root / "srv").mkdir()
    (root / "var/log").rmdir()
    (root / "var/log").symlink_to("/srv")
    Tree(root).write("/var/log/x/y", "text")
    assert (root / "srv/x/y").read_text() == "text"
    assert not Path("/srv/x/y").exists()


def test_a_link_that_leads_to_an_absolute_link_stays_inside_or_is_refused(root: Path, outside: Path) -> None:
    (root / "etc/two").symlink_to(outside)
    (root / "etc/one").symlink_to("two")
    with pytest.raises(ValueError, match="leads out"):
        Tree(root).write("/etc/one/hosts", "text")
    assert (outside / "hosts").read_text() == "untouched"


def test_what_is_written_takes_the_place_of_a_hardlink_and_not_its_twin(root: Path) -> None:
    twin = root / "etc/twin"
    twin.write_text("the source's")
    os.link(twin, root / "etc/hostname")
    Tree(root).write("/etc/hostname", "web\n")
    assert twin.read_text() == "the source's"
