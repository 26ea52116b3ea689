"""A service that is started with a seed, and the commands for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from support.service import Service

FORGELET = [sys.executable, "-m", "cli.main"]


def test_it_is_ready_when_everything_is_there_and_a_reset_makes_it_so_again(tmp_path: Path, tree: Path) -> None:
    seed = tmp_path / "shop.yml"
    seed.write_text(f"users:\n- {{login: alice, password: secret}}\nscans:\n- {{name: tree, source: 'directory:{tree}'}}\n")
    service = Service(tmp_path / "data", "--seed", str(seed))
    try:
        assert [one["name"] for one in scans(service)] == ["tree"]
        assert service.http.get("/api/users/alice", auth=("alice", "secret")).status_code == 200
        service.scan(tree, "other")
        done = forgelet(service, "reset", "--seed", "shop")
        assert "OK: what the seed 'shop' asks for is there: scan tree" in done.stdout, done.stderr
        assert [one["name"] for one in scans(service)] == ["tree"]
        applied = forgelet(service, "seed", "apply", str(seed))
        assert applied.stdout.splitlines() == ["there already user alice", "there already scan tree", "OK: everything that 'shop' asks for is there"]
    finally:
        service.close()
    again = Service(tmp_path / "data", "--seed", "shop")
    assert [one["name"] for one in scans(again)] == ["tree"]
    again.close()


def scans(service: Any) -> Any:
    return service.http.get("/api/users/root/scannedinstances").json()["scannedInstances"]["scannedInstance"]


def forgelet(service: Any, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*FORGELET, "--url", f"{service.origin}/api", *words], capture_output=True, text=True, timeout=60)


def test_a_seed_with_a_mistake_keeps_the_service_from_starting(tmp_path: Path) -> None:
    seed = tmp_path / "shop.yml"
    seed.write_text("people: []\n")
    done = subprocess.run([*FORGELET, "serve", "--port", "0", "--data", str(tmp_path / "data"), "--seed", str(seed)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "people" in done.stderr
