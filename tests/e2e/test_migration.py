"""A live container becomes a bootable image, and the image is the container. In the order of the chain, killed twice on the way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import zstandard
from support.bench import EXAMPLE, Bench
from support.damage import DAMAGE, damage_everything, found, is_about_damage
from support.leftovers import machine_state, mounts
from support.service import FORGELET, until
from support.witness import tree_of

from builders import canonical
from builders.archive import Archive, PackageId, pool_name
from builders.dib import BaseRequest, build_base
from builders.errors import BuildFailed
from scanner.host.disks import root_of
from scanner.host.sweep import give_back

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]


def test_the_scan_tells_every_package_at_its_version_and_every_file(bench: Bench, live_system: str, scan: int) -> None:
    listed = bench.cli("scan", "list")
    assert "Getting scans for [root] ..." in listed
    assert "scanExample Scan #1" in listed
    assert "Debian 12 x86_64" in listed
    ours = {(row["name"], row["version"]) for row in bench.json("scan", "packages", "--id", str(scan))["packages"]["package"]}
    query = subprocess.run(["docker", "exec", live_system, "dpkg-query", "-W", "-f", "${Package} ${Version}\n"], capture_output=True, text=True, check=True)
    assert ours == {tuple(line.split(" ")) for line in query.stdout.splitlines()}


def test_a_simple_scan_does_not_mix_with_overlay_scans_of_the_same_name(bench: Bench, live_system: str, scan: int) -> None:
    bench.cli("scan", "run", "--docker", live_system, "--name", "scanExample", code=1)


def test_a_disk_that_is_too_small_is_refused_with_the_size_that_would_do(bench: Bench, scan: int, tmp_path: Path) -> None:
    spec = tmp_path / "small.yml"
    spec.write_text("builders:\n- type: openstack\n  hardwareSettings: {memory: 512}\n  installation:\n    diskSize: 300\n")
    before = bench.json("job", "list")
    bench.cli("scan", "build", "--id", str(scan), "--file", str(spec), code=1)
    assert bench.json("job", "list") == before


def test_a_rehearsal_says_what_will_be_and_blocks_nothing(bench: Bench, scan: int) -> None:
    before = bench.json("job", "list")
    (told,) = bench.json("scan", "rehearse", "--id", str(scan), "--file", str(EXAMPLE))["rehearsals"]["rehearsal"]
    assert told["verdict"] == "ready with conditions"
    (repacked,) = [point for point in told["points"] if point["code"] == "package-unavailable"]
    assert [row.split(" ")[0] for row in repacked["evidence"]] == ["press-ledger"]
    assert bench.json("job", "list") == before


def test_a_service_killed_while_packages_are_installed_leaves_nothing_and_says_so(bench: Bench, scan: int, tmp_path: Path) -> None:
    before = machine_state(bench.data)
    (tmp_path / "its-own.yml").write_text(EXAMPLE.read_text().replace("diskSize: 2000", "diskSize: 2001"))
    # Nobody else's base is of that size: it has to be built.
    image = bench.start_build(scan, tmp_path / "its-own.yml")
    until(lambda: "installing remaining packages" in bench.log(image["jobId"]), 240)
    assert machine_state(bench.data) != before, "nothing was running that could leak"
    _killed_and_started_again(bench, image, before, "base")


def test_a_service_killed_during_the_last_pass_leaves_nothing_and_the_next_build_works(bench: Bench, scan: int) -> None:
    before = machine_state(bench.data)
    image = bench.start_build(scan)
    until(lambda: mounts(bench.data / "jobs" / str(image["jobId"]) / "work" / "root"), 600)
    _killed_and_started_again(bench, image, before, "last-pass")


def _killed_and_started_again(bench: Bench, image: dict[str, Any], before: dict[str, Any], stage: str) -> None:
    _service_killed(bench, image["jobId"], before, stage)
    assert not (bench.data / "images" / str(image["dbId"])).exists()


def _service_killed(bench: Bench, number: int, before: dict[str, Any], stage: str) -> None:
    bench.service.end(signal.SIGKILL)
    bench.start()
    job = bench.service.ended(number)
    assert job["state"] == "failed"
    assert stage in json.dumps(job["error"]), job
    deadline = time.monotonic() + 30
    while (after := machine_state(bench.data)) != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert after == before
    assert not (bench.data / "jobs" / str(number) / "work").exists()


def test_a_service_killed_while_a_copy_is_proven_leaves_no_machine(bench: Bench, image: int) -> None:
    """The proof after it works (below)."""
    before = machine_state(bench.data)
    job = bench.service.http.post(f"/api/users/root/images/{image}/verifications", json={}).raise_for_status().json()["dbId"]
    until(lambda: machine_state(bench.data)["domains"], 120)
    _service_killed(bench, job, before, "boot")
    assert not list((bench.data / "images" / str(image)).glob("verifications/*"))


def test_the_image_holds_the_system_as_other_tools_see_it(bench: Bench, live_system: str, image: int, tmp_path: Path) -> None:
    folder = bench.data / "images" / str(image)
    told = json.loads(subprocess.run(["qemu-img", "info", "--output=json", str(folder / "image.qcow2")], capture_output=True, check=True).stdout)
    assert (told["format"], told["virtual-size"]) == ("qcow2", 2000 * 2**20)
    query = ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Want}\n"]
    source = subprocess.run(["docker", "exec", live_system, *query], capture_output=True, text=True, check=True).stdout
    with tree_of(folder / "image.qcow2", tmp_path) as root:
        copy = subprocess.run([query[0], f"--admindir={root}/var/lib/dpkg", *query[1:]], capture_output=True, text=True, check=True).stdout
        assert set(source.splitlines()) <= set(copy.splitlines())
        log = (root / "var/log/dpkg.log").read_text()
        for line in source.splitlines():
            name, version, _ = line.split(" ")
            assert any(f"status unpacked {name}:{arch} {version}\n" in log for arch in ("amd64", "all")), f"{name} {version} was not unpacked by the build"
        assert (root / "root/x.log").stat().st_size
        assert (root / "var/log/app/ledger").stat().st_size
        assert [path for path in root.iterdir() if path.name.startswith(".")], "the dotfile in / is lost"
        for tool in ("getfacl", "getfattr"):
            assert _attributes(tool, f"/proc/{_pid(live_system)}/root") == _attributes(tool, str(root)) != "", tool


def _pid(container: str) -> str:
    return subprocess.run(["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True, check=True).stdout.strip()


def _attributes(tool: str, root: str) -> str:
    options = {"getfacl": ["--skip-base"], "getfattr": ["-m", "user.", "-d"]}[tool]
    done = subprocess.run([tool, "-R", *options, "srv", "opt"], cwd=root, capture_output=True, check=True)
    return done.stdout.decode(errors="surrogateescape")


def test_the_rehearsal_told_what_the_image_has_and_how_much_it_takes(bench: Bench, scan: int, image: int, tmp_path: Path) -> None:
    (told,) = bench.json("scan", "rehearse", "--id", str(scan), "--file", str(EXAMPLE))["rehearsals"]["rehearsal"]
    shown = bench.json("image", "show", "--id", str(image))
    assert told["additions"] == shown["additions"]
    assert shown["conditions"]
    with tree_of(bench.data / "images" / str(image) / "image.qcow2", tmp_path) as root:
        df = subprocess.run(["df", "--output=used", "-B1", str(root)], capture_output=True, text=True, check=True).stdout
    used = int(df.splitlines()[1]) / 2**20
    assert abs(told["disk"]["used"] - used) < 0.05 * used, f"{told['disk']['used']} MiB were computed, {used:.0f} are used"


def test_marks_holds_pins_sources_and_what_dpkg_was_told_are_the_sources(bench: Bench, live_system: str, image: int, tmp_path: Path) -> None:
    asked = {
        "marks": "apt-mark showmanual",
        "holds": "apt-mark showhold",
        "pins": "cat /etc/apt/preferences.d/*",
        "sources": "cat /etc/apt/sources.list",
        "keys": "cd /etc/apt && sha256sum trusted.gpg.d/* keyrings/*",
        "diversions": "dpkg-divert --list",
        "overrides": "dpkg-statoverride --list",
        "alternatives": "update-alternatives --query ledger-page",
        "device": "stat -c '%F %t %T %a %u %g' /srv/ledger/clock",
        "timezone": "readlink /etc/localtime; cat /etc/timezone",
        "keyboard": "cat /etc/default/keyboard",
        "locale": "cat /etc/default/locale",
        "masked": "readlink /etc/systemd/system/apt-daily.timer",
        "kernel": "cat /etc/sysctl.d/60-press.conf",
        "cron": "cat /etc/cron.d/ledger /etc/crontab; cd /var/spool/cron/crontabs && stat -c '%n %a %u %g %Y' mira && cat mira",
        "people": "getent shadow mira; id mira; getent passwd ledger",
    }
    with tree_of(bench.data / "images" / str(image) / "image.qcow2", tmp_path) as root:
        for what, command in asked.items():
            ours = subprocess.run(["docker", "exec", live_system, "sh", "-c", command], capture_output=True, text=True, check=True).stdout
            theirs = subprocess.run(["chroot", str(root), "sh", "-c", command], capture_output=True, text=True, check=True).stdout
            assert ours.strip(), what
            if what == "marks":
                # What Forgelet adds is marked as wanted, so that no autoremove takes it away.
                assert {row["item"] for row in bench.json("image", "show", "--id", str(image))["additions"]} >= set(theirs.splitlines()) - set(ours.splitlines())
                assert set(ours.splitlines()) <= set(theirs.splitlines())
            else:
                assert ours == theirs, what


def test_the_overlay_holds_no_managed_file(bench: Bench, scan: int) -> None:
    folder = bench.data / "scans" / str(scan)
    with zstandard.open(folder / "overlay.tar.zst", "rb") as packed, tarfile.open(fileobj=packed, mode="r|", errors="surrogateescape") as tar:
        names = [os.fsencode(member.name) for member in tar]
    with zstandard.open(folder / "files.ndjson.zst", "rb") as rows_packed:
        rows = rows_packed.read().splitlines()
    managed = {os.fsencode(row["path"]) for row in map(json.loads, rows) if row["state"] == "managed"}
    assert names
    assert len(managed) > 5000
    assert not managed & {b"/" + name.rstrip(b"/") for name in names}


@pytest.mark.parametrize(
    ("path", "by"),
    [("/usr/sbin/nginx", "package"), ("/usr/bin/cloud-init", "package"), ("/opt/ledger", "overlay"), ("/etc/systemd/network/90-forgelet-dhcp.network", "last pass"), ("/boot/grub/grub.cfg", "base"), ("/etc/passwd", "last pass"), ("/etc/hosts", "last pass"), ("/etc/machine-id", "last pass")],
)
def test_what_wrote_a_path_into_the_image_is_told(bench: Bench, image: int, path: str, by: str) -> None:
    told = bench.json("image", "explain", "--id", str(image), path)
    assert told["origin"]["by"] == by and told["origin"]["why"]


PROBES = ("http://:80/", "http://:8081/", "tcp://:22", "tcp://:8081", "cmd:id mira; getfacl -cp /srv/ledger/2025; press-ledger total")
SCOPES = ("system", "packages", "files", "users", "services", "blind spots", "witnesses", "probes", "image")


def test_what_came_back_from_glance_is_booted_and_is_the_source(bench: Bench, live_system: str, image: int, returned: Any) -> None:
    asked = [word for probe in PROBES for word in ("--probe", probe)]
    fidelity = bench.json("image", "verify", "--id", str(image), "--source", f"docker:{live_system}", *asked)
    assert [one for one in fidelity["differences"] if one["rule"] is None] == []
    assert {name: scope["unexplained"] for name, scope in fidelity["scopes"].items()} == dict.fromkeys(SCOPES, 0)
    assert fidelity["runtime"]["failed_units"] == []
    assert fidelity["runtime"]["cloud_init"] == "done"
    assert [probe["probe"] for probe in fidelity["probes"]] == list(PROBES)
    assert [(probe["equal"], probe["status"]) for probe in fidelity["probes"]] == [(True, 200), (True, 200), (True, 1), (True, 1), (True, 0)]
    assert fidelity["probes"][2]["head"].startswith("SSH-2.0-") and "mira" in fidelity["probes"][4]["head"]
    assert {"nginx.service", "ssh.service", "ledger.service", "cron.service"} <= set(fidelity["runtime"]["active_services"])
    assert {one["name"]: one["verdict"] for one in fidelity["witnesses"]} == {
        "failed units": "agrees",
        "cloud-init status --long": "agrees",
        "dpkg --verify": "explained",
        "oslo.utils format inspector image.qcow2": "agrees",
        "qemu-img check image.qcow2": "agrees",
        "sfdisk": "agrees",
    }
    assert any("Linux version" in line for line in fidelity["transcript"])
    assert fidelity["proven"]["image"] == returned.sha256


def test_the_proof_is_a_page_and_a_bundle_that_holds_without_the_service(bench: Bench, image: int, tmp_path: Path) -> None:
    (page,) = (bench.data / "images" / str(image) / "verifications").glob("*/fidelity.html")
    assert "The copy is the source" in page.read_text()
    bundle = tmp_path / "evidence.tar.gz"
    told = bench.cli("image", "evidence", "--id", str(image), "--file", str(bundle)).splitlines()[-1]
    digest = told.rpartition(" ")[2]
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() == digest
    elsewhere = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FORGELET_URL": "http://127.0.0.1:1/api"}
    argv = [*FORGELET, "verify", "--bundle", str(bundle), "--sha256", digest, "-o", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, env=elsewhere, check=False)
    assert done.returncode == 0, done.stderr
    assert {name: scope["unexplained"] for name, scope in json.loads(done.stdout)["scopes"].items()} == dict.fromkeys(SCOPES, 0)


def test_two_builders_with_two_formats_take_the_base_from_the_cache(bench: Bench, scan: int, tmp_path: Path) -> None:
    one = "- type: openstack\n  hardwareSettings: {memory: 512}\n  installation: {diskSize: 2000}\n"
    (tmp_path / "two.yml").write_text(f"builders:\n{one}{one}  format: [raw, qcow2]\n")
    said = bench.cli("scan", "build", "--id", str(scan), "--file", str(tmp_path / "two.yml"))
    assert "Generating 'openstack' image (1/2)" in said
    assert "Generating 'openstack' image (2/2)" in said
    *_, first, second = sorted(bench.json("image", "list")["images"]["image"], key=lambda told: told["dbId"])
    assert first["baseFromCache"]
    assert second["baseFromCache"]
    assert [file["format"] for file in second["files"]] == ["raw", "qcow2"]
    raw = bench.data / "images" / str(second["dbId"]) / "image.raw"
    assert raw.stat().st_size == 2000 * 2**20
    with raw.open("rb") as disk:
        assert hashlib.file_digest(disk, "sha256").hexdigest() == second["files"][0]["sha256"]


def test_with_the_network_cut_off_the_same_build_works_and_gives_the_same_tree(bench: Bench, scan: int, image: int, tmp_path: Path) -> None:
    argv = ["unshare", "-n", sys.executable, "-m", "support.offline", str(bench.data / "scans" / str(scan)), str(bench.data / "cache"), str(tmp_path / "again")]
    done = subprocess.run(argv, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"
    first, second = bench.data / "images" / str(image) / "image.qcow2", tmp_path / "again/image/image.raw"
    trees = []
    for disk in (first, second):
        with tree_of(disk, tmp_path) as root:
            trees.append(list(canonical.lines(root)))
        (tmp_path / "witness").rmdir()
    assert len(trees[0]) > 10000
    assert sorted(set(trees[0]) ^ set(trees[1])) == []
    assert trees[0] == trees[1]


def test_a_package_whose_script_fails_is_named_with_its_script_and_leaves_nothing(bench: Bench, image: int, tmp_path: Path) -> None:
    archive = Archive("bookworm", "amd64", bench.data / "cache", offline=True)
    before = machine_state(bench.data)
    with pytest.raises(BuildFailed, match=r"error processing package broken.*post-installation script.*exit status 3") as failed:
        build_base(request_with_a_broken_package(archive, tmp_path), tmp_path, tmp_path / "work", lambda line: None)
    assert failed.value.hint
    give_back(tmp_path / "work")
    assert not (tmp_path / "work").exists()
    assert machine_state(bench.data) == before


def request_with_a_broken_package(archive: Archive, folder: Path) -> BaseRequest:
    """What every Debian has, and a package whose script fails; dpkg-deb makes it."""
    (folder / "tree/DEBIAN").mkdir(parents=True)
    fields = {"Package": "broken", "Version": "1", "Architecture": "all", "Maintainer": "a <a@b>", "Description": "x"}
    (folder / "tree/DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
    script = folder / "tree/DEBIAN/postinst"
    script.write_text("#!/bin/sh\nexit 3\n")
    script.chmod(0o755)
    deb = folder / "broken.deb"
    subprocess.run(["dpkg-deb", "--build", str(folder / "tree"), str(deb)], capture_output=True, check=True)
    broken, known = PackageId("broken", "all", "1"), archive.resolve([], archive.standard("required"))
    entry = {**fields, "Size": str(deb.stat().st_size), "SHA256": hashlib.sha256(deb.read_bytes()).hexdigest()}
    return BaseRequest(
        codename=archive.codename,
        arch=archive.arch,
        packages=[*known, broken],
        stanzas={**archive.stanzas(known), broken: entry},
        debs={**{one: archive.pool / pool_name(one) for one in known}, broken: deb},
        accounts=dict.fromkeys(("passwd", "group", "shadow", "gshadow"), ""),
        disk_size=1000,
        filesystem="0b0b0b0b-0000-4000-8000-00000000000b",
        disk_id="0x1234abcd",
    )


@pytest.fixture(scope="module")
def unexplained(bench: Bench, image: int, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the proof finds of an image that was broken in every way of `damage.py` at once. It boots all the same."""
    folder, work = bench.data / "images" / str(image), tmp_path_factory.mktemp("broken")
    whole, raw = work / "whole.qcow2", work / "broken.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(folder / "image.qcow2"), str(raw)], check=True)
    with root_of(raw, "raw", work, writable=True) as root:
        damage_everything(root)
    shutil.move(folder / "image.qcow2", whole)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(folder / "image.qcow2")], check=True)
    raw.unlink()
    try:
        fidelity = bench.json("image", "verify", "--id", str(image), code=4)
    finally:
        shutil.move(whole, folder / "image.qcow2")
    return [one for one in fidelity["differences"] if not one["rule"]]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_copy_that_was_tampered_with_is_found_out(unexplained: list[dict[str, Any]], kind: str) -> None:
    assert found(DAMAGE[kind], unexplained), f"nothing unexplained of {DAMAGE[kind].item} among {unexplained}"


