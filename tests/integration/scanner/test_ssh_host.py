"""The SSH target against real sshds: every way in, every way to fail, connections cut at any byte, and nothing left behind."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import sshhost, truth
from support.drifting import Subject
from support.service import SCANS, Service
from support.sshhost import PASSWORD, Cutter, KeyPair, SshHost, key_pair, running

from scanner.errors import ForgeletError, StepFailed, Unreachable, UserError
from scanner.progress import Silent
from scanner.report import Report
from scanner.scan import scan
from scanner.targets import sshlink
from scanner.targets.access import Access
from scanner.targets.contract import CHECKS
from scanner.targets.docker import DockerTarget
from scanner.targets.ssh import SshTarget

pytestmark = pytest.mark.docker
Reach = Callable[..., SshTarget]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with sshhost.images(tmp_path_factory.mktemp("ssh")) as made:
        yield made


@pytest.fixture(scope="module")
def keys() -> KeyPair:
    return key_pair()


@pytest.fixture(scope="module")
def host(images: dict[str, str], keys: KeyPair) -> Iterator[SshHost]:
    with running(images["full"], keys.public) as up:
        yield up


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whose known_hosts is empty."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


@pytest.fixture
def reach(host: SshHost) -> Iterator[Reach]:
    made: list[SshTarget] = []

    def target(user: str = "root", *, at: SshHost | int | None = None, root: str = "/tree", **access: Any) -> SshTarget:
        port = at if isinstance(at, int) else (at or host).port
        made.append(SshTarget(f"{user}@127.0.0.1:{port}", Access(**{"acceptNewHostKey": True, **access}), root=root))
        return made[-1]

    yield target
    for one in made:
        one.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_target_keeps_the_contract(check: Any, reach: Reach, keys: KeyPair, tmp_path: Path) -> None:
    check(reach("nopass", identity=keys.private), tmp_path)


WAYS_IN = {
    "root by key": ("root", {"identity": "private"}),
    "root by password": ("root", {"password": PASSWORD}),
    "a locked key": ("root", {"identity": "locked", "passphrase": PASSWORD}),
    "sudo with the login's password": ("me", {"password": PASSWORD}),
    "a key, and sudo with a password": ("me", {"identity": "private", "sudoPassword": PASSWORD}),
    "sudo that does not ask, with a password": ("nopass", {"password": PASSWORD}),
    "a jump host": ("nopass", {"identity": "private", "jump": "me@127.0.0.1:{port}"}),
    "a jump host with a password of its own": ("root", {"identity": "private", "jump": "other@127.0.0.1:{port}", "jumpPassword": PASSWORD}),
    "the agent's file in the home": ("nopass", {"identity": "private", "dir": "/home/nopass"}),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_every_way_in_ends_in_a_look_as_root_and_leaves_nothing_there(way: str, host: SshHost, reach: Reach, keys: KeyPair) -> None:
    user, fields = WAYS_IN[way]
    said = {name: value.format(port=host.port) for name, value in fields.items()}
    if "identity" in said:
        said["identity"] = getattr(keys, said["identity"])
    target = reach(user, at=22 if "jump" in said else host, **said)
    with target.inventory([]) as stream:
        assert b'"path":"/etc/hello","type":"file"' in stream.read()
    target.close()
    host.settled()


def test_the_agent_of_who_runs_the_service_opens_the_host(host: SshHost, reach: Reach, keys: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    host.shell(f"eval $(ssh-agent -a /run/agent) >/dev/null; echo '{keys.private}' | ssh-add -q -")
    monkeypatch.setenv("SSH_AUTH_SOCK", f"{host.root}/run/agent")
    reach(agent=True).facts()
    with pytest.raises(UserError):
        reach().facts()


def test_the_key_file_of_who_runs_the_service_opens_the_host(reach: Reach, keys: KeyPair, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh/id_ed25519").write_text(keys.private)
    reach(agent=True).facts()
    with pytest.raises(UserError):
        reach().facts()


def test_a_scan_is_two_remote_commands_and_none_of_them_has_a_credential(host: SshHost, reach: Reach, tmp_path: Path) -> None:
    before = len(host.sessions())
    seen: list[str] = []

    def choose(report: Report) -> Any:
        seen.append(host.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"))
        return lambda entry: "overlay" if entry.path.startswith("/etc") else "foreign"

    report = scan(reach("me", password=PASSWORD), tmp_path / "out", Silent(), choose=choose)
    commands = host.sessions()[before:]
    assert [command.split()[0] for command in commands] == ["subsystem", "command"]
    assert "session" in seen[0]
    assert PASSWORD not in seen[0] + "".join(commands)
    assert sorted(path.name for path in report.folder.iterdir()) == ["files.ndjson.zst", "foreign.tar.zst", "head.json", "known.zst", "overlay.tar.zst"]


def test_the_whole_host_by_ssh_is_what_it_is_from_outside(host: SshHost, reach: Reach, keys: KeyPair, tmp_path: Path) -> None:
    def rows(target: Any, name: str) -> dict[str, str]:
        report = scan(target, tmp_path / name, Silent(), excludes=["/var/log", "/run", "/etc", "/root", "/home", "/noexec", "/small"])
        return {one.path: one.to_json() for one in report.files() if one.state != "excluded"}

    there = rows(reach(identity=keys.private, root="/"), "there")
    outside = rows(DockerTarget(host.name), "outside")
    assert len(there) > 5000
    assert there == outside


def test_what_drifts_on_a_host_is_found_by_ssh_to_the_last_field(
    images: dict[str, str], reach: Reach, keys: KeyPair, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # A host of its own: what drifts there may be what lets others in.
    with running(images["full"], keys.public) as host:
        _drifts(host, reach, keys, home, tmp_path_factory)


def _drifts(host: SshHost, reach: Reach, keys: KeyPair, home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (home / "key").write_text(keys.private)
    (home / "key").chmod(0o600)
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={home}/known", "-o", "LogLevel=ERROR"]
    login = truth.piped("ssh", "-i", str(home / "key"), *options, "-p", str(host.port), "root@127.0.0.1", "sh")
    system = truth.System(login, Path(host.root), ("/usr/lib", "/usr/bin", "/var/log", "/noexec", "/small"))


    def again() -> SshTarget:
        # The host's own keys may be what drifted: this is no test of them.
        (home / ".ssh/known_hosts").unlink(missing_ok=True)
        return reach(at=host.port, identity=keys.private, root="/")

    drifting = Subject("ssh", again, system, lambda: tmp_path_factory.mktemp("scan"))
    (drifted,) = drifting.drifts([301], 60)
    assert len(drifted.done.mutations) == 60
    drifted.check()


def test_a_host_that_is_not_known_is_refused_with_its_fingerprint_and_known_once_accepted(host: SshHost, reach: Reach, keys: KeyPair, home: Path) -> None:
    fingerprint = host.shell("ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    with pytest.raises(UserError, match="is not known") as caught:
        reach(identity=keys.private, acceptNewHostKey=False).facts()
    assert fingerprint in caught.value.message
    assert "--accept-new-host-key" in caught.value.hint
    reach(identity=keys.private).facts()
    reach(identity=keys.private, acceptNewHostKey=False).facts()
    known = (home / ".ssh/known_hosts").read_text()
    assert (home / ".ssh/known_hosts").stat().st_mode & 0o777 == 0o600
    assert fingerprint in host.shell(f"echo '{known}' > /run/known; ssh-keygen -F '[127.0.0.1]:{host.port}' -l -f /run/known")


def test_a_host_whose_key_changed_is_never_trusted(host: SshHost, reach: Reach, keys: KeyPair, home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{host.port} {key_pair().public.decode()}\n")
    with pytest.raises(UserError, match="has changed") as caught:
        reach(identity=keys.private).facts()
    assert f"ssh-keygen -R '[127.0.0.1]:{host.port}'" in caught.value.hint


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port at which something else than sshd answers."""
    import socket
    import threading

    listener = socket.create_server(("127.0.0.1", 0))

    def answer() -> None:
        try:
            while True:
                taken, _ = listener.accept()
                taken.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                taken.close()
        except OSError:
            return

    threading.Thread(target=answer, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def test_nowhere_to_go_is_told_apart(reach: Reach, deaf: int) -> None:
    with pytest.raises(Unreachable, match="no host 'no-such-host") as caught:
        SshTarget("root@no-such-host.invalid", Access(password="x")).facts()
    assert "--ip" in caught.value.hint
    with pytest.raises(Unreachable, match="nothing listens on port 1 ") as caught:
        reach(at=1, password="x").facts()
    assert "--scan-port" in caught.value.hint
    with pytest.raises(Unreachable, match="no SSH server") as caught:
        reach(at=deaf, password="x").facts()
    assert "--scan-port" in caught.value.hint


def test_a_host_that_never_says_a_word_is_given_up(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshlink, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        with pytest.raises(Unreachable, match=r"says nothing for 1 s|no SSH server") as caught:
            reach(at=mute.getsockname()[1], password="x").facts()
        assert "--scan-port" in caught.value.hint


def test_a_jump_host_that_leads_nowhere_says_so(host: SshHost, reach: Reach, keys: KeyPair) -> None:
    with pytest.raises(Unreachable, match="does not reach") as caught:
        reach(at=1, identity=keys.private, jump=host.place("me")).facts()
    assert "jump host" in caught.value.hint


NOT_LET_IN = {
    "a wrong password": ("root", {"password": "wrong"}, "does not let 'root' in with a password", "--scan-password"),
    "no such user": ("nobody-here", {"password": PASSWORD}, "does not let 'nobody-here' in", "--scan-login"),
    "another key": ("root", {"identity": key_pair().private}, "does not let 'root' in with a key", "--identity-file"),
    "nothing at all": ("root", {}, "nothing at all", "--identity-file"),
    "no key": ("root", {"identity": "rubbish"}, "no private key", "ssh-keygen -y"),
    "a locked key without its passphrase": ("root", {"identity": key_pair().locked}, "is locked", "passphrase"),
    "a locked key with another passphrase": ("root", {"identity": key_pair().locked, "passphrase": "wrong"}, "passphrase is wrong", "ssh-keygen -y"),
}


@pytest.mark.parametrize("case", NOT_LET_IN)
def test_who_is_not_let_in_learns_why(case: str, reach: Reach) -> None:
    user, fields, said, hint = NOT_LET_IN[case]
    with pytest.raises(UserError, match=said) as caught:
        reach(user, **fields).facts()
    assert hint in caught.value.hint
    assert "wrong" not in str(caught.value).replace("passphrase is wrong", "")


NO_AGENT = {
    "a user whom sudo does not know": ("nosudo", {"password": PASSWORD}, "sudo on .* refuses 'nosudo'", "visudo"),
    "a wrong password for sudo": ("me", {"password": PASSWORD, "sudoPassword": "wrong one"}, "does not take the password of 'me'", "--sudo-password"),
    "sudo wants a password and there is none": ("me", {"identity": ""}, "a password is required", "--sudo-password"),
    "a folder where programs may not run": ("root", {"password": PASSWORD, "dir": "/noexec"}, "noexec", "--dir"),
    "a folder that is full": ("root", {"password": PASSWORD, "dir": "/small"}, "no room", "df -h /small"),
    "a folder that is not there": ("root", {"password": PASSWORD, "dir": "/nowhere"}, "there is no folder /nowhere", "--dir"),
    "a folder of somebody else": ("me", {"password": PASSWORD, "dir": "/root"}, "me may not write into /root", "--dir"),
}


@pytest.mark.parametrize("case", NO_AGENT)
def test_every_way_not_to_start_is_its_own_error_and_leaves_nothing_there(case: str, host: SshHost, reach: Reach, keys: KeyPair) -> None:
    user, fields, said, hint = NO_AGENT[case]
    target = reach(user, **{**fields, **({"identity": keys.private} if "identity" in fields else {})})
    with pytest.raises(ForgeletError, match=said) as caught, target.inventory([]):
        pass
    assert hint in caught.value.hint
    assert "wrong one" not in str(caught.value) and PASSWORD not in str(caught.value)
    host.settled()


@pytest.mark.parametrize(("python", "said"), [("none", "no usable Python"), ("minimal", "No module named")])
def test_without_a_usable_python_it_says_what_to_install(images: dict[str, str], keys: KeyPair, reach: Reach, python: str, said: str) -> None:
    with running(images[python], keys.public) as bare:
        with pytest.raises(UserError, match=said) as caught, reach(at=bare, identity=keys.private).inventory([]):
            pass
        assert "apt-get install python3" in caught.value.hint
        bare.settled()


def test_without_sudo_and_without_root_it_says_so(images: dict[str, str], keys: KeyPair, reach: Reach) -> None:
    with running(images["none"], keys.public) as bare:
        bare.shell("rm /usr/bin/sudo")
        with pytest.raises(UserError, match="there is no sudo") as caught, reach("me", at=bare, identity=keys.private).inventory([]):
            pass
        assert "--scan-login root" in caught.value.hint
        bare.settled()


def test_without_sftp_it_says_so(host: SshHost, reach: Reach, keys: KeyPair) -> None:
    host.shell("printf 'Port 2200\\nPermitRootLogin yes\\n' > /run/bare.conf; /usr/sbin/sshd -f /run/bare.conf")
    with pytest.raises(StepFailed, match="has no SFTP") as caught, reach(at=2200, identity=keys.private, jump=host.place("me")).inventory([]):
        pass
    assert "Subsystem sftp" in caught.value.hint


@pytest.mark.parametrize("count", [0, 10, 700, 1500, 2600, 3200, 3600, 4000, 4400, 4800, 6000, 20_000, 200_000])
def test_a_connection_cut_at_any_byte_is_one_clear_error_and_leaves_nothing_on_either_side(count: int, host: SshHost, reach: Reach, keys: KeyPair, tmp_path: Path) -> None:
    cutter = Cutter(host.port, count)
    try:
        with pytest.raises(Unreachable) as caught:
            scan(reach("nopass", at=cutter.port, identity=keys.private, root="/"), tmp_path / "out", Silent())
    finally:
        cutter.close()
    assert caught.value.hint
    assert list((tmp_path / "out").iterdir()) == []
    host.settled()


FORGELET = [sys.executable, "-m", "cli.main"]


def test_the_command_line_scans_a_host_end_to_end(host: SshHost, keys: KeyPair, home: Path) -> None:
    service = Service(home / "data")
    try:
        (home / "key").write_text(keys.private)
        argv = [*FORGELET, "--url", f"{service.origin}/api", "scan", "run", "--ip", "127.0.0.1", "--scan-port", str(host.port), "--scan-login", "nopass"]
        first = subprocess.run([*argv, "--name", "x", "--identity-file", str(home / "key")], capture_output=True, text=True, check=False)
        assert first.returncode == 1
        assert "is not known" in first.stderr and "--accept-new-host-key" in first.stderr
        words = ["--name", "host", "--identity-file", str(home / "key"), "--accept-new-host-key", "-e", "/usr", "/var", "/etc"]
        done = subprocess.run([*argv, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        scans = service.http.get(SCANS, params={"includeScans": True}).json()["scannedInstances"]["scannedInstance"]
        assert [one["scans"]["scan"][0]["target"] for one in scans] == [f"ssh:nopass@127.0.0.1:{host.port}"]
        secret = keys.private.splitlines()[1].encode()
        for path in (home / "data").rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes(), path
    finally:
        service.close()


def test_a_connection_that_is_cut_fails_the_job_and_leaves_no_half_scan(host: SshHost, home: Path) -> None:
    service = Service(home / "data")
    # The service's own look at the login goes through as well: the cut comes in the job.
    cutter = Cutter(host.port, 150_000)
    try:
        body = {"name": "cut", "target": f"ssh:nopass@127.0.0.1:{cutter.port}", "overlay": True, "access": {"password": PASSWORD, "acceptNewHostKey": True}}
        scan_told = service.http.post(SCANS, json=body).json()
        job = service.ended(scan_told["jobId"])
        assert (job["state"], job["exitCode"]) == ("failed", 3), job
        assert "was lost" in job["error"] and job["hint"]
        assert not (service.data / "scans" / str(scan_told["dbId"])).exists()
        assert not (service.data / "jobs" / str(job["dbId"]) / "work").exists()
        host.settled()
    finally:
        cutter.close()
        service.close()
