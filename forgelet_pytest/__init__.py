"""The pytest plugin: a UForge of its own for your tests, live systems to migrate, and one assertion for the whole chain.

    def test_my_migration(live_system, assert_migrates):
        assert_migrates(live_system("debian12-web"), "specs/web.yml", probes=["http://:80/"])

Nothing of Forgelet is imported: your project may have packages called `cli` or `scanner`. What a session makes is told to a reaper
(`emulator/reaper.py`) that outlives it, so that nothing is left after a SIGKILL either. Fixtures and options: docs/how-to/pytest.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from forgelet_pytest.service import Booted, Forgelet, JobFailed, LiveSystem, Openstack, Spec
from forgelet_pytest.session import Session

__all__ = ["Booted", "Forgelet", "JobFailed", "LiveSystem", "Openstack", "Session", "Spec"]

MARKS = ("faults", "clock", "seed")
"""What `@pytest.mark.forgelet(…)` may say."""


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
