"""What one pytest process makes: the service as a child process, live systems, a cloud; with its undo."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import httpx
import pytest

from forgelet_pytest.service import Forgelet, LiveSystem, Openstack


class Session:
    """What one pytest process made, with its undo."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.id = uuid.uuid4().hex[:8]
        self._forgelet: Forgelet | None = None
        self._reaper: subprocess.Popen[str] | None = None
        self._systems: dict[str, LiveSystem] = {}
        self._openstack: tuple[subprocess.Popen[str], Openstack] | None = None

    @property
    def forgelet(self) -> Forgelet:
        """The service: the one that `--forgelet-url` names, or one of our own, started at the first use."""
        if self._forgelet is None:
            url = self.config.getoption("--forgelet-url")
            self._forgelet = running(url) if url else self._start()
        return self._forgelet

    def live_system(self, system: str) -> LiveSystem:
        """Up for the rest of the session."""
        if system not in self._systems:
            name = f"forgelet-{self.id}-{system}"
            self._register(container=name)
            told = json.loads(self.command("lab", "up", system, "--name", name, "-o", "json"))
            self._systems[system] = LiveSystem(name, system, {int(port): place for port, place in told["ports"].items()})
        return self._systems[system]

    def openstack(self) -> Openstack:
        """Up for the rest of the session. Skips the test where Keystone and Glance are not installed."""
        if self._openstack is None:
            place = self._openstack_installed()
            argv = [sys.executable, "-P", "-m", "emulator.lab.openstack", place, str(self._folder / "openstack")]
            log = (self._folder / "openstack.log").open("wb")
            process = subprocess.Popen(argv, env=self._environment(), cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
            assert process.stdout
            told = process.stdout.readline()
            if not told:
                raise AssertionError(f"Keystone and Glance did not come up:\n{(self._folder / 'openstack.log').read_text(errors='replace')}")
            self._openstack = process, Openstack(**json.loads(told))
        return self._openstack[1]

    def _openstack_installed(self) -> str:
        found = shutil.which("keystone-manage")
        named = self.config.getini("forgelet_openstack") or os.environ.get("FORGELET_OPENSTACK") or (str(Path(found).parent.parent) if found else "")
        if not named or not (Path(named) / "bin/keystone-manage").exists() or not (Path(named) / "bin/glance-manage").exists():
            pytest.skip("Keystone and Glance are not installed: pip install keystone glance gunicorn into an environment, and name its folder in FORGELET_OPENSTACK")
        return str(named)

    def command(self, *words: str) -> str:
        """What `forgelet WORDS` prints. Fails the test with its messages when it does not end with 0."""
        done = subprocess.run(_forgelet(*words), env=self._environment(), cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"forgelet {' '.join(words)} ended with {done.returncode}\n{done.stderr.strip()}")
        return done.stdout

    def close(self) -> None:
        if self._forgelet is not None:
            self._forgelet.http.close()
        if self._openstack is not None:
            # The end of its input is its end.
            assert self._openstack[0].stdin
            self._openstack[0].stdin.close()
            self._openstack[0].wait(30)
        if self._reaper is not None:
            assert self._reaper.stdin
            self._reaper.stdin.close()
            self._reaper.wait(120)

    def _start(self) -> Forgelet:
        service = subprocess.Popen(
            _forgelet("serve", "--port", "0", "--data", str(self._folder)),
            env=self._environment(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "service.log").open("wb"),
            text=True,
            start_new_session=True,
        )
        self._register(process=service.pid)
        assert service.stdout
        said = re.search(r"(http://\S+)/api", service.stdout.readline())
        if said is None:
            raise AssertionError(f"the service did not come up:\n{(self._folder / 'service.log').read_text(errors='replace')}")
        found = Forgelet(said[1], data=self._folder)
        deadline = time.monotonic() + 30
        while not _ready(found):
            assert time.monotonic() < deadline, "the service listens but is not ready"
            time.sleep(0.02)
        return found

    @property
    def _folder(self) -> Path:
        """Everything of the session; the cache of base disks and packages in it leads to one that outlives it."""
        folder = Path(tempfile.gettempdir()) / f"forgelet-pytest-{self.id}"
        if not folder.exists():
            self._register(folder=str(folder))
            folder.mkdir(mode=0o700)
            cache = Path(self.config.getini("forgelet_cache") or _user_cache()).expanduser()
            cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / "cache").symlink_to(cache)
        return folder

    def _environment(self) -> dict[str, str]:
        """The user's, but for what would lead Python to his own packages or the service to his own data."""
        ours = {"FORGELET_URL", "FORGELET_USER", "FORGELET_PASSWORD", "FORGELET_DATA", "FORGELET_CONFIG", "PYTHONPATH", "PYTHONHOME"}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        return {**kept, "PYTHONSAFEPATH": "1", "FORGELET_DATA": str(self._folder), "FORGELET_CONFIG": os.devnull}

    def _register(self, **made: str | int) -> None:
        """Tell the reaper, before it is made where that is possible."""
        if self._reaper is None:
            argv = [sys.executable, "-P", "-m", "emulator.reaper"]
            env = {**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, "PYTHONSAFEPATH": "1"}
            self._reaper = subprocess.Popen(argv, stdin=subprocess.PIPE, env=env, cwd="/", text=True, start_new_session=True)
        assert self._reaper.stdin
        self._reaper.stdin.write(json.dumps(made) + "\n")
        self._reaper.stdin.flush()


def _forgelet(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "cli.main", *words]


def running(url: str) -> Forgelet:
    """The service that was there before. Who asks, and what lets him in, is in the environment, as for `forgelet`."""
    given = {name: os.environ.get(f"FORGELET_{name.upper()}", "") for name in ("user", "password", "token", "ca")}
    return Forgelet(re.sub(r"/api/?$", "", url.rstrip("/")), **{name: value for name, value in given.items() if value})  # type: ignore[arg-type]


def _user_cache() -> str:
    return str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "forgelet")


def _ready(service: Forgelet) -> bool:
    try:
        return bool(service.http.get("/_forgelet/health").json()["ready"])
    except httpx.TransportError:
        return False
