"""What wrote a path into an image, and how its build left it: told from what the last pass wrote down over a fabricated base."""

# ruff: noqa: F401, F811  (fixtures that are taken from another module)

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from builders import origins
from builders.bootable import written
from builders.capture import pick
from builders.errors import OlderImage
from builders.image import Image
from builders.lastpass import Job, apply, tree
from scanner.explain import explain
from scanner.report import Report, State

from .conftest import Machine, plan_of, planned
from .test_lastpass import base, linker, source


@pytest.fixture
def made(source: Machine, base: Machine, tmp_path: Path) -> tuple[Report, Path]:
    """The report of the source, and the folder of an image that was made of it, as far as its origins are told."""
    source.file("/etc/systemd/network/10-fixed.network", b"[Match]\nName=eth0\n[Network]\nAddress=192.0.2.9/24\n")
    source.file("/etc/systemd/network/20-asks.network", b"[Match]\nName=eth1\n[Network]\nDHCP=yes\n")
    source.file("/etc/fstab", b"/swapfile none swap sw 0 0\n")
    source.file("/etc/hosts", b"127.0.0.1 localhost\n")
    source.file("/var/log/dpkg.log", b"of the source\n")
    folder = tmp_path / "image"
    report = source.scan("/etc/hosts", choose=lambda report: lambda entry: pick(entry, set()))
    folder.mkdir()
    plan = plan_of(planned("nginx"), additions=["cloud"])
    plan.overlay = True
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    (tmp_path / "dpkg.log").write_text("")
    apply(Job(str(base.root), str(report.folder), str(tmp_path / "plan.json"), str(tmp_path / "dpkg.log"), ["cloud"], origins=str(folder / origins.FILE)))
    image = {"files": [], "virtual_size": 0, "memory": 0, "packages": 2, "additions": [vars(one) for one in written(plan)], "base_from_cache": True, "stages": {}}
    Image.model_validate(image).save(folder)
    return report, folder


@pytest.mark.parametrize(
    ("path", "by", "what", "rule"),
    [
        ("/usr/sbin/nginx", "package", "nginx 1.0-1", None),
        ("/srv/www/index.html", "overlay", "the scan's overlay", None),
        ("/etc/nginx/nginx.conf", "overlay", "the scan's overlay", None),
        ("/srv/caf\udce9 \n", "overlay", "the scan's overlay", None),
        ("/usr/share/doc/nginx/a", "nobody", "delete", None),
        ("/tmp", "last pass", "an empty folder", None),
        ("/usr/bin/cloud", "package", "cloud", "added-package"),
        ("/usr/lib/systemd/system/cloud.service", "package", "cloud", "added-package"),
        ("/boot/vmlinuz-6.1", "base", "diskimage-builder, with Forgelet's elements", "boot"),
        ("/etc/systemd/network/90-forgelet-dhcp.network", "last pass", "what a machine needs to start", None),
        ("/etc/hosts", "last pass", "what a machine needs to start", "host-name"),
        ("/etc/systemd/network/10-fixed.network", "last pass", "translation", "translated"),
        ("/etc/systemd/network/20-asks.network", "overlay", "the scan's overlay", None),
        ("/etc/fstab", "last pass", "translation", "translated"),
        ("/etc/passwd", "last pass", "the merged accounts", "merged-accounts"),
        ("/etc/machine-id", "last pass", "what a machine needs to start", "identity"),
        ("/var/log/dpkg.log", "last pass", "what a machine needs to start", "build-log"),
        ("/var/lib/dpkg/status", "last pass", "what a machine needs to start", "package-database"),
        ("/etc/ld.so.cache", "last pass", "the loader's cache", "linker-cache"),
        ("/tmp/of-the-base", "base", "diskimage-builder, with Forgelet's elements", None),
    ],
)
def test_what_wrote_a_path_is_told(made: tuple[Report, Path], path: str, by: str, what: str, rule: str | None) -> None:
    report, folder = made
    found = origins.origin(folder, path, report, explain(report, path))
    assert found is not None and (found.by, found.what, found.rule) == (by, what, rule)
    assert found.why


def test_every_path_of_the_tree_has_an_origin_and_no_other_has(made: tuple[Report, Path], base: Machine) -> None:
    report, folder = made
    known = {one.path for one in report.files()} | {one.path for one in origins.read(folder / origins.FILE)}
    assert [path for path in tree(base.root) if path not in known] == []
    assert origins.origin(folder, "/srv/litter", report, explain(report, "/srv/litter")) is None
    (folder / origins.FILE).unlink()
    with pytest.raises(FileNotFoundError):
        origins.origin(folder, "/usr/bin/cloud", report, None)


def test_how_the_build_left_what_is_its_own_is_told(made: tuple[Report, Path], base: Machine) -> None:
    folder = made[1]
    record, theirs = origins.record(folder), {one.path: one for one in base.scan().files()}
    own = {path for path, one in record.items() if path in theirs and theirs[path].state != State.EXCLUDED}
    assert {"/usr/bin/cloud", "/boot/vmlinuz-6.1", "/etc/passwd", "/etc/shadow", "/etc/ld.so.cache", "/var/lib/dpkg/status", "/etc/hosts", "/etc/hostname"} <= own
    assert not own & {"/etc/nginx/nginx.conf", "/usr/sbin/nginx", "/srv/www/index.html", "/", "/etc", "/srv/closed"}
    assert {path: record[path].built.differing(theirs[path]) for path in own if record[path].built.differing(theirs[path])} == {}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        (lambda place: place.chmod(0o4755), ("mode",)),
        (lambda place: place.write_bytes(b"addeD"), ("sha256",)),
        (lambda place: place.write_bytes(b"more"), ("size", "sha256")),
        (lambda place: os.setxattr(place, "user.more", b"1"), ("xattrs",)),
        (lambda place: (place.unlink(), place.symlink_to("x")), ("type", "mode", "size", "sha256", "target")),
        (lambda place: os.utime(place, (7, 7)), ()),
    ],
)
def test_what_became_of_a_path_since_the_build_is_seen(made: tuple[Report, Path], base: Machine, act: Callable[[Path], object], fields: tuple[str, ...]) -> None:
    built = origins.record(made[1])["/usr/bin/cloud"].built
    act(base.at("/usr/bin/cloud"))
    (entry,) = [one for one in base.scan().files() if one.path == "/usr/bin/cloud"]
    assert built is not None and built.differing(entry) == fields


def test_a_record_of_an_older_build_is_read_and_is_none_to_prove_by(made: tuple[Report, Path]) -> None:
    folder = made[1]
    with zstandard.open(folder / origins.FILE, "wt", encoding="ascii") as out:
        out.write('["/usr/bin/cloud", "added-package", "cloud"]\n')
    assert [(one.path, one.rule, one.package, one.built) for one in origins.read(folder / origins.FILE)] == [("/usr/bin/cloud", "added-package", "cloud", None)]
    with pytest.raises(OlderImage, match="older Forgelet") as caught:
        origins.record(folder)
    assert "scan build" in caught.value.hint
    (folder / origins.FILE).unlink()
    with pytest.raises(OlderImage):
        origins.record(folder)
