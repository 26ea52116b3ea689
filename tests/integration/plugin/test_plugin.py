"""The pytest plugin, used as its users do: by a project of its own, in a pytest of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.project import DOCUMENTED, command, environment, left, project, run
from support.service import until


def test_scans_beside_packages_of_the_same_names_as_ours(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/greeting").write_text("hello")
    folder = project(
        tmp_path / "project",
        f"""
        import pytest

        def test_scan(forgelet):
            scan = forgelet.scan("directory:{tree}", overlay=False)
            assert forgelet.http.get("/api/users/root/scannedinstances").json()
            assert scan["status"]["complete"]

        def test_clean(forgelet_client):
            assert forgelet_client.get("/api/users/root/scannedinstances").json() == {{"scannedInstances": {{"scannedInstance": []}}}}

        @pytest.mark.forgelet(faults=["scan.inventory"])
        def test_fault(forgelet):
            with pytest.raises(AssertionError, match="(?s)failed in stage scan.inventory: a fault was set.*next: forgelet reset"):
                forgelet.scan("directory:{tree}", overlay=False)

        def test_no_fault_left(forgelet):
            forgelet.scan("directory:{tree}", overlay=False)

        def test_refusal(forgelet):
            with pytest.raises(AssertionError, match="(?s)there is no container.*next: forgelet scan targets"):
                forgelet.scan("docker:no such container")

        def test_hammr(hammr_env, forgelet):
            import pathlib, yaml
            told = yaml.safe_load(pathlib.Path(hammr_env["HOME"], ".hammr/credentials.yml").read_text())
            assert told["url"] == forgelet.url
            assert told["user"] == "root"
        """,
    )
    done = run(folder, "test_it.py")
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


def test_workers_have_a_service_each_and_leave_nothing(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "project",
        """
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_account(forgelet, number):
            accounts = "/api/users/root/accounts"
            before = len(forgelet.http.get(accounts).json()["credAccounts"]["credAccount"])
            made = forgelet.http.post(accounts, json={"name": f"n{number}", "targetPlatform": {"name": "openstack"}, "keystoneUrl": "http://127.0.0.1:1",
                "keystoneVersion": "v3", "glanceUrl": "http://127.0.0.1:1", "login": "x", "password": "y"})
            assert made.status_code == 201, made.text
            assert len(forgelet.http.get(accounts).json()["credAccounts"]["credAccount"]) == before + 1
        """,
    )
    done = run(folder, "-n", "4", "test_it.py")
    assert "6 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


def test_a_session_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "project",
        """
        import time

        def test_forever(forgelet):
            print(f"origin {forgelet.origin}", flush=True)
            time.sleep(600)
        """,
    )
    (folder / "tmp").mkdir()
    with subprocess.Popen(command("-s", "test_it.py"), cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout
        assert any(re.search(r"origin http://", line) for line in session.stdout)
        assert left(folder)
        session.send_signal(signal.SIGKILL)
    until(lambda: not left(folder), 40)


def test_the_same_tests_run_against_a_service_that_is_there(tmp_path: Path, service: str) -> None:
    folder = project(tmp_path / "project", "def test_origin(forgelet):\n    print(forgelet.origin, forgelet.data)\n")
    done = run(folder, "-s", f"--forgelet-url={service}/api", "test_it.py")
    assert f"{service} None" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


def test_the_examples_of_the_page(tmp_path: Path) -> None:
    """All but the whole migration, which tests/e2e runs."""
    examples = [block for block in DOCUMENTED if "assert_migrates" not in block]
    assert len(examples) == 4
    folder = project(tmp_path / "project", "\n".join(examples))
    done = run(folder, "test_it.py")
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


def test_the_mark_sets_the_service_up_for_one_test(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "project",
        """
        import pathlib, pytest

        SCANS = "/api/users/root/scannedinstances"

        @pytest.mark.forgelet(seed="shop.yml", clock="2030-05-01T12:00:00Z")
        def test_seeded(forgelet):
            (group,) = forgelet.http.get(SCANS).json()["scannedInstances"]["scannedInstance"]
            assert group["name"] == "tree"
            assert forgelet.http.get("/_forgelet/clock").json()["now"].startswith("2030-05-01T12:0")
            forgelet.step(3600)
            assert forgelet.http.get("/_forgelet/clock").json()["now"].startswith("2030-05-01T13:0")

        @pytest.mark.forgelet(seed=42, clock={"rate": 0}, faults=[{"operation": "images.index", "status": 503, "times": 2}])
        def test_determined(forgelet):
            assert forgelet.http.get("/_forgelet/ids").json()["seed"] == "42"
            assert forgelet.http.get("/_forgelet/clock").json()["rate"] == 0
            codes = [forgelet.http.get("/api/users/root/images").status_code for _ in range(3)]
            assert codes == [503, 503, 200]
            assert [one["status"] for one in forgelet.journal(operation="16", limit=3)] == codes

        def test_as_new(forgelet):
            assert forgelet.http.get(SCANS).json()["scannedInstances"]["scannedInstance"] == []
            assert forgelet.http.get("/_forgelet/clock").json()["set"] is False
            assert forgelet.http.get("/api/users/root/images").status_code == 200
        """,
    )
    tree = tmp_path / "tree"
    tree.mkdir()
    (folder / "shop.yml").write_text(f"scans: [{{name: tree, source: 'directory:{tree}'}}]\n")
    done = run(folder, "test_it.py")
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


def test_without_keystone_and_glance_the_tests_that_want_them_are_skipped_with_the_reason(tmp_path: Path) -> None:
    folder = project(tmp_path / "project", "def test_cloud(openstack):\n    pass\n")
    (folder / "pytest.ini").write_text(f"[pytest]\nforgelet_cache = {folder / 'cache'}\nforgelet_openstack = {folder}\n")
    done = run(folder, "-rs", "test_it.py")
    assert "1 skipped" in done.stdout
    assert "Keystone and Glance are not installed: pip install" in done.stdout


@pytest.mark.libvirt
def test_an_image_is_booted_published_to_a_real_glance_and_nothing_is_left(tmp_path: Path) -> None:
    tests = Path(__file__).parents[2]
    folder = project(
        tmp_path / "project",
        f"""
        import subprocess, sys, time

        class Driver:
            def __init__(self, forgelet):
                self.http, self.data, self._forgelet = forgelet.http, forgelet.data, forgelet

            def scan(self, tree, name):
                return self._forgelet.scan(f"directory:{{tree}}", name, overlay=False) | {{"jobId": 1}}

            def ended(self, job):
                return self._forgelet.wait(job)

        def test_boot(forgelet, booted_image, tmp_path):
            there = {{name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in ("cli", "scanner", "emulator", "builders")}}
            sys.path[:0] = [{str(tests)!r}, {str(tests.parent)!r}]
            from support.planted import planted_image
            image = planted_image(Driver(forgelet), tmp_path / "tree", "qcow2")
            booted = booted_image(image, flavor="f1.tiny", ports=[80])
            assert set(booted.ports) == {{22, 80}}
            until = time.monotonic() + 60
            while "forgelet boot sector" not in booted.console:
                assert time.monotonic() < until
                time.sleep(0.2)

        def test_cloud(openstack, forgelet_client):
            made = forgelet_client.post("/api/users/root/accounts", json=openstack.account("real"))
            assert made.status_code == 201, made.text
            standing = forgelet_client.get(f"/api/users/root/accounts/{{made.json()['dbId']}}/standing", params={{"project": "demo"}}, timeout=60)
            assert standing.json()["project"] == "demo", standing.text
        """,
    )
    from support.openstack import install

    with (folder / "pytest.ini").open("a") as ini:
        ini.write(f"forgelet_openstack = {install()}\n")
    done = run(folder, "test_it.py", timeout=400)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert left(folder) == []


@pytest.mark.docker
def test_a_live_system_is_up_for_the_session_and_gone_after_it(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "project",
        """
        import httpx

        def test_page(live_system):
            assert httpx.get(live_system("debian12-web").url, trust_env=False).status_code == 200

        def test_cached(live_system):
            found = live_system("debian12-web")
            assert found is live_system("debian12-web")
            print("container", found.container, flush=True)
        """,
    )
    done = run(folder, "-s", "test_it.py")
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    name = re.search(r"container (\S+)", done.stdout)
    assert name
    listed = json.loads(subprocess.run([sys.executable, "-m", "cli.main", "lab", "list", "-o", "json"], capture_output=True, check=True).stdout)
    assert name[1] not in [one["name"] for one in listed]


@pytest.mark.docker
def test_a_live_system_is_taken_down_when_the_session_is_killed(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "project",
        """
        import time

        def test_forever(live_system):
            print("container", live_system("debian12-web").container, flush=True)
            time.sleep(600)
        """,
    )
    (folder / "tmp").mkdir()

    def there(name: str) -> bool:
        listed = subprocess.run([sys.executable, "-m", "cli.main", "lab", "list", "-o", "json"], capture_output=True, check=True).stdout
        return name in [one["name"] for one in json.loads(listed)]

    with subprocess.Popen(command("-s", "test_it.py"), cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout
        name = next(found[1] for line in session.stdout if (found := re.search(r"container (\S+)", line)))
        assert there(name)
        session.send_signal(signal.SIGKILL)
    until(lambda: not there(name), 60)
    until(lambda: not left(folder), 40)
