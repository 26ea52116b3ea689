"""/_forgelet/health: the one route that a service has before anything else."""

from __future__ import annotations

from fastapi import APIRouter, Response

from emulator.service import TheService
from emulator.version import version
from emulator.wire.answer import ours

router = APIRouter()


@router.get("/health")
def health(here: TheService) -> Response:
    """Ready (with everything that a seed asks for), which version, and what this machine can do. No login needed."""
    seed = here.seeding.told()
    told = {"ready": here.seeding.ready and not here.stopping.is_set(), "version": version(), "capabilities": here.capabilities.all()}
    return ours("health", told if seed is None else {**told, "seed": {key: seed[key] for key in ("name", "state", "step", "error")}})
