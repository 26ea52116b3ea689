"""The template route: a scan becomes a template, leaves as an archive, comes back, and its image is the scan's image.

By the real hammr first; what was edited goes in by the command line.
"""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.bench import EXAMPLE, Bench
from support.hammr import Hammr
from support.witness import tree_of

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.dib, pytest.mark.hammr]

CACHES = {b"./var/cache/ldconfig/aux-cache"}
"""ldconfig writes inode numbers and change times into it."""


@pytest.fixture(scope="module")
def began(bench: Bench, image: int) -> float:
    """When the first build began: what builds write themselves is younger, what they bring is older."""
    job = bench.service.ended(bench.json("image", "show", "--id", str(image))["jobId"])
    return datetime.fromisoformat(job["started"]).timestamp()


def canonical(bench: Bench, image: int, work: Path, began: float) -> dict[bytes, tuple[bytes, ...]]:
    """Path -> everything about it, by find, sha256sum and getfattr. The time of what the builds themselves wrote says `built`."""
    with tree_of(bench.data / "images" / str(image) / "image.qcow2", work) as root:
        listed = _run(root, "find", ".", "-xdev", "-printf", r"%p\t%y\t%m\t%U\t%G\t%s\t%T@\t%l\t%n\0")
        hashed = _run(root, "sh", "-c", "find . -xdev -type f -print0 | xargs -0 sha256sum -z")
        extended = _run(root, "sh", "-c", "find . -xdev -print0 | sort -z | xargs -0 getfattr -h -d -m - --absolute-names -e hex 2>&1")
    hashes = {line[66:]: line[:64] for line in hashed.split(b"\0") if line}
    rows: dict[bytes, tuple[bytes, ...]] = {b"attributes": (hashlib.sha256(extended).hexdigest().encode(),)}
    for line in filter(None, listed.split(b"\0")):
        path, kind, mode, uid, gid, size, time, link, names = line.split(b"\t")
        when = b"built" if float(time) >= began else time
        rows[path] = (kind, mode, uid, gid, b"" if kind == b"d" else size, when, link, b"" if path in CACHES else hashes.get(path, b""), names)
    return rows


def _run(root: Path, *argv: str) -> bytes:
    return subprocess.run(argv, cwd=root, capture_output=True, check=True).stdout


def newest_template(bench: Bench) -> dict[str, Any]:
    newest: dict[str, Any] = bench.json("template", "list")["appliances"]["appliance"][-1]
    return newest


@pytest.fixture(scope="module")
def edit(bench: Bench, scan: int, hammr: Hammr) -> Path:
    """The unpacked archive of the scan's template. It is where hammr runs: there it looks for the files that a template names."""
    hammr("scan", "import", "--id", str(scan), "--name", "fromscan", "--version", "1.0", timeout=600)
    number = str(newest_template(bench)["dbId"])
    archive = hammr.home / "a.tar.gz"
    hammr("template", "export", "--id", number, "--file", str(archive), timeout=600)
    with tarfile.open(archive) as tar:
        tar.extractall(hammr.home, filter="data")
    hammr("template", "delete", "--id", number, "--no-confirm")
    return hammr.home


def test_a_template_that_nobody_edited_builds_the_image_of_its_scan(bench: Bench, edit: Path, image: int, began: float, hammr: Hammr, tmp_path: Path) -> None:
    document = str(edit / "template.yml")
    hammr("template", "validate", "--file", document)
    hammr("template", "create", "--file", document, timeout=600)
    template = newest_template(bench)
    said = hammr("template", "build", "--id", str(template["dbId"]), "--file", str(EXAMPLE), timeout=1500)
    assert "Generation 'openstack' ok" in said.text
    copy = bench.json("image", "list")["images"]["image"][-1]
    assert copy["parentUri"] == template["uri"]
    ours, theirs = canonical(bench, int(copy["dbId"]), tmp_path, began), canonical(bench, image, tmp_path, began)
    assert len(theirs) > 5000
    assert {path: (ours.get(path), row) for path, row in theirs.items() if ours.get(path) != row} == {}
    assert ours.keys() == theirs.keys()


