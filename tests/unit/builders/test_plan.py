"""What is decided before anything is touched: the size that is needed, what is refused, the unit for a container's command."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from builders import plan as plans
from builders.additions import ADDED
from builders.archive import PackageId
from builders.plan import Verdict, command_unit, make_plan, supported, system_accounts
from builders.spec import BuilderSpec
from scanner.errors import UserError
from scanner.report import Container, FileEntry, Group, Package, Service, System, User

from .conftest import WriteReport, entry, head_of


def spec(disk_size: int, line: int) -> BuilderSpec:
    return BuilderSpec("openstack", disk_size, 1024, line=line)


@pytest.mark.parametrize(
    ("system", "said"),
    [
        (System(distribution="Ubuntu", version="22.04", codename="jammy", package_arch="amd64"), "Ubuntu 22.04"),
        (System(distribution="Debian", version="12", codename="bookworm", package_arch="arm64"), "arm64"),
        (System(distribution="Debian", version="12", package_arch="amd64"), "Debian 12"),
        (System(), "unknown"),
    ],
)
def test_systems_that_cannot_be_built_are_refused_by_name(system: System, said: str) -> None:
    head = head_of(system=system)
    with pytest.raises(UserError, match=said):
        supported(head)


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


OFFERED = {
    PackageId("nginx", "amd64", "1.22"),
    PackageId("dbus", "amd64", "1.14"),
    PackageId("older", "amd64", "1.9"),
    PackageId("older", "amd64", "2.5"),
    PackageId("older", "amd64", "3.0"),
    PackageId("newer", "amd64", "1.0"),
    PackageId("newer", "amd64", "1:0.1~rc1"),
}


class FakeArchive:
    def refresh(self) -> None:
        pass

    def offers(self) -> set[PackageId]:
        return OFFERED


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No repository offers `local`, which the scan brought whole; no archive is asked."""
    monkeypatch.setattr(plans, "archive_of", lambda head, cache, **about: FakeArchive())
    monkeypatch.setattr(plans, "captured", lambda scan: {"local"})


@pytest.mark.usefixtures("offline")
def test_every_installed_package_has_a_verdict(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=PACKAGES), spec(2000, 1), tmp_path)
    assert {p.name: p.verdict for p in plan.packages} == {"nginx": Verdict.ARCHIVE, "local": Verdict.REPACK, "dbus": Verdict.ARCHIVE}
    assert {p.name: (p.hold, p.auto) for p in plan.packages} == {"nginx": (True, False), "local": (False, True), "dbus": (False, False)}


@pytest.mark.usefixtures("offline")
def test_removed_packages_are_planned_where_the_scan_could_bring_what_dpkg_keeps_of_them(write_report: WriteReport, tmp_path: Path) -> None:
    assert [one.name for one in make_plan(write_report(packages=PACKAGES), spec(2000, 1), tmp_path).removed] == ["gone"]
    assert make_plan(write_report(packages=PACKAGES, overlay=False), spec(2000, 1), tmp_path).removed == []


GONE = [Package(name=name, version=version, arch="amd64") for name, version in (("older", "2.1"), ("newer", "9:1"), ("nowhere", "1"))]


@pytest.mark.usefixtures("offline")
def test_exactly_what_cannot_be_had_exactly_is_absent(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=[*PACKAGES, *GONE]), spec(2000, 1), tmp_path)
    assert {p.name for p in plan.packages if p.verdict is Verdict.ABSENT} == {"older", "newer", "nowhere"}
    assert plan.substitutes == []
    assert not plan.lenient


@pytest.mark.usefixtures("offline")
def test_the_nearest_version_is_the_next_one_and_else_the_last_one(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=[*PACKAGES, *GONE]), replace(spec(2000, 1), packages="nearest"), tmp_path)
    assert {p.name: (p.verdict, p.version, p.nearest) for p in plan.packages if p.name in ("older", "newer", "nowhere")} == {
        "older": (Verdict.NEAREST, "2.1", "2.5"),
        "newer": (Verdict.NEAREST, "9:1", "1:0.1~rc1"),
        "nowhere": (Verdict.ABSENT, "1", ""),
    }
    assert {p.name: p.id.version for p in plan.packages if p.name in ("older", "nginx")} == {"older": "2.5", "nginx": "1.22"}
    assert [(one.item, "2.1" in one.reason) for one in plan.substitutes] == [("older=2.5", True), ("newer=1:0.1~rc1", False)]
    assert plan.not_brought == {"packages": 1}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("captured", "verdict"), [(True, Verdict.REPACK), (False, Verdict.ABSENT)])
def test_a_package_of_which_dpkg_has_a_record_and_no_list_of_files_is_packed_without_any(
    write_report: WriteReport, tmp_path: Path, captured: bool, verdict: Verdict
) -> None:
    packages = [*PACKAGES, Package(name="bare", version="1", arch="all", manager="dpkg"), Package(name="older", version="2.1", arch="amd64", manager="dpkg")]
    report = write_report([entry("/var/lib/dpkg/info/older:amd64.list", state="unmanaged")], packages=packages)
    if captured:
        # dpkg's status, where its record is, is in there.
        (report.folder / "foreign.tar.zst").touch()
    found = {p.name: p.verdict for p in make_plan(report, spec(2000, 1), tmp_path).packages}
    assert (found["bare"], found["older"]) == (verdict, Verdict.ABSENT)


@pytest.mark.usefixtures("offline")
def test_replicating_takes_nothing_from_a_repository(write_report: WriteReport, tmp_path: Path) -> None:
    plan = make_plan(write_report(packages=PACKAGES), replace(spec(2000, 1), strategy="replicate"), tmp_path)
    assert {p.name: p.verdict for p in plan.packages} == {"nginx": Verdict.ABSENT, "local": Verdict.REPACK, "dbus": Verdict.ABSENT}


@pytest.mark.parametrize(("rows", "merged"), [([entry("/bin", "symlink", target="usr/bin")], True), ([entry("/bin", "directory")], False), ([], True)])
def test_the_layout_of_usr_is_the_sources(write_report: WriteReport, rows: list[FileEntry], merged: bool) -> None:
    assert plans.merged_usr(write_report(rows)) is merged


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
