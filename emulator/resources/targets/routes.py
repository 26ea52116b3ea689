"""/_forgelet/targets: the live systems of this machine's engines."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.resources.targets import service as engines
from emulator.service import TheService, TheUser
from emulator.wire.answer import ours

router = APIRouter()


@router.get("/targets")
def index(_here: TheService, _asking: TheUser) -> Response:
    """Containers and domains, those that can be scanned now first; and which engines do not answer."""
    found, silent = engines.targets()
    return ours("targets", {"targets": {"target": found}, "unreachable": {"engine": silent}})