INSTALLATION = {
    "rootUser": {"setPassword": True, "password": "first", "disablePasswordLogin": True, "sshKeys": [{"name": "one", "publicKey": "ssh-rsa AAAAB3NzaC1yc2E= one"}]},
    "groups": [{"name": "crew", "groupId": 1818}, {"name": "gear", "systemGroup": True}],
    "users": [
        {"name": "carol", "userId": 1717, "fullName": "Carol Smith", "homeDir": "/home/carol", "shell": "/bin/sh", "password": "second", "primaryGroup": "crew", "secondaryGroups": "mail, daemon"},
        {"name": "robot", "systemUser": True, "primaryGroup": "gear"},
        {"name": "dora", "primaryGroup": "dora", "secondaryGroups": "guests"},
    ],
    "timezone": "Asia/Tokyo",
    "keyboard": "fr-latin9",
    "kernelParams": ["quiet", "panic=10"],
    "welcomeMessage": "Welcome aboard",
    "internetSettings": "configure",
    "nics": [
        {"name": "ens4", "type": "ETHERNET", "order": 2, "autoConnect": False, "ipv4": "dhcp", "ipv6": "dhcp"},
        {
            "name": "ens3", "type": "ETHERNET", "order": 1, "autoConnect": True, "ipv4": "static", "ipv6": "disabled",
            "ipAddresses": [{"version": 4, "address": "10.0.2.15", "netmask": "255.255.255.0", "gateway": "10.0.2.2"}],
        },
    ],
    "partitioning": {"disks": [{"name": "sda", "type": "msdos", "size": 4000, "partitions": [{"number": 1, "fstype": "ext4", "size": 3999, "mountPoint": "/", "grow": True}]}]},
    "displayLicenses": False,
    "firewall": False,
    "seLinuxMode": "disabled",
}  # fmt: skip
"""Every key of `stack.installation`; the builder's disk wins over the one of the partitioning."""
BUNDLE = """\
name: my tools
version: '1.0'
destination: /opt/tools
license: {name: MIT, source: license.txt}
files:
- {name: run.sh, source: run.sh, rights: '750', ownerGroup: 'carol:mail', symlink: /usr/local/bin/run}
- {name: data.tar.gz, source: data.tar.gz, destination: /srv/data, extract: true}
- {name: folder, source: folder}
- {name: setup.sh, source: run.sh, install: true, params: --now}
- {name: early, source: early.sh, tag: bootscript, bootType: firstboot, bootOrder: 1}
"""


