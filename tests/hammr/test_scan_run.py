"""`hammr scan run`, from the real client, over SSH, into a container on the bridge whose SSH port is published on 127.0.0.1."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as how
from cryptography.hazmat.primitives.asymmetric import rsa
from support.hammr import Hammr, Polls
from support.service import SCANS, Service, until
from support.sshhost import Cutter

from emulator.lab.lab import LiveSystem, lab_down, lab_up
from scanner.host.mirrors import debian_mirrors
from scanner.progress import Silent
from scanner.report import Report

pytestmark = [pytest.mark.hammr, pytest.mark.docker]
NAME = "hammr-debian12-under-test"
IMPOSTOR = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        heard = str(self.headers) + self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        open("/tmp/heard", "a").write(self.path + heard)
        self.send_response(200); self.end_headers(); self.wfile.write(b'{"proof": "' + b'0' * 64 + b'"}')
    do_GET = do_PUT = do_POST
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSystem]:
    """The live system of the lab that is made for hammr."""
    yield lab_up("hammr-debian12", debian_mirrors(), tmp_path_factory.mktemp("lab"), Silent(), name=NAME)
    lab_down(NAME)


@pytest.fixture
def scan(machine: LiveSystem) -> Callable[..., list[str]]:
    """The words of `scan run` of the machine."""
    port = dict(machine.ports)[22].rpartition(":")[2]

    def words(name: str, *more: str, password: str = "forgelet") -> list[str]:
        where = ["--ip", "127.0.0.1", "--scan-port", port, "--scan-login", "root", "--scan-password", password]
        return ["scan", "run", *where, "--name", name, *more]

    return words


def without_password(words: list[str]) -> list[str]:
    at = words.index("--scan-password")
    return words[:at] + words[at + 2 :]


def inside(script: str) -> str:
    done = subprocess.run(["docker", "exec", NAME, "sh", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout


def groups(service: Service) -> dict[str, Any]:
    """The scanned instances by name, as JSON tells them."""
    told = service.http.get(SCANS, params={"includeScans": "true"}).json()["scannedInstances"]["scannedInstance"]
    return {one["name"]: one for one in told}


def report(service: Service, scan: dict[str, Any]) -> Report:
    return Report(service.data / "scans" / str(scan["dbId"]))


def titles() -> list[str]:
    """The command lines of the container's processes."""
    pids = subprocess.run(["docker", "top", NAME, "-o", "pid"], capture_output=True, text=True, check=True).stdout.split()[1:]
    found = []
    for pid in pids:
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def test_a_scan_with_overlay_comes_home(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    with hammr.start(*scan("scan-one", "--overlay", "--exclude", "/usr/share/doc", "/var/cache")) as process:
        agents = until(lambda: [title for title in titles() if "/tmp/uforge-scan.bin hammr" in title], 60)
        said = hammr.finish(process)
    assert not any("forgelet" in agent for agent in agents), "that is the password"
    lines = [line.partition("... ")[2] for line in said.text.splitlines() if line.startswith("... ")]
    assert "Distribution:        Debian / 12 / x86_64" in lines
    assert f"        Node Name:   {NAME}" in lines
    assert f"Server URL: {service.origin}/api" in lines
    assert lines[lines.index("Testing connection to the service...") + 1].strip() == "SUCCESS!"
    assert "Scan successful" in said.text
    group = groups(service)["scan-one"]
    (one,) = group["scans"]["scan"]
    assert (group["overlayIncluded"], one["name"], one["status"]["complete"]) == (True, "scan-one Scan #1", True)
    assert one["exclude"] == ["/usr/share/doc", "/var/cache"]
    found = report(service, one)
    table = {entry.path: entry for entry in found.files()}
    digests = dict(reversed(line.split(maxsplit=1)) for line in inside("sha256sum /etc/motd /srv/notes/readme /usr/bin/python3.11").splitlines())
    assert {path: table[path].sha256 for path in digests} == digests
    assert (table["/usr/share/doc"].state, table["/usr/share/doc"].reason) == ("excluded", "user")
    listed = subprocess.run(["tar", "--zstd", "-tf", str(found.folder / "overlay.tar.zst")], capture_output=True, text=True, check=True).stdout.splitlines()
    assert "srv/notes/readme" in listed and "usr/bin/python3.11" not in listed
    assert inside("ls /tmp") == "", "the agent stays nowhere"
    assert not any("uforge" in title for title in titles())


def test_a_second_scan_of_the_name_is_its_second(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    inside("echo changed >> /srv/notes/readme")
    begun = time.monotonic()
    said = hammr(*scan("scan-one", "--overlay"))
    assert "Scan successful" in said.text
    first, second = groups(service)["scan-one"]["scans"]["scan"]
    assert (second["name"], second["status"]["complete"]) == ("scan-one Scan #2", True)
    before, after = ({e.path: e.sha256 for e in report(service, one).files()}["/srv/notes/readme"] for one in (first, second))
    assert before != after == inside("sha256sum /srv/notes/readme").split()[0]
    assert time.monotonic() - begun < 60


def test_a_simple_scan_under_an_overlay_name_is_refused_before_anything_happens(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    hammr(*scan("scan-one"), status=2)
    assert len(groups(service)["scan-one"]["scans"]["scan"]) == 2


def test_a_simple_scan_brings_no_contents(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    hammr(*scan("simple"))
    group = groups(service)["simple"]
    assert not group["overlayIncluded"]
    assert sorted(path.name for path in report(service, group["scans"]["scan"][0]).folder.iterdir()) == ["files.ndjson.zst", "head.json", "known.zst"]


def test_a_wrong_password_of_the_machine_leaves_no_scan(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    said = hammr(*scan("nobody", password="wrong"), status=2, traceback=True)
    assert "uthentication failed" in said.text
    assert "nobody" not in groups(service)


def test_an_exclude_that_is_no_path_fails_with_the_cause(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    said = hammr(*scan("relative", "--exclude", "srv/notes"))
    (one,) = groups(service)["relative"]["scans"]["scan"]
    assert one["status"]["error"] and "'srv/notes' is not an absolute path" in one["status"]["errorMessage"]
    assert "'srv/notes' is not an absolute path" in said.text


def test_the_password_is_asked_for_and_the_agent_is_put_where_it_was_wanted(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    before = inside("mkdir /srv/agent; stat -c %y /srv/agent")
    words = without_password(scan("asked", "-o", "--dir", "/srv/agent"))
    said = hammr(*words, typed="forgelet\n").text
    assert "Password for root@127.0.0.1" in said and "Scan successful" in said
    group = groups(service)["asked"]
    assert (group["overlayIncluded"], group["scans"]["scan"][0]["status"]["complete"]) == (True, True)
    assert inside("stat -c %y /srv/agent") != before, "something was there"
    assert inside("ls /srv/agent") == ""


def test_a_key_is_as_good_as_a_password(hammr: Hammr, service: Service, scan: Callable[..., list[str]], tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "id_rsa").write_bytes(key.private_bytes(how.Encoding.PEM, how.PrivateFormat.TraditionalOpenSSL, how.NoEncryption()))
    public = key.public_key().public_bytes(how.Encoding.OpenSSH, how.PublicFormat.OpenSSH).decode()
    inside(f"mkdir -p -m 700 /root/.ssh; echo '{public}' > /root/.ssh/authorized_keys")
    said = hammr(*without_password(scan("by-identity", "--identity-file", str(tmp_path / "id_rsa")))).text
    assert "Password" not in said and "Scan successful" in said
    assert groups(service)["by-identity"]["scans"]["scan"][0]["status"]["complete"]


def test_what_happens_to_the_job_is_what_hammr_sees(hammr: Hammr, service: Service, scan: Callable[..., list[str]]) -> None:
    service.fault("scan.inventory", "hang")
    with hammr.start(*scan("stopped")) as process:
        one = until(lambda: groups(service).get("stopped", {}).get("scans", {}).get("scan"), 60)[0]
        service.in_stage(one["jobId"], "scan.inventory")
        assert service.http.delete(f"/_forgelet/jobs/{one['jobId']}").status_code == 202
        hammr.finish(process)
    assert service.job(one["jobId"])["state"] == "cancelled"
    until(lambda: not any("uforge" in title for title in titles()))
    assert inside("ls /tmp") == ""


def test_ctrl_c_leaves_the_scan_to_its_agent(hammr: Hammr, service: Service, scan: Callable[..., list[str]], polls: Polls) -> None:
    service.fault("scan.inventory", "hang")
    said = hammr.interrupted(scan("left"), polls(r"scannedinstances/\d+/scans/\d+", "scan.inventory"))
    assert "Exiting command" in said.text
    (one,) = groups(service)["left"]["scans"]["scan"]
    assert service.job(one["jobId"])["state"] == "running"
    assert service.http.delete(f"/_forgelet/jobs/{one['jobId']}").status_code == 202
    assert service.ended(one["jobId"])["state"] == "cancelled"
    until(lambda: inside("ls /tmp") == "")


def test_ctrl_c_before_any_agent_reported_leaves_it_to_the_agent(hammr: Hammr, service: Service, scan: Callable[..., list[str]], polls: Polls) -> None:
    slow = service.http.post("/_forgelet/faults", json={"operation": "POST /agent/scans", "action": "slow", "delay": 15})
    assert slow.status_code == 201, slow.text
    with hammr.start(*scan("unseen")) as process:
        until(lambda: service.http.get(f"/_forgelet/faults/{slow.json()['dbId']}").json()["hits"], 60)
        until(polls("scannedinstances"))
        assert "unseen" not in groups(service)
        hammr.interrupt(process)
        said = hammr.finish(process)
    assert "Searching scan on uforge" in said.text and "Exiting command" in said.text
    until(lambda: "unseen" in groups(service) and groups(service)["unseen"]["scans"]["scan"][0]["status"]["complete"], 60)
    until(lambda: inside("ls /tmp") == "")


def test_api_keys_are_all_that_an_agent_needs(anybody: Callable[..., Hammr], service: Service, scan: Callable[..., list[str]]) -> None:
    key = service.http.post("/_forgelet/users/root/keys").json()
    said = anybody("-u", "root", "-k", key["publicKey"], "-s", key["secretKey"])(*scan("by-key"))
    assert "SUCCESS!" in said.text
    assert groups(service)["by-key"]["scans"]["scan"][0]["status"]["complete"]


def test_a_supervisor_scans_for_another(anybody: Callable[..., Hammr], service: Service, scan: Callable[..., list[str]]) -> None:
    assert service.http.post("/_forgelet/users", json={"login": "alice", "password": "wonderland"}).status_code == 201
    said = anybody("-u", "root\\alice", "-p", "forgelet")(*scan("for-alice"))
    assert "SUCCESS!" in said.text and "User: alice" in said.text
    told = service.http.get("/api/users/alice/scannedinstances", params={"includeScans": "true"}, auth=("alice", "wonderland")).json()
    (one,) = told["scannedInstances"]["scannedInstance"]
    assert one["name"] == "for-alice" and one["scans"]["scan"][0]["status"]["complete"]
    assert "for-alice" not in groups(service)


def test_hammr_hears_of_a_service_that_the_machine_cannot_reach_and_nobody_else_hears_the_password(
    hammr_folder: Path, scan: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "FORGELET_AGENT_WAIT", "6")
    service = Service(tmp_path / "data")
    try:
        port = service.origin.rpartition(":")[2]
        subprocess.run(["docker", "exec", "-d", NAME, "python3", "-c", IMPOSTOR, port], check=True)
        until(lambda: f":{int(port):04X} " in inside("cat /proc/net/tcp"))
        hammr = Hammr(hammr_folder, tmp_path / "home", f"{service.origin}/api", ["-a", f"{service.origin}/api", "-u", "root", "-p", "forgelet"])
        said = hammr(*scan("lost"))
        assert "FAILED!" in said.text and "cannot prove" in said.text
        heard = inside("cat /tmp/heard; rm /tmp/heard")
        assert "/api/agent/hello" in heard and "authorization" not in heard.lower() and "forgelet" not in heard
        (one,) = groups(service)["lost"]["scans"]["scan"]
        assert one["status"]["error"] and f"could not reach {service.origin}/api" in one["status"]["errorMessage"]
        assert f"could not reach {service.origin}/api" in said.text
    finally:
        service.close()
        inside("kill $(grep -l http.server /proc/[0-9]*/cmdline | grep -v self | cut -d/ -f3 | head -1)")


def direct(service: Service, machine: LiveSystem, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The agent without hammr, where the service is on loopback anyway: in a container with host networking, read-only."""
    binary = folder / "uforge-scan.bin"
    binary.write_bytes(service.http.get("/resources/uforge-scan.bin").content)
    binary.chmod(0o755)
    run = ["docker", "run", "--rm", "--network", "host", "--read-only", "-v", f"{folder}:/agent:ro", machine.image, "/agent/uforge-scan.bin"]
    return subprocess.run([*run, "-u", "root", *words], capture_output=True, text=True, check=False, timeout=120)


def test_the_agent_on_the_host_s_network_and_without_hammr(service: Service, machine: LiveSystem, tmp_path: Path) -> None:
    url = f"{service.origin}/api"
    probed = direct(service, machine, tmp_path, "-U", url, "-p", "wrong", "-P")
    assert probed.returncode == 1 and "the login or the password is wrong" in probed.stdout
    done = direct(service, machine, tmp_path, "-U", url, "-p", "forgelet", "-n", "direct")
    assert done.returncode == 0, done.stderr
    (one,) = groups(service)["direct"]["scans"]["scan"]
    assert one["status"]["complete"]
    assert report(service, one).head.system.version == "12"


@pytest.fixture
def hosted(machine: LiveSystem) -> Iterator[int]:
    """The port of an SSH server in a container that has no network of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    name = f"forgelet-test-{uuid.uuid4().hex[:8]}"
    serve = f"mkdir -p /run/sshd; exec /usr/sbin/sshd -D -e -p {port} -o ListenAddress=127.0.0.1"
    subprocess.run(["docker", "run", "--detach", "--rm", "--name", name, "--label", "forgelet.test=1", "--network", "host", machine.image, "sh", "-c", serve], check=True, capture_output=True)
    until(lambda: b"SSH" in _greeting(port))
    yield port
    subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def _greeting(port: int) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as heard:
            return heard.recv(64)
    except OSError:
        return b""


def test_a_container_on_the_host_s_network_is_scanned_by_hammr(hammr: Hammr, service: Service, hosted: int) -> None:
    where = ["--ip", "127.0.0.1", "--scan-port", str(hosted), "--scan-login", "root", "--scan-password", "forgelet"]
    said = hammr("scan", "run", *where, "--name", "hosted").text
    assert "SUCCESS!" in said and "Scan successful" in said
    (one,) = groups(service)["hosted"]["scans"]["scan"]
    assert one["status"]["complete"]
    assert {"openssh-server", "python3"} <= {package.name for package in report(service, one).head.packages}


def test_a_connection_that_is_cut_loses_nothing(service: Service, machine: LiveSystem, tmp_path: Path) -> None:
    cutter = Cutter(int(service.origin.rpartition(":")[2]), 4000)
    try:
        done = direct(service, machine, tmp_path, "-U", f"http://127.0.0.1:{cutter.port}/api", "-p", "forgelet", "-n", "cut", "-o")
    finally:
        cutter.close()
    assert done.returncode == 0, done.stderr
    assert cutter.cut
    (one,) = groups(service)["cut"]["scans"]["scan"]
    assert one["status"]["complete"]
    archive = report(service, one).folder / "overlay.tar.zst"
    assert "srv/notes/readme" in subprocess.run(["tar", "--zstd", "-tf", str(archive)], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_migration_launched_by_the_client_takes_the_scan_that_its_agent_reports(hammr: Hammr, service: Service, machine: LiveSystem) -> None:
    """The build is made to fail, so that no disk is made: what it was asked for is seen."""
    port = dict(machine.ports)[22].rpartition(":")[2]
    (hammr.home / "m.yml").write_text(
        f"""---
migration:
  name: by-hammr
  os: linux
  source: {{host: 127.0.0.1, ssh-port: {port}, user: root, password: forgelet, overlay: true, exclude: [/usr/share/doc]}}
  target:
    builder: {{type: OpenStack QCOW2, account: {{name: local}}, displayName: moved, tenantName: demo}}
"""
    )
    service.fault("build.plan", "fail")
    hammr("migration", "launch", "--file", str(hammr.home / "m.yml"))
    migrations = "/api/users/root/migrations"
    [made] = service.http.get(migrations).json()["migrations"]["migration"]
    until(lambda: service.http.get(f"{migrations}/{made['dbId']}").json()["state"] != "running", 90)
    told = service.http.get(f"{migrations}/{made['dbId']}").json()
    assert (told["state"], told["stage"], told["stageList"]) == ("failed", "build", ["scan", "rehearse", "build", "publish"]), told
    assert "a fault was set" in told["status"]["errorMessage"]
    (one,) = groups(service)["by-hammr"]["scans"]["scan"]
    assert (one["dbId"], one["exclude"], one["status"]["complete"]) == (told["made"]["scan"], ["/usr/share/doc"], True)
    image = service.http.get(f"/api/users/root/images/{told['made']['build']}").json()
    assert image["targetFormat"]["name"] == "OpenStack QCOW2" and image["installProfile"]["diskSize"] > 500
    assert "by-hammr" in hammr("migration", "list").text
    hammr("migration", "delete", "--id", str(made["dbId"]), "--no-confirm")
    assert service.http.get(migrations).json() == {"migrations": {"migration": []}}
    assert "by-hammr" in groups(service), "what it made stays"
