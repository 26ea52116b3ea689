"""The pytest plugin: a UForge of its own for your tests, live systems to migrate, and one assertion for the whole chain.

    def test_my_migration(live_system, assert_migrates):
        assert_migrates(live_system("debian12-web"), "specs/web.yml", probes=["http://:80/"])

Nothing of Forgelet is imported here: your project may have packages called `cli` or `scanner`. What a session makes is told to a reaper
(`emulator/reaper.py`) that outlives it, so that nothing is left after a SIGKILL either. Fixtures and options: docs/how-to/pytest.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

PATIENCE = 1800.0
"""Seconds that one job may take."""
BOOT = 600.0
"""Seconds that a machine may take until it serves."""
ENDED = ("done", "failed", "cancelled")
MARKS = ("faults", "clock", "seed")
"""What `@pytest.mark.forgelet(…)` may say."""

Spec = str | Path | Mapping[str, Any]
"""A builder file: its path, its text, or what it says."""


class JobFailed(AssertionError):
    """A job of the service did not end well; the message has its cause, the next step and the end of its log."""


@dataclass(frozen=True, slots=True)
class LiveSystem:
    """A running container of the lab."""

    container: str
    system: str
    ports: Mapping[int, str]
    """Port inside -> `127.0.0.1:PORT`"""

    @property
    def target(self) -> str:
        """What the service calls it."""
        return f"docker:{self.container}"

    @property
    def url(self) -> str:
        """Its page, from this machine. Raises KeyError when it publishes no port 80."""
        return f"http://{self.ports[80]}/"


@dataclass(frozen=True, slots=True)
class Booted:
    """An instance that runs in the local cloud."""

    service: Forgelet
    id: str
    ports: Mapping[int, str]
    """Port inside -> `127.0.0.1:PORT`; 22 is always there."""

    @property
    def console(self) -> str:
        """What it said on its serial console so far."""
        return self.service.http.get(f"/api/users/{self.service.user}/deployments/{self.id}/console").text

    def get(self, path: str = "/", port: int = 80, patience: float = BOOT) -> httpx.Response:
        """A page that it serves, as soon as it does: a machine without hardware acceleration takes minutes to boot."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return httpx.get(f"http://{self.ports[port]}{path}", timeout=10, trust_env=False)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def terminate(self) -> None:
        """It is gone, disk and all."""
        self.service.http.delete(f"/api/users/{self.service.user}/deployments/{self.id}")


@dataclass(frozen=True, slots=True)
class Openstack:
    """A real Keystone and Glance on 127.0.0.1: the user `user` of `project`, in the domain `default`."""

    keystone: str
    glance: str
    user: str
    password: str = field(repr=False)
    project: str

    def account(self, name: str = "cloud", **fields: str) -> dict[str, Any]:
        """A cloud account as `POST /api/users/…/accounts` takes it."""
        own = {"keystoneUrl": self.keystone, "glanceUrl": self.glance, "keystoneVersion": "v3", "login": self.user, "password": self.password}
        return {"name": name, "targetPlatform": {"name": "OpenStack"}, "keystoneProject": self.project, **own, **fields}


