"""The last pass over a fabricated base: afterwards the tree is the source's tree, path by path, with `os.lstat` as the witness."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import lastpass, startup
from builders.capture import pick
from builders.explain import base_wins
from builders.lastpass import Job, Outcome, apply, tree
from scanner.report import FileEntry, Report

from .conftest import Machine, plan_of, planned

MIB = 2**20
TYPES = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
ACCOUNTS = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\napp:x:105:110:Jos\xe9:/srv:/bin/sh\n",
    "group": "root:x:0:\napp:x:110:\n",
    "shadow": "root:*:19000:0:99999:7:::\napp:$y$secret:19001:0:99999:7:::\n",
    "gshadow": "root:*::\napp:!::\n",
}


def install(machine: Machine) -> None:
    """The packages that source and base have in common, as they are shipped."""
    machine.file("/usr/share/nginx/page", b"shipped")
    machine.package(
        "nginx",
        {"/usr/sbin/nginx": b"binary", "/usr/share/doc/nginx/a": b"a", "/usr/share/doc/nginx/b": b"b", "/usr/share/nginx/zeros": bytes(MIB)},
        conffiles={"/etc/nginx/nginx.conf": b"shipped\n"},
        listed=["/usr/share/nginx/page-link"],
    )
    machine.at("/usr/share/nginx/page-link").symlink_to("page")
    for name, text in ACCOUNTS.items():
        machine.file(f"/etc/{name}", b"")
        machine.at(f"/etc/{name}").write_bytes(text.encode("latin-1"))


@pytest.fixture
def source(make_machine: Callable[[str], Machine]) -> Machine:
    """A machine that was lived in."""
    machine = make_machine("source")
    install(machine)
    machine.file("/etc/nginx/nginx.conf", b"changed\n", 0o640)
    machine.at("/usr/share/doc/nginx/a").unlink()
    machine.at("/usr/share/nginx/page").unlink()
    machine.file("/usr/share/nginx/page", b"another page")
    machine.at("/usr/sbin/nginx").chmod(0o2711)
    machine.at("/usr/share/nginx/page-link").unlink()
    machine.at("/usr/share/nginx/page-link").symlink_to("/srv/www/index.html")
    with machine.at("/usr/share/nginx/zeros").open("r+b") as out:
        out.truncate(0)
        out.truncate(MIB)
    machine.file("/srv/www/index.html", b"<h1>hello</h1>", 0o4750)
    os.setxattr(machine.at("/srv/www/index.html"), "user.note", b"\0\xff")
    os.link(machine.at("/srv/www/index.html"), machine.at("/srv/www/twin.html"))
    machine.file(b"/srv/caf\xe9 \n", b"latin")
    os.mkfifo(machine.at("/srv/fifo"), 0o620)
    with machine.at("/srv/sparse").open("wb") as out:
        out.seek(2 * MIB)
        out.write(b"island")
        out.truncate(4 * MIB)
    machine.file("/.env", b"dot")
    machine.file("/root/notes.log", b"notes")
    machine.file("/var/log/app/app.log", b"a line\n", 0o600)
    machine.file("/tmp/scratch")
    machine.at("/srv/closed").mkdir(mode=0o500)
    for number, path in enumerate(sorted(machine.root.rglob("*"), reverse=True)):
        os.utime(path, ns=(5, 1_500_000_000_123_456_789 + number * 10**9), follow_symlinks=False)
    os.utime(machine.root, ns=(5, 1_499_999_999_000_000_001))
    return machine


@pytest.fixture
def base(make_machine: Callable[[str], Machine]) -> Machine:
    """What diskimage-builder would leave: the same packages fresh, those that were added, and some of its own litter."""
    machine = make_machine("base")
    install(machine)
    machine.package("cloud", {"/usr/bin/cloud": b"added", "/usr/lib/systemd/system/cloud.service": b"[Unit]\n"}, listed=["/usr/share/cloud"])
    machine.file("/usr/share/cloud/data")
    wants = machine.at("/etc/systemd/system/multi-user.target.wants")
    wants.mkdir(parents=True)
    (wants / "cloud.service").symlink_to("/lib/systemd/system/cloud.service")
    (wants / "litter.service").symlink_to("/lib/systemd/system/litter.service")
    machine.file("/boot/vmlinuz-6.1", b"kernel")
    machine.file("/etc/fstab", b"LABEL=x / ext4\n")
    machine.file("/srv/litter/deep/er/file")
    machine.file("/etc/nginx/litter.conf")
    machine.file("/tmp/of-the-base", b"left alone")
    machine.file("/proc/of-the-base")
    machine.file("/var/log/dpkg.log", b"")
    machine.at("/var/lib/apt").mkdir()
    return machine


@pytest.fixture(autouse=True)
def linker(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """ldconfig needs root; gives back how it was called. Every other program runs."""
    real, called = subprocess.run, []

    def run(argv: list[str], **options: Any) -> Any:
        if "ldconfig" not in (argv[0], argv[-1]):
            return real(argv, **options)
        called.append(argv)
        root = argv[2] if argv[0] == "ldconfig" else argv[argv.index("inside") + 1]
        Path(root, "etc/ld.so.cache").write_text("as ldconfig does: a new file in /etc")
        return subprocess.CompletedProcess(argv, 0)

    monkeypatch.setattr(lastpass.subprocess, "run", run)
    return called


@pytest.fixture
def run_pass(tmp_path: Path) -> Callable[..., Outcome]:
    def run(report: Report, base: Machine, *added: str) -> Outcome:
        plan = plan_of(planned("nginx"), additions=["cloud"])
        plan.overlay = report.head.overlay
        (tmp_path / "plan.json").write_text(plan.model_dump_json())
        (tmp_path / "dpkg.log").write_text("status installed nginx:amd64 1.0-1\n")
        return apply(Job(str(base.root), str(report.folder), str(tmp_path / "plan.json"), str(tmp_path / "dpkg.log"), list(added)))

    return run


def overlay_scan(machine: Machine) -> Report:
    return machine.scan(choose=lambda report: lambda entry: pick(entry, set()))


def place_of(machine: Machine, entry: FileEntry) -> bytes:
    return os.fsencode(machine.root) + entry.raw


def wrong(entry: FileEntry, place: bytes) -> Iterator[str]:
    """In which ways the path is not as reported."""
    info = os.lstat(place)
    yield from ["type"] if TYPES[stat.S_IFMT(info.st_mode)] != entry.type else []
    yield from ["mode"] if entry.type != "symlink" and stat.S_IMODE(info.st_mode) != int(entry.mode, 8) else []
    yield from ["owner"] if (info.st_uid, info.st_gid) != (entry.uid, entry.gid) else []
    yield from ["mtime"] if info.st_mtime_ns != entry.mtime else []
    yield from ["size"] if entry.type == "file" and info.st_size != entry.size else []
    yield from ["target"] if entry.type == "symlink" and Path(os.fsdecode(place)).readlink() != Path(entry.target or "") else []
    have = {name: base64.b64encode(os.getxattr(place, name, follow_symlinks=False)).decode() for name in os.listxattr(place, follow_symlinks=False)}
    yield from ["xattrs"] if have != entry.xattrs else []


WRITTEN = {"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/machine-id", "/etc/resolv.conf", "/var/log/dpkg.log"}
"""What the pass itself writes after the source's own contents."""


