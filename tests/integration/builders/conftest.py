"""The fabricated machines of the unit tests, owned by more than one user: these tests are root's."""

from __future__ import annotations

from unit.scanner.conftest import Machine, machine, make_machine  # noqa: F401