@dataclass(slots=True)
class Forgelet:
    """A running service, and the chain of a migration step by step. Steps raise `JobFailed`, or `AssertionError` with the refusal."""

    origin: str
    user: str = "root"
    password: str = field(default="forgelet", repr=False)
    data: Path | None = None
    """Its folder; None for one that was running before."""
    token: str = field(default="", repr=False)
    """What the control plane of a service on another machine asks for."""
    ca: str = ""
    """File with the certificate that is trusted; empty: the system's."""
    http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        headers = {"Accept": "application/json", **({"X-Forgelet-Token": self.token} if self.token else {})}
        verify = ssl.create_default_context(cafile=self.ca) if self.ca else True
        self.http = httpx.Client(base_url=self.origin, auth=(self.user, self.password), headers=headers, timeout=60, trust_env=False, verify=verify)

    @property
    def url(self) -> str:
        """What hammr and `forgelet --url` are given."""
        return f"{self.origin}/api"

    def reset(self) -> None:
        """As new: no scan, image or account; the cache stays."""
        self._ask("POST", "/_forgelet/reset")

    def fault(self, stage: str = "", action: str = "fail", times: int = 1, **more: Any) -> dict[str, Any]:
        """The next `times` jobs that come to `stage` `fail` there, or requests for an `operation`; `more` is what `POST /_forgelet/faults` takes."""
        return self._ask("POST", "/_forgelet/faults", json={**({"stage": stage} if stage else {}), "action": action, "times": times, **more})

    def clock(self, at: str | datetime | None = None, rate: float = 1) -> None:
        """What time it is for the service (with its zone), and how fast it passes (0: it stands still)."""
        told = at.isoformat() if isinstance(at, datetime) else at
        self._ask("PUT", "/_forgelet/clock", json={"rate": rate, **({"at": told} if told else {})})

    def step(self, seconds: float) -> None:
        """Put the service's time forward."""
        self._ask("POST", "/_forgelet/clock/step", json={"seconds": seconds})

    def seed(self, seed: int | str | Path) -> None:
        """A number seeds what is drawn; a file says what shall be there, and it is when this returns."""
        if isinstance(seed, int):
            self._ask("PUT", "/_forgelet/ids", json={"seed": seed})
            return
        file = Path(seed)
        self._ask("PUT", f"/_forgelet/seeds/{file.stem}", json={"text": file.read_text(encoding="utf-8"), "base": str(file.parent.absolute())})
        self._ask("POST", f"/_forgelet/seeds/{file.stem}/apply", timeout=PATIENCE)

    def journal(self, **wanted: Any) -> list[dict[str, Any]]:
        """Requests and events of jobs, oldest first; `wanted` are the filters of `GET /_forgelet/journal`."""
        found: list[dict[str, Any]] = self._ask("GET", "/_forgelet/journal", params={"bodies": True, **wanted})["journal"]["entry"]
        return found

    def boot(self, image: Mapping[str, Any], name: str = "booted", flavor: str = "f1.small", ports: Sequence[int] = ()) -> Booted:
        """An instance of the image in the local cloud, running."""
        sent = self._ask("POST", f"/api/{image['uri']}/pimages", json={"xsiType": "PublishImageOpenStack", "credAccount": {"name": "local"}, "displayName": name})
        self.wait(sent["jobId"])
        made = self._mine("POST", f"pimages/{sent['dbId']}/deployments", json={"name": name, "flavor": flavor, "ports": list(ports)})
        self.wait(made["jobId"])
        told = self._mine("GET", f"deployments/{made['applicationId']}")
        return Booted(self, made["applicationId"], {int(port): f"127.0.0.1:{place}" for port, place in told["ports"].items()})

    def scan(self, target: LiveSystem | str, name: str = "source", **options: Any) -> dict[str, Any]:
        """Scan a live system with its overlay; answers the finished scan. `options` are those of `POST scannedinstances`."""
        label = target if isinstance(target, str) else target.target
        scan = self._mine("POST", "scannedinstances", json={"name": name, "target": label, "overlay": True, **options})
        self.wait(scan["jobId"])
        return self._mine("GET", scan["uri"].partition(f"users/{self.user}/")[2])

    def build(self, scan: Mapping[str, Any], spec: Spec) -> list[dict[str, Any]]:
        """Build what the builder file asks for; answers the finished images."""
        name, text = _spec(spec)
        place = str(scan["uri"]).partition(f"users/{self.user}/")[2]
        made = self._mine("POST", f"{place}/builds", json={"fileName": name, "text": text})["images"]["image"]
        for image in made:
            self.wait(image["jobId"])
        return [self._mine("GET", f"images/{image['dbId']}") for image in made]

    def verify(self, image: Mapping[str, Any], probes: Sequence[str] = (), source: str = "") -> dict[str, Any]:
        """Boot a copy of the image and compare it with its source; answers the fidelity report."""
        job = self._mine("POST", f"images/{image['dbId']}/verifications", json={"probes": list(probes), "source": source})
        self.wait(job["dbId"])
        return self._mine("GET", f"images/{image['dbId']}/verifications/last")

    def wait(self, job: int, patience: float = PATIENCE) -> dict[str, Any]:
        """The job, once it has ended well."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            told = self._ask("GET", f"/_forgelet/jobs/{job}")
            if told["state"] in ENDED:
                if told["state"] != "done":
                    raise JobFailed(self._story(job, told))
                return told
            time.sleep(0.1)
        raise JobFailed(f"job {job} did not end within {patience:.0f} s\n{self._log(job)}")

    def _story(self, job: int, told: Mapping[str, Any]) -> str:
        said = [f"job {job} ({told['kind']}) {told['state']} in stage {told.get('stage')}: {told.get('error') or told['message']}"]
        return "\n".join([*said, *([f"next: {told['hint']}"] if told.get("hint") else []), self._log(job)])

    def _log(self, job: int) -> str:
        lines = self.http.get(f"/_forgelet/jobs/{job}/log").text.splitlines()
        return "\n".join(["the end of its log:", *(f"  {line}" for line in lines[-15:])])

    def _mine(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        return self._ask(method, f"/api/users/{self.user}/{path}", **request)

    def _ask(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        answer = self.http.request(method, path, **request)
        if answer.is_error:
            raise AssertionError(_refusal(answer))
        told: dict[str, Any] = answer.json() if answer.content else {}
        return told


def _refusal(answer: httpx.Response) -> str:
    try:
        said = answer.json()["uforgeError"]
    except (ValueError, KeyError):
        return f"{answer.request.method} {answer.url} answers {answer.status_code}: {answer.text[:300]}"
    return "\n".join([said["localizedErrorMsg"]["message"], *said.get("problems", ()), *([f"next: {said['hint']}"] if said.get("hint") else [])])


def _spec(spec: Spec) -> tuple[str, str]:
    """Name and text of a builder file."""
    if isinstance(spec, Mapping):
        return "spec.yml", yaml.safe_dump(dict(spec))
    if isinstance(spec, str) and "\n" in spec:
        return "spec.yml", spec
    path = Path(spec)
    return path.name, path.read_text(encoding="utf-8")


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
            self._forgelet = _running(url) if url else self._start()
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


def _running(url: str) -> Forgelet:
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


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("forgelet")
    group.addoption("--forgelet-url", default="", help="Test against this running service instead of one of the session's own.")
    parser.addini("forgelet_cache", "Folder that keeps base disks and packages between sessions (the user's cache folder).", default="")
    parser.addini("forgelet_openstack", "Folder whose bin/ has Keystone and Glance (FORGELET_OPENSTACK, or where PATH finds them).", default="")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "forgelet(faults=[…], clock=…, seed=…): how the service of this test is set up")
    if config.getoption("--forgelet-url") and len(getattr(config.option, "tx", None) or ()) > 1:
        raise pytest.UsageError("--forgelet-url names one service, which each test resets: several workers would empty it for each other. Leave -n away, or --forgelet-url: then each worker has a service of its own")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Marks that are wrong end the run before any test begins, all of them named."""
    problems = [f"{item.nodeid}: {problem}" for item in items for mark in item.iter_markers("forgelet") for problem in _mistakes(mark)]
    if problems:
        raise pytest.UsageError("\n".join(dict.fromkeys(problems)))


