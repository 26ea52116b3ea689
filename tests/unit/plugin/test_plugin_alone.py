"""The pytest plugin without a service: what it asks of one, what it says of a proof, and which mistakes end a run before it begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.project import project, run

from forgelet_pytest import Forgelet

FAKE = """
import json
import httpx, pytest
import forgelet_pytest

REPORT = {"differences": DIFFERENCES}
ASKED = []

def answer(request):
    path = request.url.path
    ASKED.append(f"{request.method} {path}")
    told = {
        "/api/users/root/scannedinstances": {"jobId": 1, "uri": "users/root/scannedinstances/1/scans/1"},
        "/api/users/root/scannedinstances/1/scans/1": {"dbId": 1, "uri": "users/root/scannedinstances/1/scans/1"},
        "/api/users/root/scannedinstances/1/scans/1/builds": {"images": {"image": [{"dbId": 7, "jobId": 2}]}},
        "/api/users/root/images/7": {"dbId": 7, "uri": "users/root/images/7"},
        "/api/users/root/images/7/verifications": {"dbId": 3},
        "/api/users/root/images/7/verifications/last": REPORT,
        "/_forgelet/jobs/1": {"state": "done"}, "/_forgelet/jobs/2": {"state": "done"}, "/_forgelet/jobs/3": {"state": "done"},
    }[path]
    return httpx.Response(200, json=told)

@pytest.fixture
def forgelet():
    made = forgelet_pytest.Forgelet("http://service")
    made.http = httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer))
    return made

@pytest.fixture(scope="session")
def live_system():
    return lambda name: forgelet_pytest.LiveSystem(f"c-{name}", name, {})
"""
SPEC = "builders: [{type: openstack, hardwareSettings: {memory: 1024}, installation: {diskSize: 2000}}]"


def played(folder: Path, tests: str, *differences: dict[str, Any]) -> str:
    """What a pytest says in which a fake service finds these differences."""
    made = project(folder, tests)
    (made / "conftest.py").write_text(FAKE.replace("DIFFERENCES", repr(list(differences))))
    done = run(made, "test_it.py")
    return done.stdout + done.stderr


def test_an_image_is_built_of_a_live_system(tmp_path: Path) -> None:
    told = played(
        tmp_path,
        f"""
        from conftest import ASKED

        def test_image(built_image):
            assert built_image({SPEC!r} + "\\n")["dbId"] == 7
            assert ASKED[0] == "POST /api/users/root/scannedinstances"
            assert ASKED[-1] == "GET /api/users/root/images/7"
            assert "POST /api/users/root/scannedinstances/1/scans/1/builds" in ASKED
        """,
    )
    assert "1 passed" in told, told


def test_a_copy_that_is_not_its_source_fails_with_every_difference(tmp_path: Path) -> None:
    tests = f"""
        def test_web(live_system, assert_migrates):
            assert_migrates(live_system("debian12-web"), {SPEC!r} + "\\n")
        """
    found = [
        {"rule": None, "scope": "files", "item": "/etc/motd", "what": "mode", "source": "0644", "copy": "0600"},
        {"rule": None, "scope": "packages", "item": "nginx", "what": "only in source", "source": "1.22", "copy": None},
        {"rule": "boot", "scope": "files", "item": "/boot/grub", "what": "only in copy", "source": None, "copy": "x"},
    ]
    told = played(tmp_path / "wrong", tests, *found)
    assert "1 failed" in told, told
    assert "the copy is not the source:" in told
    assert "files: /etc/motd: mode (source: 0644; copy: 0600)" in told
    assert "packages: nginx: only in source (source: 1.22; copy: -)" in told
    assert "/boot/grub" not in told
    assert "1 passed" in played(tmp_path / "right", tests, found[2])


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ("'build.base'", "takes names only (faults=…, clock=…, seed=…), not 'build.base'"),
        ("fault=1", "knows faults, clock, seed, not fault"),
        ("faults='build.base'", "faults: a list of stages"),
        ("faults=[4]", "faults: a list of stages"),
        ("clock=datetime(2030, 1, 1)", "has no time zone"),
        ("clock=4", "clock: a time"),
        ("clock={'when': 4}", "clock: a time"),
        ("seed=[4]", "seed: a number"),
    ],
)
def test_a_mark_with_a_mistake_ends_the_run_before_it_begins(tmp_path: Path, mark: str, words: str) -> None:
    """Whatever the test asks for: a mark that nobody reads is a mistake as well."""
    folder = project(tmp_path, f"import pytest\nfrom datetime import datetime\n@pytest.mark.forgelet({mark})\ndef test_one():\n    pass\n")
    done = run(folder, "test_it.py")
    assert done.returncode == 4
    assert words in done.stderr, done.stdout + done.stderr


def test_marks_without_mistakes_end_nothing(tmp_path: Path) -> None:
    mark = "faults=['build.base', {'operation': '16'}], clock=datetime(2030, 1, 1, tzinfo=UTC), seed=4"
    folder = project(tmp_path, f"import pytest\nfrom datetime import UTC, datetime\n@pytest.mark.forgelet({mark})\ndef test_one():\n    pass\n")
    assert "1 passed" in run(folder, "test_it.py").stdout


def test_several_workers_never_share_one_service(tmp_path: Path) -> None:
    folder = project(tmp_path, "def test_one():\n    pass\n")
    done = run(folder, "-n", "2", "--forgelet-url", "http://127.0.0.1:1", "test_it.py")
    assert done.returncode == 4
    assert "several workers would empty it for each other" in done.stderr, done.stdout + done.stderr
    assert "1 passed" in run(folder, "-n", "1", "--forgelet-url", "http://127.0.0.1:1", "test_it.py").stdout


def test_a_service_elsewhere_gets_the_token_and_a_trusted_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    from emulator.certificate import certificate
    from forgelet_pytest.session import running

    made: dict[str, Any] = {}
    monkeypatch.setattr(httpx, "Client", lambda **given: made.update(given))
    pem, _ = certificate(tmp_path / "tls", "127.0.0.1")
    for name, value in {"USER": "alice", "PASSWORD": "secret", "TOKEN": "sesame", "CA": str(pem)}.items():
        monkeypatch.setenv(f"FORGELET_{name}", value)
    found = running("https://elsewhere:8443/api/")
    assert (found.origin, made["auth"], made["headers"]["X-Forgelet-Token"]) == ("https://elsewhere:8443", ("alice", "secret"), "sesame")
    assert len(made["verify"].get_ca_certs()) == 1
    assert "sesame" not in repr(found)
    assert "X-Forgelet-Token" not in (Forgelet("http://127.0.0.1:1"), made)[1]["headers"]