@pytest.fixture(scope="module")
def shelved(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A bundle of the user's library."""
    folder = tmp_path_factory.mktemp("bundle")
    for name in ("license.txt", "run.sh", "folder/inner/deep", "early.sh", "packed/leaf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n# {name}\n")
    subprocess.run(["tar", "-czf", str(folder / "data.tar.gz"), "-C", str(folder), "packed"], check=True)
    (folder / "bundle.yml").write_text(BUNDLE)
    bench.cli("bundle", "create", "--file", str(folder / "bundle.yml"))
    (made,) = [one for one in bench.json("bundle", "list")["mySoftwareList"]["mySoftware"] if one["name"] == "my tools"]
    return dict(made)


def test_what_was_edited_is_in_the_image_and_nothing_else_changed(
    bench: Bench, edit: Path, image: int, began: float, shelved: dict[str, Any], tmp_path: Path
) -> None:
    tree = tmp_path / "new"
    (tree / "srv").mkdir(parents=True)
    (tree / "srv/edited").write_text("edited\n")
    subprocess.run(["tar", "-rf", str(edit / "bundles/forgelet-scan/1.0/overlay.tar"), "--owner=0", "--group=0", "-C", str(tree), "srv/edited"], check=True)
    (edit / "hello.sh").write_text("#!/bin/sh\necho hello > /root/hello\n")
    document = yaml.safe_load((edit / "template.yml").read_text())
    document["stack"]["version"] = "2.0"
    document["stack"]["installation"] = INSTALLATION
    document["stack"]["os"]["updateTo"] = datetime.now().astimezone().strftime("%Y-%m-%d")
    document["stack"]["config"] = [{"name": "hello", "source": "hello.sh", "order": 2}]
    # With --rbundles what the library has under that name and version counts, not this.
    document["stack"]["bundles"].append({"name": "my tools", "version": "1.0", "files": [{"name": "decoy", "source": "hello.sh"}]})
    (edit / "template.yml").write_text(yaml.safe_dump(document))
    bench.cli("template", "create", "--file", str(edit / "template.yml"), "--rbundles")
    template = newest_template(bench)
    assert template["uri"] in bench.json("bundle", "list")["mySoftwareList"]["mySoftware"][-1]["applianceUris"]["uri"]
    bench.cli("template", "build", "--id", str(template["dbId"]), "--file", str(EXAMPLE))
    newest = int(bench.json("image", "list")["images"]["image"][-1]["dbId"])
    ours, theirs = canonical(bench, newest, tmp_path, began), canonical(bench, image, tmp_path, began)
    new = {path.decode() for path in ours.keys() - theirs.keys()}
    assert {"./srv/edited", "./home/carol", "./etc/systemd/system/forgelet-first-boot.service"} <= new
    assert theirs.keys() <= ours.keys()
    changed = {path.decode() for path, row in theirs.items() if ours[path][:5] + ours[path][7:8] != row[:5] + row[7:8]}
    accounts = {f"./etc/{name}{dash}" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid") for dash in ("", "-")}
    assert changed - accounts <= {"attributes", "./etc/localtime", "./etc/timezone", "./etc/default/keyboard", "./etc/motd", "./boot/grub/grub.cfg", "./root/.ssh", "./root/.ssh/authorized_keys"}
    with tree_of(bench.data / "images" / str(newest) / "image.qcow2", tmp_path) as root:
        assert (root / "srv/edited").read_text() == "edited\n"
        _look_at_installation(root)
        scripts = [path.read_text() for path in sorted((root / "usr/local/lib/forgelet/first-boot").iterdir())]
        assert scripts[0].endswith("'/opt/tools/setup.sh' --now\n")
        assert scripts[1:] == ["#!/bin/sh\n# early.sh\n", "#!/bin/sh\necho hello > /root/hello\n"]
        _look_at_bundle(root)
    told = {path: bench.json("image", "explain", "--id", str(newest), path)["origin"] for path in WROTE}
    assert {path: (one["by"], one["what"]) for path, one in told.items()} == WROTE


WROTE = {
    "/srv/data/packed/leaf": ("template", "its bundle my tools 1.0"),
    "/home/carol": ("template", "its accounts"),
    "/etc/motd": ("template", "its settings"),
    "/etc/systemd/system/forgelet-first-boot.service": ("template", "its boot scripts"),
    "/srv/edited": ("overlay", "the scan's overlay"),
    "/etc/hosts": ("last pass", "what a machine needs to start"),
    "/boot/grub/i386-pc/core.img": ("base", "diskimage-builder, with Forgelet's elements"),
}


def _look_at_installation(root: Path) -> None:
    """Every key of `INSTALLATION`, by the machine's own files; passwords are tried as login(1) would."""
    passwd, group, shadow = ({row[0]: row for row in (line.split(":") for line in (root / "etc" / name).read_text().splitlines())} for name in ("passwd", "group", "shadow"))
    assert passwd["carol"][2:] == ["1717", "1818", "Carol Smith", "/home/carol", "/bin/sh"]
    assert "carol" in group["mail"][3].split(",") and "carol" in group["daemon"][3].split(",")
    assert int(passwd["robot"][2]) < 1000 and passwd["robot"][3] == group["gear"][2] and int(group["gear"][2]) < 1000 and group["crew"][2] == "1818"
    assert passwd["dora"][3] == group["dora"][2] and group["guests"][3] == "dora", "groups that nothing else makes"
    for user, password in (("root", "first"), ("carol", "second")):
        hashed = shadow[user][1]
        said = _run(root, "perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, hashed)
        assert said.decode() == hashed
    assert (root / "home/carol").stat().st_uid == 1717
    assert "ssh-rsa AAAAB3NzaC1yc2E= one" in (root / "root/.ssh/authorized_keys").read_text().splitlines()
    assert (root / "etc/ssh/sshd_config.d/60-forgelet-root.conf").read_text() == "PermitRootLogin prohibit-password\n"
    assert str((root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Asia/Tokyo"
    assert 'XKBLAYOUT="fr"' in (root / "etc/default/keyboard").read_text().splitlines()
    assert (root / "etc/motd").read_text() == "Welcome aboard\n"
    kernels = [line for line in (root / "boot/grub/grub.cfg").read_text().splitlines() if line.strip().startswith("linux")]
    assert kernels and all(line.endswith(" quiet panic=10") for line in kernels)
    first, second = ((root / "etc/systemd/network" / name).read_text().splitlines() for name in ("10-forgelet-ens3.network", "11-forgelet-ens4.network"))
    assert {"Name=ens3", "DHCP=no", "Address=10.0.2.15/24", "Gateway=10.0.2.2", "IPv6AcceptRA=no"} <= set(first)
    assert {"Name=ens4", "DHCP=yes", "ActivationPolicy=manual"} <= set(second)


def _look_at_bundle(root: Path) -> None:
    """Every file of `BUNDLE` on the image's disk, with its owner, rights and links; none of the one that it took the place of."""
    tools = root / "opt/tools"
    run, info = tools / "run.sh", (tools / "run.sh").stat()
    mail = next(int(line.split(":")[2]) for line in (root / "etc/group").read_text().splitlines() if line.startswith("mail:"))
    assert (run.read_text(), info.st_mode & 0o7777, info.st_uid, info.st_gid) == ("#!/bin/sh\n# run.sh\n", 0o750, 1717, mail)
    assert str((root / "usr/local/bin/run").readlink()) == "/opt/tools/run.sh"
    assert (root / "srv/data/packed/leaf").read_text() == "#!/bin/sh\n# packed/leaf\n"
    assert (tools / "folder/inner/deep").read_text() == "#!/bin/sh\n# folder/inner/deep\n"
    assert (root / "usr/share/doc/my_tools/license.txt").read_text() == "#!/bin/sh\n# license.txt\n"
    assert {path.name for path in tools.iterdir()} == {"run.sh", "folder", "setup.sh"}