def _mistakes(mark: pytest.Mark) -> Iterator[str]:
    """What is wrong with one `@pytest.mark.forgelet(…)`."""
    if mark.args:
        yield f"@pytest.mark.forgelet takes names only ({', '.join(f'{name}=…' for name in MARKS)}), not {mark.args[0]!r}"
    unknown = sorted(mark.kwargs.keys() - set(MARKS))
    if unknown:
        yield f"@pytest.mark.forgelet knows {', '.join(MARKS)}, not {', '.join(unknown)}"
    faults = mark.kwargs.get("faults", ())
    if isinstance(faults, str | Mapping) or not all(isinstance(one, str | Mapping) for one in faults):
        yield f"faults: a list of stages, or of what forgelet.fault() takes, not {faults!r}"
    clock = mark.kwargs.get("clock", "")
    if isinstance(clock, datetime) and clock.tzinfo is None:
        yield f"clock: {clock!r} has no time zone: datetime(…, tzinfo=UTC)"
    if not isinstance(clock, str | datetime | Mapping) or (isinstance(clock, Mapping) and not clock.keys() <= {"at", "rate"}):
        yield f"clock: a time, or a dictionary with at and rate, not {clock!r}"
    if not isinstance(mark.kwargs.get("seed", 0), int | str | Path):
        yield f"seed: a number, or the path of a seed file, not {mark.kwargs['seed']!r}"


