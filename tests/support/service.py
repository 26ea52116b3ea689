"""The real service: `forgelet serve` in a process of its own, as tests drive it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from emulator.jobs import process

SCANS = "/api/users/root/scannedinstances"
FORGELET = [sys.executable, "-m", "cli.main"]


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `condition` answers as soon as that is true; fails when it never is. What lasts is asked for less and less often."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        found = condition()
        if found:
            return found
        time.sleep(min(0.01 + waited / 20, 0.5))
    raise AssertionError("what was waited for did not happen")


class Service:
    """One run of the service on a data folder."""

    until = staticmethod(until)

    def __init__(self, data: Path, *options: str, command: Sequence[str] = FORGELET, env: Mapping[str, str] | None = None) -> None:
        self.data = data
        argv = [*command, "serve", "--port", "0", "--data", str(data), *options]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True)
        assert self.process.stdout
        said = re.search(r"(http://\S+)/api", self.process.stdout.readline())
        assert said, "the service did not come up"
        self.origin = said.group(1)
        self.http = httpx.Client(base_url=self.origin, auth=("root", "forgelet"), timeout=30, trust_env=False)
        until(self._ready)

    def _ready(self) -> bool:
        try:
            return bool(self.http.get("/_forgelet/health").json()["ready"])
        except httpx.TransportError:
            return False

    def fault(self, stage: str, action: str) -> None:
        assert self.http.post("/_forgelet/faults", json={"stage": stage, "action": action}).status_code == 201

    def scan(self, tree: Path, name: str = "tree") -> dict[str, Any]:
        answer = self.http.post(SCANS, json={"name": name, "target": f"directory:{tree}"})
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def job(self, number: int) -> dict[str, Any]:
        told: dict[str, Any] = self.http.get(f"/_forgelet/jobs/{number}").json()
        return told

    def newest_job(self) -> dict[str, Any]:
        """The job that was asked for last."""
        found: list[dict[str, Any]] = self.http.get("/_forgelet/jobs").json()["jobs"]["job"]
        return max(found, key=lambda job: int(job["dbId"]))

    def ended(self, number: int, seconds: float = 60.0) -> dict[str, Any]:
        """The job, once it has ended."""
        until(lambda: self.job(number)["state"] not in ("queued", "running"), seconds)
        return self.job(number)

    def child_of(self, number: int) -> int:
        """The pid of the child process of the job; 0 when there is none."""
        wanted = f"emulator.jobs.child\0{number}\0--data\0{self.data}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _command_line(entry).find(wanted) >= 0 and process.birth(int(entry.name)):
                return int(entry.name)
        return 0

    def in_stage(self, number: int, stage: str) -> int:
        """The pid of the job's process, once it is in the stage."""
        until(lambda: self.job(number).get("stage") == stage)
        return int(until(lambda: self.child_of(number)))

    @staticmethod
    def gone(pid: int) -> bool:
        """Whether neither the process nor anything of its group is left."""
        return process.birth(pid) is None and not process.members(pid)

    def end(self, number: signal.Signals, patience: float = 15.0) -> int:
        """Signal the service; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(patience)

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()


def _command_line(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""
