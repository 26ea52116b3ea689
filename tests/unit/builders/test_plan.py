"""What is decided before anything is touched: the size that is needed, what is refused, the unit for a container's command."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from builders import plan as plans
from builders.archive import PackageId
from builders.errors import SpecError
from builders.plan import ADDED, Verdict, check, command_unit, make_plan, needed_mib, supported, system_accounts
from builders.spec import BuilderSpec
from scanner.errors import UserError
from scanner.report import Container, Group, Package, Service, System, User

from .conftest import WriteReport, entry, head_of

MIB = 2**20


def test_an_empty_system_needs_what_is_added_and_a_reserve(write_report: WriteReport) -> None:
    least = needed_mib(write_report())
    assert plans.ADDED_MIB + plans.RESERVE_MIB < least < (plans.ADDED_MIB + plans.RESERVE_MIB) * 1.1


@pytest.mark.parametrize(
    ("rows", "mib"),
    [
        ([entry("/a", size=100 * MIB)], 100),
        ([entry("/a", size=100 * MIB, hardlink="/a"), entry("/b", size=100 * MIB, hardlink="/a"), entry("/c", size=100 * MIB, hardlink="/a")], 100),
        ([entry("/a", size=9000 * MIB, extents=[[0, 60 * MIB], [8000 * MIB, 40 * MIB]])], 100),
        ([entry("/a", size=9000 * MIB, extents=[])], 0),
        ([entry("/a", size=100 * MIB, state="missing")], 0),
        ([entry("/a", size=100 * MIB, state="excluded")], 0),
        ([entry(f"/{number:05}", size=1) for number in range(25600)], 100 + 25600 * 256 / MIB),
        ([entry(f"/{number:05}", "directory") for number in range(25600)], 100 + 25600 * 256 / MIB),
        ([entry(f"/{number:05}", "symlink", size=30) for number in range(25600)], 25600 * 256 / MIB),
    ],
    ids=["plain", "hardlinks-once", "sparse-by-data", "all-hole", "missing", "excluded", "small-files-by-block", "folders-by-block", "links-by-inode"],
)
def test_the_needed_size_counts_what_lands_on_the_disk(write_report: WriteReport, rows: list[object], mib: float) -> None:
    more = needed_mib(write_report(rows)) - needed_mib(write_report())
    assert mib - 2 <= more <= mib * 1.06 + 2


def spec(disk_size: int, line: int) -> BuilderSpec:
    return BuilderSpec("openstack", disk_size, 1024, line=line)


def test_every_disk_that_is_too_small_is_named_with_its_line_and_the_size_that_would_do(write_report: WriteReport) -> None:
    report = write_report([entry("/a", size=500 * MIB)])
    least = needed_mib(report)
    with pytest.raises(SpecError) as caught:
        check(report, [spec(100, 6), spec(least, 12), spec(least - 1, 18)], "b.yml")
    assert caught.value.problems == (
        f"line 6, builders[0].installation.diskSize: 100 MiB is too small for the contents; {least} would do",
        f"line 18, builders[2].installation.diskSize: {least - 1} MiB is too small for the contents; {least} would do",
    )
    assert str(least) in caught.value.hint


def test_the_size_that_would_do_does(write_report: WriteReport) -> None:
    report = write_report([entry("/a", size=500 * MIB)])
    check(report, [spec(needed_mib(report), 1)], "b.yml")


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (System(distribution="Ubuntu", version="22.04", codename="jammy", package_arch="amd64"), "Ubuntu 22.04"),
        (System(distribution="Debian", version="12", codename="bookworm", package_arch="arm64"), "arm64"),
        (System(distribution="Debian", version="12", package_arch="amd64"), "Debian 12"),
        (System(), "unknown"),
    ],
)
def test_systems_that_cannot_be_built_are_refused_by_name(write_report: WriteReport, system: System, said: str) -> None:
    head = head_of(system=system)
    with pytest.raises(UserError, match=said):
        supported(head)
    with pytest.raises(UserError, match=said):
        check(write_report(head=head), [spec(9999, 1)], "b.yml")


def test_debian_on_amd64_is_supported() -> None:
    supported(head_of())


# The container's own command.


def unit_of(*argv: str, services: list[Service] | None = None, entrypoint: list[str] | None = None, **container: object) -> str | None:
    box = Container.model_validate({"entrypoint": entrypoint or [], "command": list(argv), **container})
    head = head_of(services=services or [])
    head.system.container = box
    return command_unit(head)


def keys(unit: str | None) -> dict[str, list[str]]:
    """Key -> values of the unit's [Service] section; the unit's sections must be the three of a service."""
    assert unit is not None
    found: dict[str, list[str]] = {}
    sections = [line for line in unit.splitlines() if line.startswith("[")]
    assert sections == ["[Unit]", "[Service]", "[Install]"]
    for line in unit.split("[Service]\n")[1].split("\n\n")[0].splitlines():
        key, _, value = line.partition("=")
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(
    "argv",
    [
        ["sh"],
        ["/bin/bash"],
        ["dash"],
        ["sleep", "infinity"],
        ["/usr/bin/tail", "-f", "/dev/null"],
        ["/sbin/init"],
        ["/lib/systemd/systemd", "--system"],
    ],
)
def test_what_only_keeps_a_container_open_is_no_service(argv: list[str]) -> None:
    assert unit_of(*argv) is None


def test_a_machine_that_was_no_container_has_no_command() -> None:
    assert command_unit(head_of()) is None
    assert unit_of() is None


@pytest.mark.parametrize(
    ("state", "exec", "there"),
    [
        ("enabled", "/usr/sbin/nginx -g 'daemon on; master_process on;'", False),
        ("enabled", "-/usr/sbin/nginx", False),
        ("disabled", "/usr/sbin/nginx", True),
        ("masked", "/usr/sbin/nginx", True),
        ("enabled", "/usr/sbin/nginx-exporter", True),
        ("enabled", "", True),
    ],
)
def test_a_packaged_unit_that_starts_the_program_is_enough(state: str, exec: str, there: bool) -> None:
    services = [Service(name="nginx.service", state=state, exec=exec)]
    unit = unit_of("nginx", "-g", "daemon off;", services=services)
    assert (unit is not None) == there


def test_entrypoint_and_command_make_one_line_with_the_containers_surroundings() -> None:
    unit = unit_of(
        "--name",
        "two words",
        entrypoint=["/opt/app/run"],
        working_dir="/srv/100%",
        user="app",
        environment={"PATH": "/bin", "MODE": "live", "GREETING": "hi there", "PRICE": "5$ 100%", "KEY": "a$b"},
    )
    found = keys(unit)
    assert found["ExecStart"] == ['/opt/app/run --name "two words"']
    assert found["WorkingDirectory"] == ["/srv/100%%"]
    assert found["User"] == ["app"]
    # `$` means something on a command line and nothing in Environment= (systemd.exec(5)).
    assert found["Environment"] == ['"GREETING=hi there"', "KEY=a$b", "MODE=live", '"PRICE=5$ 100%%"']


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("100%", "100%%"),
        ("$HOME", "$$HOME"),
        ('say "hi"', '"say \\"hi\\""'),
        ("it's", '"it\'s"'),
        ("back\\slash", '"back\\\\slash"'),
        ("two\nlines", '"two\\nlines"'),
        (";", '";"'),
        ("tab\there", '"tab\there"'),
    ],
)
def test_words_of_the_command_are_quoted_for_systemd(word: str, written: str) -> None:
    assert keys(unit_of("/opt/run", word))["ExecStart"] == [f"/opt/run {written}"]


@pytest.mark.parametrize(
    ("user", "written"),
    [("", {}), ("root", {}), ("0", {}), ("0:0", {"Group": ["0"]}), ("app", {"User": ["app"]}), ("1000:1001", {"User": ["1000"], "Group": ["1001"]})],
)
def test_a_user_with_a_group_becomes_two_settings(user: str, written: dict[str, list[str]]) -> None:
    found = keys(unit_of("/opt/run", user=user))
    assert {key: found[key] for key in ("User", "Group") if key in found} == written


def test_the_unit_can_be_enabled_and_waits_for_the_network() -> None:
    unit = configparser.ConfigParser(interpolation=None)
    unit.read_string(unit_of("/opt/run") or "")
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert unit["Unit"]["After"] == "network-online.target"
    assert unit["Service"]["WorkingDirectory"] == "/"


# The whole plan.


PACKAGES = [
    Package(name="nginx", version="1.22", arch="amd64", hold=True),
    Package(name="local", version="1.0", arch="all", auto=True),
    Package(name="dbus", version="1.14", arch="amd64"),
    Package(name="gone", version="1.0", arch="amd64", status="config-files"),
]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository offers `local`; no archive is asked."""
    monkeypatch.setattr(plans, "foreign", lambda head, cache: {PackageId("local", "all", "1.0")})


