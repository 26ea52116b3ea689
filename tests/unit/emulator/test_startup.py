"""What must not be imported for the service to be ready, or for a command to run."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from emulator.serve import listen

HEAVY = {"docker", "libvirt", "alembic", "openstack", "diskimage_builder", "zstandard", "builders.spec", "builders.verify", "scanner.report", "structlog", "jinja2", "lxml"}


def _imported(statement: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_service_starts_without_the_heavy_rooms() -> None:
    assert not HEAVY & _imported("import cli.main, emulator.serve, emulator.app, emulator.settings")


@pytest.mark.parametrize("heavy", ["httpx", "pydantic", "fastapi", "sqlmodel", "rich"])
def test_the_command_line_loads_only_what_a_command_uses(heavy: str) -> None:
    assert heavy not in _imported("import cli.main")


def test_no_resource_is_loaded_until_it_is_asked_for() -> None:
    assert not {name for name in _imported("import emulator.serve, emulator.app") if name.startswith("emulator.resources.") and name.endswith(".routes")}


def test_answers_are_not_held_back() -> None:
    """asyncio sets TCP_NODELAY on connections of a socket that says it is TCP; without it a kept connection waits 40 ms for each answer."""
    with listen("127.0.0.1", 0) as sock:
        assert sock.proto == socket.IPPROTO_TCP
