"""What a disk starts by: what of a source has a say in it, and that it is made again by the image's own programs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from builders import startup
from builders.startup import GRUB_FILE, GRUB_SETTINGS, INITRAMFS_FILE, MENU, Brought, brought, disk_words, renew

from .conftest import WriteReport, entry

KERNEL = "6.1.0-9-amd64"
DKMS = f"/usr/lib/modules/{KERNEL}/updates/dkms/zfs.ko.xz"


@pytest.mark.parametrize(
    ("path", "state", "kind"),
    [
        ("/etc/default/grub", "unmanaged", "grub"),
        ("/etc/default/grub.d/50-own.cfg", "unmanaged", "grub"),
        ("/etc/grub.d/40_custom", "conffile-changed", "grub"),
        ("/etc/grub.d/30_os-prober", "missing", "grub"),
        ("/etc/initramfs-tools/modules", "conffile-changed", "early"),
        ("/etc/initramfs-tools/hooks/own", "unmanaged", "early"),
        ("/etc/modprobe.d/own.conf", "unmanaged", "early"),
        (DKMS, "unmanaged", "modules"),
        ("/boot/vmlinuz-6.9-own", "unmanaged", "kernels"),
        ("/etc/default/grub", "managed", None),
        ("/etc/default/grub.ucf-dist", "unmanaged", None),
        (GRUB_FILE, "unmanaged", None),
        (INITRAMFS_FILE, "unmanaged", None),
        ("/etc/modules", "unmanaged", None),
        (f"/usr/lib/modules/{KERNEL}/modules.dep", "unmanaged", None),
        ("/boot/vmlinuz-6.1.0-9-amd64", "managed", None),
        ("/boot/initrd.img-6.9-own", "unmanaged", None),
    ],
)
def test_what_has_a_say_in_the_boot_is_what_its_packages_did_not_ship(write_report: WriteReport, path: str, state: str, kind: str | None) -> None:
    found = brought(write_report([entry(path, state=state)]))
    assert {name for name in ("grub", "early", "modules", "kernels") if getattr(found, name)} == ({kind} if kind else set())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An image's tree with a kernel and every tool."""
    for folder in ("boot/grub", "usr/sbin", "etc/initramfs-tools/conf.d", "etc/default", f"usr/lib/modules/{KERNEL}"):
        (tmp_path / folder).mkdir(parents=True)
    for program in ("update-initramfs", "grub-mkconfig"):
        (tmp_path / "usr/sbin" / program).touch()
    (tmp_path / f"boot/vmlinuz-{KERNEL}").touch()
    (tmp_path / f"boot/initrd.img-{KERNEL}").touch()
    (tmp_path / f"usr/lib/modules/{KERNEL}/modules.dep").touch()
    return tmp_path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What was run in the image."""
    found: list[list[str]] = []
    monkeypatch.setattr(startup.inside, "run", lambda root, epoch, *argv: found.append(list(argv)))
    return found


def test_what_no_source_has_a_say_in_stays_as_the_base_made_it(root: Path, ran: list[list[str]]) -> None:
    assert renew(root, Brought(kernels=["/boot/vmlinuz-6.9-own"]), 0) == set()
    assert ran == []


def test_modules_get_an_index_and_an_initramfs(root: Path, ran: list[list[str]]) -> None:
    written = renew(root, Brought(modules={KERNEL: [DKMS], "5.0-gone": [DKMS]}), 0)
    assert ran == [["depmod", KERNEL], ["update-initramfs", "-c", "-k", KERNEL]]
    assert written == {f"/usr/lib/modules/{KERNEL}/modules.dep", f"/boot/initrd.img-{KERNEL}", INITRAMFS_FILE}
    assert "MODULES=most" in (root / INITRAMFS_FILE[1:]).read_text()


def test_settings_of_the_initramfs_reach_it(root: Path, ran: list[list[str]]) -> None:
    renew(root, Brought(early=["/etc/modprobe.d/own.conf"]), 0)
    assert ran == [["update-initramfs", "-c", "-k", KERNEL]]


def test_settings_of_the_bootloader_reach_its_menu(root: Path, ran: list[list[str]]) -> None:
    assert renew(root, Brought(grub=["/etc/default/grub"]), 0) == {MENU, GRUB_FILE}
    assert ran == [["grub-mkconfig", "-o", MENU]]


@pytest.mark.parametrize(
    ("spoilt", "usable"),
    [
        ({"type": "directory", "mode": "0711"}, False),
        ({"state": "missing"}, False),
        ({"mode": "0644"}, False),
        ({"mode": "0755", "state": "conffile-changed"}, True),
        ({"mode": "0755", "state": "managed"}, True),
        ({"type": "symlink", "target": "own", "mode": "0777"}, True),
        ({"state": "excluded", "mode": ""}, True),
    ],
)
@pytest.mark.parametrize("path", ["/etc/grub.d/00_header", "/etc/grub.d/10_linux"])
def test_a_menu_is_not_made_again_without_what_makes_it(root: Path, ran: list[list[str]], write_report: WriteReport, path: str, spoilt: dict[str, str], usable: bool) -> None:
    """As a source may be that was started by the menu that it had before."""
    found = brought(write_report([entry("/etc/default/grub", state="unmanaged"), entry(path, **{"state": "unmanaged", "mode": "0755", **spoilt})]))
    assert found.lacking == ([] if usable else [path])
    assert (renew(root, found, 0) == {GRUB_FILE, MENU}) == usable == (ran != [])


def test_a_program_that_the_image_lacks_is_not_run(root: Path, ran: list[list[str]]) -> None:
    for program in ("update-initramfs", "grub-mkconfig"):
        (root / "usr/sbin" / program).unlink()
    renew(root, Brought(grub=["x"], early=["x"]), 0)
    assert ran == []


@pytest.mark.parametrize(
    ("line", "default", "expected"),
    [
        ("", "quiet", ["console=tty0", "console=ttyS0,115200", "no_timer_check", "quiet"]),
        ("root=/dev/sda1 resume=UUID=1 net.ifnames=0", "rootflags=subvol=@ cryptdevice=/dev/sda2:c mitigations=off", ["net.ifnames=0", "console=tty0", "console=ttyS0,115200", "no_timer_check", "mitigations=off"]),
        ("console=ttyS1,9600 my.root=1", "", ["console=ttyS1,9600", "my.root=1"]),
        ("a='b c' root=x  d", "$HOME", ["a='b", "c'", "d", "console=tty0", "console=ttyS0,115200", "no_timer_check", "$HOME"]),
    ],
)
def test_the_new_disks_settings_leave_out_the_old_disks_words_and_keep_all_others(tmp_path: Path, line: str, default: str, expected: list[str]) -> None:
    (tmp_path / "forgelet.cfg").write_text(GRUB_SETTINGS)
    script = 'set -e; GRUB_CMDLINE_LINUX=$1; GRUB_CMDLINE_LINUX_DEFAULT=$2; . "$0"; printf "%s %s|%s" "$GRUB_CMDLINE_LINUX" "$GRUB_CMDLINE_LINUX_DEFAULT" "$GRUB_DEVICE, $GRUB_TERMINAL"'
    done = subprocess.run(["sh", "-c", script, str(tmp_path / "forgelet.cfg"), line, default], check=True, capture_output=True, text=True)
    words, _, device = done.stdout.partition("|")
    assert (words.split(), device) == (expected, "LABEL=forgelet-root, serial console")


@pytest.mark.parametrize(("asked", "waits"), [("-1", "5"), ("0", "0"), ("30", "30"), ("", "")])
def test_nobody_is_waited_for(tmp_path: Path, asked: str, waits: str) -> None:
    (tmp_path / "forgelet.cfg").write_text(GRUB_SETTINGS)
    done = subprocess.run(["sh", "-c", 'set -e; GRUB_TIMEOUT=$1; . "$0"; printf %s "$GRUB_TIMEOUT"', str(tmp_path / "forgelet.cfg"), asked], check=True, capture_output=True, text=True)
    assert done.stdout == waits


def test_words_that_name_disks_are_found() -> None:
    assert disk_words(["quiet root=UUID=1 my.root=2", "resume=/dev/sda2"]) == ["root=UUID=1", "resume=/dev/sda2"]
