"""An instance of the migrated machine in this machine's own cloud: reached with the injected key, and serving what the source serves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import paramiko
import pytest
from support.bench import EXAMPLE, Bench

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.libvirt, pytest.mark.dib]
BOOT = 420


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> paramiko.RSAKey:
    made = paramiko.RSAKey.generate(2048)
    folder = tmp_path_factory.mktemp("key")
    (folder / "id.pub").write_text(f"ssh-rsa {made.get_base64()} tester\n")
    made.folder = folder
    return made


@pytest.fixture(scope="module")
def deployment(bench: Bench, image: int, key: Any) -> Iterator[dict[str, Any]]:
    sent = bench.json("image", "publish", "--id", str(image), "--file", str(EXAMPLE), "--account", "local")
    assert (sent["status"]["complete"], sent["name"]) == (True, "scan-test")
    made = bench.json("deploy", "create", "--publish-id", str(sent["dbId"]), "--name", "copy-1", "--flavor", "f1.small", "--key", str(key.folder / "id.pub"), "--port", "80")
    yield made
    bench.cli("deploy", "terminate", made["applicationId"])
    assert bench.json("deploy", "list")["deployments"]["deployment"] == []
    bench.cli("image", "delete", "--publish-id", str(sent["dbId"]))
    assert list((bench.data / "cloud/images").iterdir()) == list((bench.data / "cloud/instances").iterdir()) == []


@pytest.fixture(scope="module")
def shell(deployment: dict[str, Any], key: Any) -> Iterator[paramiko.SSHClient]:
    """Logged in by the injected key, as soon as the guest lets us."""
    deadline = time.monotonic() + BOOT
    while True:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        try:
            client.connect("127.0.0.1", int(deployment["ports"]["22"]), "root", pkey=key, timeout=10, banner_timeout=30, auth_timeout=30, look_for_keys=False, allow_agent=False)
            break
        except (paramiko.SSHException, OSError):
            client.close()
            assert time.monotonic() < deadline, "the instance did not let us in"
            time.sleep(2)
    yield client
    client.close()


def said(shell: paramiko.SSHClient, command: str) -> str:
    _, out, _ = shell.exec_command(command, timeout=300)
    return out.read().decode().strip()


def test_cloud_init_gave_it_key_and_name(shell: paramiko.SSHClient) -> None:
    assert said(shell, "cloud-init status --wait >/dev/null; hostname") == "copy-1"
    assert "tester" in said(shell, "cat /root/.ssh/authorized_keys")
    assert said(shell, "cloud-id") == "configdrive"


def test_its_disk_has_grown_to_the_flavors(shell: paramiko.SSHClient) -> None:
    blocks, size = said(shell, "stat -f -c '%b %S' /").split()
    assert 9 << 30 < int(blocks) * int(size) <= 10 << 30


def test_it_serves_what_the_source_serves(shell: paramiko.SSHClient, deployment: dict[str, Any], bench: Bench, live_system: str) -> None:
    [system] = [one for one in bench.json("lab", "list") if one["name"] == live_system]
    source = httpx.get(system["url"], trust_env=False).content
    assert httpx.get(f"http://127.0.0.1:{deployment['ports']['80']}/", trust_env=False, timeout=60).content == source


def test_its_console_tells_of_the_boot(deployment: dict[str, Any], shell: paramiko.SSHClient, bench: Bench) -> None:
    console = bench.cli("deploy", "console", deployment["applicationId"])
    assert "Linux version" in console and "copy-1 login:" in console


def test_a_person_logs_in_by_the_command(deployment: dict[str, Any], shell: paramiko.SSHClient, bench: Bench, key: Any) -> None:
    key.write_private_key_file(str(key.folder / "id"))
    assert bench.cli("deploy", "ssh", deployment["applicationId"], "-i", str(key.folder / "id"), "hostname").strip() == "copy-1"