@pytest.fixture(scope="session")
def forgelet_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """What outlives one test; tests use the fixtures below."""
    session = Session(request.config)
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def forgelet(forgelet_session: Session, request: pytest.FixtureRequest) -> Forgelet:
    """A service that is as new, set up as the test's mark says."""
    asked: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("forgelet"))):
        asked.update(mark.kwargs)
    service = forgelet_session.forgelet
    service.reset()
    if "seed" in asked:
        seed = asked["seed"]
        service.seed(seed if isinstance(seed, int) else request.path.parent / seed)
    if "clock" in asked:
        clock = asked["clock"]
        service.clock(**({"at": clock} if isinstance(clock, str | datetime) else clock))
    for fault in asked.get("faults", ()):
        service.fault(**({"stage": fault} if isinstance(fault, str) else fault))
    return service


@pytest.fixture
def forgelet_client(forgelet: Forgelet) -> httpx.Client:
    """A client of the service's origin, logged in as its first user."""
    return forgelet.http


@pytest.fixture(scope="session")
def live_system(forgelet_session: Session) -> Callable[[str], LiveSystem]:
    """Puts a live system of the lab up, by its name: `live_system("debian12-web")`. One a session."""
    return forgelet_session.live_system


@pytest.fixture
def built_image(forgelet: Forgelet, live_system: Callable[[str], LiveSystem]) -> Callable[..., dict[str, Any]]:
    """Scans a live system and builds an image of it: `built_image(spec, of="debian12-web")`."""

    def build(spec: Spec, of: str | LiveSystem = "debian12-web") -> dict[str, Any]:
        source = live_system(of) if isinstance(of, str) else of
        return forgelet.build(forgelet.scan(source), spec)[0]

    return build


@pytest.fixture
def booted_image(forgelet: Forgelet, built_image: Callable[..., dict[str, Any]]) -> Iterator[Callable[..., Booted]]:
    """Boots an image in the local cloud, for this test: `booted_image(image, ports=[80])`, or `booted_image(spec, of="debian12-web")`."""
    running: list[Booted] = []

    def boot(what: Spec, *, of: str | LiveSystem = "debian12-web", flavor: str = "f1.small", ports: Sequence[int] = ()) -> Booted:
        image = what if isinstance(what, Mapping) and "uri" in what else built_image(what, of)
        running.append(forgelet.boot(image, f"booted-{len(running) + 1}", flavor, ports))
        return running[-1]

    yield boot
    for one in running:
        one.terminate()


@pytest.fixture(scope="session")
def openstack(forgelet_session: Session) -> Openstack:
    """A real Keystone and Glance, where they are installed."""
    return forgelet_session.openstack()


@pytest.fixture
def assert_migrates(forgelet: Forgelet) -> Callable[..., dict[str, Any]]:
    """The whole chain: `assert_migrates(system, spec, probes=[…])`. Fails with the fidelity report when the copy is not the source."""

    def migrate(system: LiveSystem | str, spec: Spec, probes: Sequence[str] = ()) -> dict[str, Any]:
        images = forgelet.build(forgelet.scan(system), spec)
        reports = [forgelet.verify(image, probes) for image in images]
        for report in reports:
            wrong = _wrong(report)
            if wrong:
                pytest.fail("\n".join(["the copy is not the source:", *wrong]), pytrace=False)
        return reports[0]

    return migrate


def _wrong(report: Mapping[str, Any]) -> list[str]:
    """Every reason why a proof failed, a line each."""
    left = [one for one in report["differences"] if one["rule"] is None]
    return [f"  {one['scope']}: {one['item']}: {one['what']} (source: {one['source'] or '-'}; copy: {one['copy'] or '-'})" for one in left]


@pytest.fixture
def hammr_env(forgelet: Forgelet, tmp_path: Path) -> dict[str, str]:
    """The environment for the real client: a HOME of its own with the credentials file that hammr reads."""
    home = tmp_path / "hammr-home"
    (home / ".hammr").mkdir(parents=True, mode=0o700)
    credentials = home / ".hammr" / "credentials.yml"
    credentials.write_text(yaml.safe_dump({"user": forgelet.user, "password": forgelet.password, "url": forgelet.url, "acceptAutoSigned": True}))
    credentials.chmod(0o600)
    return {**os.environ, "HOME": str(home)}