def deviating(machine: Machine, report: Report) -> dict[str, list[str]]:
    """Reported path -> what is wrong with it."""
    found = {}
    for entry in report.files():
        if entry.state in ("missing", "excluded") or base_wins(entry.path) or entry.path in WRITTEN:
            continue
        ways = list(wrong(entry, place_of(machine, entry)))
        if ways:
            found[entry.path] = ways
    return found


def test_every_reported_path_is_as_reported_folders_last(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    report = overlay_scan(source)
    outcome = run_pass(report, base, "cloud")
    assert deviating(base, report) == {}
    assert outcome.lacking == []
    assert outcome.set > 40


def test_contents_links_and_holes_are_the_sources(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    run_pass(overlay_scan(source), base, "cloud")
    for path in ("/etc/nginx/nginx.conf", "/usr/share/nginx/page", "/srv/www/index.html", "/srv/sparse", "/.env", "/root/notes.log", "/var/log/app/app.log"):
        assert base.at(path).read_bytes() == source.at(path).read_bytes()
    assert base.at("/srv/www/index.html").samefile(base.at("/srv/www/twin.html"))
    for path in ("/srv/sparse", "/usr/share/nginx/zeros"):
        assert base.at(path).stat().st_blocks == source.at(path).stat().st_blocks
    assert (Path(os.fsdecode(os.fsencode(base.root) + b"/srv/caf\xe9 \n"))).read_bytes() == b"latin"


def test_a_second_look_by_the_scanner_finds_nothing_but_what_was_added(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    report = overlay_scan(source)
    run_pass(report, base, "cloud")
    ours = {entry.path: entry for entry in report.files()}
    theirs = {entry.path: entry for entry in base.scan().files()}
    assert ours.keys() - theirs.keys() == set()
    added = {path for path in theirs.keys() - ours.keys() if theirs[path].type != "directory"}
    expected = {
        "/boot/vmlinuz-6.1",
        "/etc/fstab",
        "/etc/hostname",
        "/etc/hosts",
        "/etc/ld.so.cache",
        "/etc/machine-id",
        "/etc/resolv.conf",
        "/etc/systemd/network/90-forgelet-dhcp.network",
        "/etc/systemd/system/multi-user.target.wants/cloud.service",
        "/usr/bin/cloud",
        "/usr/lib/systemd/system/cloud.service",
        "/var/lib/apt/extended_states",
        "/var/lib/dpkg/info/cloud.list",
        "/var/lib/dpkg/info/cloud.md5sums",
        "/var/log/dpkg.log",
    }
    assert {path for path in added if "systemd-networkd" not in path and "network1" not in path} == expected


def test_what_the_source_never_had_goes_unless_a_rule_keeps_it(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    outcome = run_pass(overlay_scan(source), base, "cloud")
    for gone in ("/srv/litter", "/etc/nginx/litter.conf", "/etc/systemd/system/multi-user.target.wants/litter.service", "/usr/share/cloud/data"):
        assert not os.path.lexists(base.at(gone)), gone
    for kept in ("/usr/bin/cloud", "/boot/vmlinuz-6.1", "/usr/share/cloud", "/usr/lib/systemd/system/cloud.service"):
        assert base.at(kept).exists(), kept
    assert base.at("/etc/fstab").read_bytes() == b"LABEL=x / ext4\n"
    assert outcome.pruned >= 7


def test_without_its_name_among_the_added_a_package_is_litter(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    run_pass(overlay_scan(source), base)
    assert not base.at("/usr/bin/cloud").exists()


def test_of_the_sources_packages_dpkg_keeps_what_it_kept_there_and_of_added_ones_everything(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    (source.at("/var/lib/dpkg/info/nginx.md5sums")).unlink()
    run_pass(overlay_scan(source), base, "cloud")
    assert not base.at("/var/lib/dpkg/info/nginx.md5sums").exists()
    assert {path.name for path in base.at("/var/lib/dpkg/info").iterdir()} >= {"nginx.list", "cloud.list", "cloud.md5sums"}


def test_deletions_are_applied(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    assert base.at("/usr/share/doc/nginx/a").exists()
    run_pass(overlay_scan(source), base, "cloud")
    assert [path.name for path in base.at("/usr/share/doc/nginx").iterdir()] == ["b"]


def test_what_the_source_left_out_is_not_looked_into(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    run_pass(overlay_scan(source), base, "cloud")
    assert base.at("/tmp/of-the-base").read_bytes() == b"left alone"
    assert base.at("/proc/of-the-base").exists()
    assert not base.at("/tmp/scratch").exists()


def test_accounts_are_the_sources_with_the_bases_own_after_them(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    with base.at("/etc/passwd").open("a") as table:
        table.write("cloudd:x:106:0::/:/bin/false\n")
    with base.at("/etc/shadow").open("a") as table:
        table.write("cloudd:!:19000::::::\n")
    run_pass(overlay_scan(source), base, "cloud")
    assert base.at("/etc/passwd").read_bytes() == ACCOUNTS["passwd"].encode("latin-1") + b"cloudd:x:106:0::/:/bin/false\n"
    assert base.at("/etc/shadow").read_text() == ACCOUNTS["shadow"] + "cloudd:!:19000::::::\n"


def test_the_log_tells_the_sources_history_and_then_this_builds(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    source.file("/var/log/dpkg.log", b"history\n")
    run_pass(overlay_scan(source), base, "cloud")
    assert base.at("/var/log/dpkg.log").read_text() == "history\nstatus installed nginx:amd64 1.0-1\n"


def test_the_linkers_cache_is_made_for_the_tree(source: Machine, base: Machine, run_pass: Callable[..., Outcome], linker: list[list[str]]) -> None:
    run_pass(overlay_scan(source), base, "cloud")
    assert linker == [["ldconfig", "-r", str(base.root)]]


def test_the_linkers_cache_is_made_by_the_systems_own_tool(source: Machine, base: Machine, run_pass: Callable[..., Outcome], linker: list[list[str]]) -> None:
    source.file("/sbin/ldconfig", b"another version", 0o755)
    run_pass(overlay_scan(source), base, "cloud")
    ((*_, word),) = linker
    assert (word, "chroot" in " ".join(linker[0])) == ("ldconfig", True)


def test_the_pass_can_be_run_again_and_changes_nothing(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    report = overlay_scan(source)
    run_pass(report, base, "cloud")
    before = {path: os.lstat(f"{base.root}{path}").st_mode for path in tree(base.root)}
    again = run_pass(report, base, "cloud")
    assert {path: os.lstat(f"{base.root}{path}").st_mode for path in tree(base.root)} == before
    assert deviating(base, report) == {}
    assert again.pruned == 0


# A simple scan: no contents, so the packages' own stay.


def test_a_simple_scan_brings_metadata_and_locked_accounts(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    base.file("/etc/shadow", b"app:$y$of-the-base:1::::::\n")
    report = source.scan()
    outcome = run_pass(report, base, "cloud")
    shadow = base.at("/etc/shadow").read_text().splitlines()
    assert [line.split(":")[:2] for line in shadow] == [["root", "!"], ["app", "!"]]
    assert b"secret" not in base.at("/etc/shadow").read_bytes()
    assert base.at("/etc/nginx/nginx.conf").read_bytes() == b"shipped\n"
    assert stat.S_IMODE(base.at("/usr/sbin/nginx").stat().st_mode) == 0o2711
    assert "/srv/www/index.html" in outcome.lacking
    assert not base.at("/usr/share/doc/nginx/a").exists()
    assert not base.at("/etc/nginx/litter.conf").exists()


# Whatever the source says, nothing outside the tree is touched.


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of this machine's own, with times of its own."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/file").write_text("untouched")
    (folder / "passwd").write_text("host:x:0:0:::\n")
    for path in (folder / "deep/file", folder / "deep", folder / "passwd", folder):
        path.chmod(0o700)
        os.utime(path, ns=(9, 9))
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int, int]]:
    paths = [folder, *folder.rglob("*")]
    return {str(path): (info.st_mode, info.st_size, info.st_mtime_ns) for path in paths for info in [path.lstat()]}


@pytest.mark.parametrize("overlay", [False, True], ids=["simple", "overlay"])
def test_where_the_source_has_a_folder_and_the_tree_a_link_the_links_target_is_safe(
    source: Machine, base: Machine, run_pass: Callable[..., Outcome], outside: Path, overlay: bool
) -> None:
    source.package("legacy", listed=["/var/run/deep/gone"])
    source.file("/var/run/deep/file", b"of the source", 0o666)
    base.at("/var/run").symlink_to(outside)
    report = overlay_scan(source) if overlay else source.scan()
    (outside / "deep/gone").write_text("a name that the source deleted")
    os.utime(outside / "deep", ns=(9, 9))
    before = snapshot(outside)
    outcome = run_pass(report, base, "cloud")
    assert snapshot(outside) == before
    assert {"/var/run", "/var/run/deep", "/var/run/deep/file"} <= set(outcome.lacking)


@pytest.mark.parametrize("name", ["passwd", "group", "shadow", "gshadow"])
def test_an_account_table_that_is_a_link_out_of_the_tree_is_replaced(
    source: Machine, base: Machine, run_pass: Callable[..., Outcome], outside: Path, name: str
) -> None:
    source.at(f"/etc/{name}").unlink()
    source.at(f"/etc/{name}").symlink_to(outside / "passwd")
    run_pass(overlay_scan(source), base, "cloud")
    assert (outside / "passwd").read_text() == "host:x:0:0:::\n"
    assert b"host:" not in base.at("/etc/passwd").read_bytes()


def test_what_is_of_another_kind_in_the_tree_is_told_and_left(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    base.at("/srv/fifo").mkdir()
    base.at("/srv/fifo").chmod(0o711)
    outcome = run_pass(source.scan(), base, "cloud")
    assert "/srv/fifo" in outcome.lacking
    assert stat.S_IMODE(base.at("/srv/fifo").stat().st_mode) == 0o711


def test_the_tree_is_walked_in_order_and_never_through_a_link(tmp_path: Path) -> None:
    for name in ("a", "a/b", "a-b", "c"):
        (tmp_path / "root" / name).mkdir(parents=True, exist_ok=True)
    (tmp_path / "root/a/up").symlink_to("..")
    (tmp_path / "root/a/b/file").touch()
    assert list(tree(tmp_path / "root")) == ["/", "/a", "/a/b", "/a/b/file", "/a/up", "/a-b", "/c"]


def test_the_sources_file_systems_come_in_the_new_disks_terms_with_their_own_time(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    source.file("/etc/fstab", b"UUID=1 / ext4 defaults 0 1\ntmpfs /srv/t tmpfs size=1m 0 0\n", 0o640)
    os.utime(source.at("/etc/fstab"), ns=(5, 1_700_000_000_123_456_789))
    outcome = run_pass(overlay_scan(source), base, "cloud")
    told = [line for line in base.at("/etc/fstab").read_text().splitlines() if not line.startswith("#")]
    assert told == ["LABEL=x / ext4", "tmpfs /srv/t tmpfs size=1m 0 0"]
    info = base.at("/etc/fstab").stat()
    assert (stat.S_IMODE(info.st_mode), info.st_mtime_ns) == (0o640, 1_700_000_000_123_456_789)
    assert outcome.translated == {"/etc/fstab": hashlib.sha256(base.at("/etc/fstab").read_bytes()).hexdigest()}


def test_what_another_version_of_a_package_brings_stays_as_it_brought_it(make_machine: Callable[[str], Machine], tmp_path: Path) -> None:
    def machine(name: str, minor: str) -> Machine:
        made = make_machine(name)
        made.file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        made.file("/etc/group", b"root:x:0:\n")
        made.file("/var/log/dpkg.log", b"")
        made.at("/var/lib/apt").mkdir(parents=True)
        made.package("libold", {f"/usr/lib/libold.so.1.{minor}": minor.encode()}, listed=["/usr/lib/libold.so.1"])
        made.at("/usr/lib/libold.so.1").symlink_to(f"libold.so.1.{minor}")
        return made

    source, base = machine("old", "2"), machine("new", "3")
    plan = plan_of(planned("libold").model_copy(update={"nearest": "2"}), additions=[])
    (tmp_path / "plan.json").write_text(plan.model_dump_json())
    (tmp_path / "dpkg.log").write_text("")
    apply(Job(str(base.root), str(overlay_scan(source).folder), str(tmp_path / "plan.json"), str(tmp_path / "dpkg.log"), []))
    assert base.at("/usr/lib/libold.so.1.3").read_bytes() == b"3"
    assert str(base.at("/usr/lib/libold.so.1").readlink()) == "libold.so.1.3"


def test_a_file_that_was_diverted_is_where_the_administrator_has_it(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    source.at("/usr/sbin/nginx").rename(source.at("/usr/sbin/nginx.real"))
    source.file("/usr/sbin/nginx", b"a wrapper", 0o755)
    source.file("/var/lib/dpkg/diversions", b"/usr/sbin/nginx\n/usr/sbin/nginx.real\n:\n/usr/sbin/none\n/usr/sbin/none.real\n:\n")
    before = base.at("/usr/sbin/nginx").read_bytes()
    outcome = run_pass(overlay_scan(source), base, "cloud")
    assert base.at("/usr/sbin/nginx").read_bytes() == b"a wrapper"
    assert base.at("/usr/sbin/nginx.real").read_bytes() == before
    assert not base.at("/usr/sbin/none.real").exists()
    assert outcome.diverted == 1
    assert outcome.lacking == []


def test_a_folder_that_the_scan_left_out_is_there_and_empty(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    source.file("/srv/volume/data", b"of a volume")
    source.at("/srv/volume").chmod(0o2750)
    report = source.scan("/srv/volume", choose=lambda report: lambda entry: pick(entry, set()))
    run_pass(report, base, "cloud")
    assert list(base.at("/srv/volume").iterdir()) == []
    assert stat.S_IMODE(base.at("/srv/volume").stat().st_mode) == 0o2750


def test_times_of_the_build_are_of_one_moment_and_those_of_the_source_its_own_however_late(source: Machine, base: Machine, tmp_path: Path) -> None:
    late = 4_000_000_000 * 10**9
    for path in ("/tmp", "/srv/www"):
        os.utime(source.at(path), ns=(late, late))
    report = overlay_scan(source)
    (tmp_path / "plan.json").write_text(plan_of(planned("nginx"), additions=["cloud"]).model_dump_json())
    (tmp_path / "dpkg.log").write_text("")
    os.utime(base.at("/usr/bin/cloud"), (1.2e9, 1.2e9))
    apply(Job(str(base.root), str(report.folder), str(tmp_path / "plan.json"), str(tmp_path / "dpkg.log"), ["cloud"], begun=1_600_000_000 * 10**9, epoch=1_700_000_000))
    assert base.at("/tmp").stat().st_mtime_ns == late, "left out, and the source's all the same"
    assert base.at("/srv/www").stat().st_mtime_ns == late
    assert base.at("/tmp/of-the-base").stat().st_mtime == 1.7e9, "below what the scan left out"
    assert base.at("/boot/vmlinuz-6.1").stat().st_mtime == 1.7e9
    assert base.at("/etc/machine-id").stat().st_mtime == 1.7e9
    assert base.at("/usr/bin/cloud").stat().st_mtime == 1.2e9, "older than the build: the package's own"
    assert deviating(base, report) == {}


def test_a_socket_is_there_again_with_its_owner_mode_and_time(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    os.mknod(source.at("/srv/socket"), stat.S_IFSOCK | 0o620)
    os.utime(source.at("/srv/socket"), (1.4e9, 1.4e9))
    report = overlay_scan(source)
    outcome = run_pass(report, base, "cloud")
    info = base.at("/srv/socket").lstat()
    assert (stat.S_ISSOCK(info.st_mode), stat.S_IMODE(info.st_mode), info.st_mtime) == (True, stat.S_IMODE(source.at("/srv/socket").lstat().st_mode), 1.4e9)
    assert outcome.lacking == []
    assert deviating(base, report) == {}


def test_settings_of_the_boot_come_along_with_files_of_boot_and_the_menu_is_made_again(
    source: Machine, base: Machine, run_pass: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(startup.inside, "run", lambda root, epoch, *argv: ran.append(argv))
    own = {"/etc/default/grub": b"GRUB_TIMEOUT=7\n", "/etc/default/grub.d/50-own.cfg": b"GRUB_CMDLINE_LINUX=quiet\n", "/boot/grub/custom.cfg": b"own", "/boot/notes": b"own"}
    for path, text in {**own, "/boot/vmlinuz-6.9-own": b"own", "/etc/crypttab": b"vault UUID=1 none\n"}.items():
        source.file(path, text)
    base.file("/etc/default/grub", b"of the base")
    base.file("/usr/sbin/grub-mkconfig")
    base.package("grub-common", {"/usr/sbin/grub-mkconfig": b""})
    report = overlay_scan(source)
    outcome = run_pass(report, base, "cloud", "grub-common")
    assert {path: base.at(path).read_bytes() for path in own} == own
    assert ran == [("grub-mkconfig", "-o", "/boot/grub/grub.cfg")]
    assert base.at(startup.GRUB_FILE).exists()
    assert not base.at("/boot/vmlinuz-6.9-own").exists()
    assert "/etc/crypttab" in outcome.translated


def test_without_a_source_that_has_a_say_in_it_the_boot_is_the_bases(source: Machine, base: Machine, run_pass: Callable[..., Outcome]) -> None:
    base.file("/etc/default/grub", b"of the base")
    run_pass(overlay_scan(source), base, "cloud")
    assert base.at("/etc/default/grub").read_bytes() == b"of the base"
    assert not base.at(startup.GRUB_FILE).exists()