@pytest.mark.usefixtures("offline")
def test_every_installed_package_has_a_verdict(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=PACKAGES), spec(2000, 1), tmp_path)
    assert {p.name: p.verdict for p in plan.packages} == {"nginx": Verdict.ARCHIVE, "local": Verdict.REPACK, "dbus": Verdict.ARCHIVE}
    assert {p.name: (p.hold, p.auto) for p in plan.packages} == {"nginx": (True, False), "local": (False, True), "dbus": (False, False)}


@pytest.mark.usefixtures("offline")
def test_a_simple_scan_says_what_it_could_not_bring(write_report: WriteReport, tmp_path: Path) -> None:
    rows = [
        entry("/", "directory"),
        entry("/etc/a", state="conffile-changed"),
        entry("/srv", "directory", state="unmanaged"),
        entry("/srv/x", state="unmanaged"),
        entry("/usr/bin/x", state="managed-changed"),
        entry("/usr/bin/y", state="missing"),
        entry("/tmp", "directory", state="excluded"),
    ]
    plan = make_plan(write_report(rows, packages=PACKAGES, overlay=False), spec(2000, 1), tmp_path)
    assert {p.name: p.verdict for p in plan.packages}["local"] == Verdict.ABSENT
    assert plan.not_brought == {"no overlay": 4}
    assert make_plan(write_report(rows, packages=PACKAGES), spec(2000, 1), tmp_path).not_brought == {}