def test_another_file_than_was_built_is_found_out(unexplained: list[dict[str, Any]]) -> None:
    assert [(one["scope"], one["item"]) for one in unexplained if one["scope"] == "image"] == [("image", "image.qcow2")]


def test_nothing_is_found_but_what_was_tampered_with(unexplained: list[dict[str, Any]]) -> None:
    assert [one for one in unexplained if not is_about_damage(one)] == []


def test_a_simple_scan_is_refused_until_the_file_says_what_to_do_without_a_package(bench: Bench, live_system: str, tmp_path: Path) -> None:
    """Such a scan is built in `test_mirror.py`; what its image has is looked at where hammr migrates."""
    bench.cli("scan", "run", "--docker", live_system, "--name", "simple")
    number = max(one["dbId"] for group in bench.json("scan", "list")["scannedInstances"]["scannedInstance"] for one in group["scans"]["scan"])
    spec, builder = tmp_path / "simple.json", {"type": "openstack", "hardwareSettings": {"memory": 512}, "installation": {"diskSize": 2000}}
    spec.write_text(json.dumps({"builders": [builder]}))
    before = bench.json("image", "list")
    bench.cli("scan", "build", "--id", str(number), "--file", str(spec), code=1)
    assert bench.json("image", "list") == before
    spec.write_text(json.dumps({"builders": [{**builder, "packages": "nearest"}]}))
    (told,) = bench.json("scan", "rehearse", "--id", str(number), "--file", str(spec))["rehearsals"]["rehearsal"]
    assert told["verdict"] == "ready with conditions"
    (lost,) = [point for point in told["points"] if point["code"] == "package-unavailable"]
    assert (lost["weight"], [row.split(" ")[0] for row in lost["evidence"]]) == ("condition", ["press-ledger"])


def test_nothing_is_left_when_all_is_over(bench: Bench) -> None:
    state = machine_state(bench.data)
    assert state["loops"] == []
    assert state["mounts"] == []
    assert state["domains"] == []
    assert not list((bench.data / "jobs").glob("*/work"))
    deadline = time.monotonic() + 5
    while state["processes"] and time.monotonic() < deadline:
        state = machine_state(bench.data)
    assert state["processes"] == []
