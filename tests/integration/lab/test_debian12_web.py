"""debian12-web on the real Docker engine: every property that it promises, established by tools that are not ours."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.lab import lab as module
from emulator.lab.lab import LiveSystem, lab_down, lab_list, lab_up
from emulator.lab.system import find_system
from scanner.errors import NotFound, UserError
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent

SYSTEM = "debian12-web"
NAME = "debian12-web-under-test"
"""Not the name that people and other tests use: theirs is left alone."""

pytestmark = pytest.mark.docker


def up(work: Path) -> tuple[LiveSystem, list[str]]:
    """Put it up; the system, and the stages that it took."""
    progress = Silent()
    return lab_up(SYSTEM, debian_mirrors(), work, progress, name=NAME), progress.stages


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def system(work: Path) -> Iterator[LiveSystem]:
    """The live system, up; down again at the end."""
    yield up(work)[0]
    lab_down(NAME)


def docker(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["docker", *argv], capture_output=True, check=False)


def inside(script: str) -> str:
    """What a shell script says inside; bytes that are no text are kept as surrogates."""
    done = docker("exec", NAME, "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="surrogateescape").strip()


def test_the_changed_page_is_served_on_loopback_only(system: LiveSystem) -> None:
    with urllib.request.urlopen(system.url, timeout=10) as answer:
        page = answer.read()
    assert b"Press hall" in page
    assert page.decode().strip() == inside("cat /var/www/html/index.html")
    assert all(outside.startswith("127.0.0.1:") for _, outside in system.ports)


def test_the_app_serves_its_data_as_its_own_user(system: LiveSystem) -> None:
    with urllib.request.urlopen(system.url + "ledger/2025/12.csv", timeout=10) as answer:
        assert b"2025-12-22,5.75,string" in answer.read()
    assert inside("ps -o user= -C ledgerd || ps -eo user=,args= | grep [l]edgerd").split()[0] == "ledger"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(". /etc/os-release; echo $VERSION_CODENAME", "bookworm", id="debian 12"),
        pytest.param("getent passwd mira | cut -d: -f3,6", "1500:/home/mira", id="a user with a home"),
        pytest.param("getent shadow mira | cut -d: -f2 | cut -c1-3", "$6$", id="a password hash"),
        pytest.param("id -nG mira", "mira staff press", id="supplementary groups"),
        pytest.param("readlink /etc/systemd/system/multi-user.target.wants/ledger.service", "/etc/systemd/system/ledger.service", id="the app is enabled"),
        pytest.param("ls /etc/systemd/system/multi-user.target.wants | grep -cE '^(nginx|ssh|cron).service$'", "3", id="packaged services are enabled"),
        pytest.param("test -x /opt/ledger/bin/ledgerd && ls /srv/ledger/2025", "11.csv\n12.csv", id="an app and its data"),
        pytest.param("stat -c %U /etc/cron.d/ledger && cut -d' ' -f6 /etc/cron.d/ledger | tail -1", "root\nledger", id="a cron file"),
        pytest.param("dpkg-query -W -f '${Version} ${db:Status-Status}' press-ledger", "1.4-2 installed", id="a package of its own"),
        pytest.param("dpkg-query -W -f '${Conffiles}' press-ledger | awk '{print $1}'", "/etc/press-ledger/ledger.conf", id="its conffile"),
        pytest.param("press-ledger total", "104.75", id="its program works"),
        pytest.param("apt-mark showhold", "nginx-light", id="a held package"),
        pytest.param("apt-mark showauto | grep -x bc", "bc", id="a dependency marked automatic"),
        pytest.param("stat -c '%a %U:%G' /usr/local/sbin/press-whoami", "4750 root:press", id="a setuid file"),
        pytest.param("getcap /usr/local/bin/ledger-cat", "/usr/local/bin/ledger-cat cap_dac_read_search=ep", id="a file capability"),
        pytest.param("stat -c '%h %i' /srv/ledger/last.csv /srv/ledger/2025/12.csv /srv/ledger/closed/2025-12.csv | uniq | cut -d' ' -f1", "3", id="hardlinks"),
        pytest.param("cat /.forge-site | head -1", "site=press-hall", id="a dotfile in /"),
        pytest.param("head -c 10 /root/x.log; echo; tail -1 /var/log/app/ledger", "2025-12-31\n2026-02-03T04:05:06 closed 2025-12", id="logs worth keeping"),
        pytest.param("getfacl -cp /srv/ledger/2025/11.csv | grep -E '^(user:mira|group:staff)'", "user:mira:rw-\ngroup:staff:r--", id="an ACL"),
        pytest.param("getfacl -cp /srv/ledger/2025 | grep default:user:mira", "default:user:mira:rwx", id="a default ACL"),
        pytest.param("getfattr --only-values -n user.origin /srv/ledger/2025/11.csv", "press hall", id="a user xattr"),
        pytest.param("getfattr -n user.raw -e hex /home/mira/notes 2>/dev/null | grep user.raw", "user.raw=0x00ff0a22", id="a user xattr that is no text"),
        pytest.param("find /var/lib/apt/lists -type f ! -name lock | wc -l", "0", id="no package lists"),
        pytest.param("command -v python3 systemctl || echo neither", "neither", id="neither python nor an init"),
    ],
)  # fmt: skip
def test_it_looks_lived_in(system: LiveSystem, script: str, expected: str) -> None:
    assert inside(script) == expected


def test_dpkg_finds_exactly_the_changes_that_were_made(system: LiveSystem) -> None:
    # dpkg -V ends with status 1 when it finds any; `--verify` marks conffiles with a c.
    found = docker("exec", NAME, "dpkg", "--verify").stdout.decode().splitlines()
    assert sorted((line[12:].strip(), line.startswith("missing"), line[10] == "c") for line in found) == [
        ("/etc/nginx/nginx.conf", False, True),
        ("/etc/nginx/sites-available/default", False, True),
        ("/usr/share/doc/adduser/TODO", True, False),
        ("/usr/share/nginx/html/index.html", False, False),
    ]


def test_a_sparse_file_has_holes(system: LiveSystem) -> None:
    size, blocks = map(int, inside("stat -c '%s %b' /srv/ledger/store.img").split())
    assert size == 64 << 20
    assert 0 < blocks * 512 < 1 << 20


def test_names_that_are_not_text_are_there(system: LiveSystem) -> None:
    names = inside("find /home/mira/notes -print0").split("\0")
    assert {n.removeprefix("/home/mira/notes/") for n in names} >= {
        "caf\udce9.txt",
        "d\udce9j\udce0 vu/\udcff\udcfe bytes",
        'a "quoted"\nname',
    }


def test_the_mirrors_are_those_of_this_machine(system: LiveSystem) -> None:
    lines = [line for line in inside("cat /etc/apt/sources.list").splitlines() if line]
    assert lines[0] == f"deb {debian_mirrors().archive} bookworm main"


def test_nothing_is_written_while_idle(system: LiveSystem) -> None:
    assert inside("touch /run/before; cat /proc/loadavg > /dev/null; find / -xdev -newer /run/before ! -path '/run/*'") == ""


def test_up_again_changes_nothing(system: LiveSystem, work: Path) -> None:
    again, stages = up(work)
    assert (again.container, again.ports, stages) == (system.container, system.ports, [])


def test_a_stopped_one_is_started_again_with_its_services(system: LiveSystem, work: Path) -> None:
    assert docker("stop", "-t", "2", NAME).returncode == 0
    again, _ = up(work)
    assert again.container == system.container
    with urllib.request.urlopen(again.url + "ledger/", timeout=10) as answer:
        assert b"2025/11.csv" in answer.read()


def test_it_is_listed_with_what_could_be_put_up(system: LiveSystem) -> None:
    assert [s.status for s in lab_list() if s.name == NAME] == ["running"]
    assert SYSTEM in {s.system for s in lab_list()}


def test_down_leaves_no_container_and_up_makes_it_again_without_building(system: LiveSystem, work: Path) -> None:
    lab_down(NAME)
    assert docker("inspect", NAME).returncode != 0
    with pytest.raises(NotFound):
        lab_down(NAME)
    again, stages = up(work)
    assert again.status == "running"
    assert "bootstrap" not in stages


def test_a_failure_in_the_middle_leaves_no_container(system: LiveSystem, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = work / "recipe" / SYSTEM
    broken.mkdir(parents=True)
    recipe = find_system(SYSTEM)
    (broken / "live.sh").write_text("echo no such luck >&2; exit 9")
    (broken / "system.toml").write_text((recipe.folder / "system.toml").read_text())
    lab_down(NAME)
    image = docker("images", "-q", f"forgelet/{SYSTEM}").stdout.decode().split()[0]
    fallen = replace(recipe, folder=broken)
    monkeypatch.setattr(module, "find_system", lambda _: fallen)
    monkeypatch.setattr(module, "ensure_image", lambda *_: image)
    with pytest.raises(Exception, match="no such luck"):
        up(work)
    assert docker("inspect", NAME).returncode != 0
    monkeypatch.undo()
    up(work)


def test_a_foreign_container_of_that_name_is_left_alone(system: LiveSystem, work: Path) -> None:
    lab_down(NAME)
    image = docker("images", "-q", f"forgelet/{SYSTEM}").stdout.decode().split()[0]
    assert docker("create", "--name", NAME, "--label", "forgelet=0", image, "true").returncode == 0
    try:
        for deed in (lambda: up(work), lambda: lab_down(NAME)):
            with pytest.raises(UserError, match="not made by Forgelet"):
                deed()
        assert docker("inspect", NAME).returncode == 0
    finally:
        docker("rm", "-f", NAME)
    up(work)
