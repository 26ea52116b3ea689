"""/_forgelet/health: the one route that a service has before anything else."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.service import TheService
from emulator.version import version
from emulator.wire.answer import ours

router = APIRouter()


@router.get("/health")
def health(here: TheService) -> Response:
    """Ready, which version, and what this machine can do. No login needed."""
    return ours("health", {"ready": not here.stopping.is_set(), "version": version(), "capabilities": here.capabilities.all()})