@pytest.mark.usefixtures("offline")
def test_only_what_the_source_lacks_is_added_each_with_its_reason(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=PACKAGES), spec(2000, 1), tmp_path)
    assert {addition.item: addition.reason for addition in plan.additions} == {name: reason for name, reason in ADDED.items() if name != "dbus"}


@pytest.mark.usefixtures("offline")
def test_the_same_source_and_size_give_the_same_disk_and_others_do_not(write_report: WriteReport, tmp_path: Path) -> None:
    def ids(packages: list[Package], size: int) -> tuple[str, str]:
        plan = make_plan(write_report(packages=packages), spec(size, 1), tmp_path)
        return plan.filesystem, plan.disk_id

    first = ids(PACKAGES, 2000)
    assert ids(PACKAGES[::-1], 2000) == first
    for other in (ids(PACKAGES, 2001), ids(PACKAGES[1:], 2000)):
        assert not set(other) & set(first)
    assert len(first[1]) == 10 and int(first[1], 16)


@pytest.mark.usefixtures("offline")
def test_system_accounts_are_seeded_with_their_numbers_and_people_are_not(write_report: WriteReport, tmp_path: Path) -> None:
    users = [User(name="app", uid=105, gid=110, home="/srv", shell="/bin/sh", password="set")]  # noqa: S604
    users.append(User(name="anna", uid=1000, gid=1000))
    groups = [Group(name="app", gid=110, members=["anna"]), Group(name="anna", gid=1000), Group(name="nogroup", gid=65534)]
    seeded = system_accounts(make_plan(write_report(packages=PACKAGES, users=users, groups=groups), spec(2000, 1), tmp_path))
    assert seeded == {"passwd": "app:x:105:110::/srv:/bin/sh\n", "group": "app:x:110:\n", "shadow": "app:!:19000::::::\n", "gshadow": "app:!::\n"}
