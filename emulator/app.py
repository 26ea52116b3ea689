"""The FastAPI application: made from a data folder and settings, alive between the lifespan's two ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute

from emulator.auth import Authenticator
from emulator.control import health
from emulator.control.guard import Guard
from emulator.control.interference import Interference
from emulator.control.journal.recorder import Recorder
from emulator.deferred import Deferred
from emulator.folders import Folders
from emulator.jobs import clouds
from emulator.jobs.embedded import EmbeddedQueue
from emulator.jobs.ledger import Ledger
from emulator.routing import operations, routers
from emulator.service import Service
from emulator.settings import Settings
from emulator.storage import stamp
from emulator.storage.engine import Database
from emulator.storage.schema import prepare
from emulator.storage.vault import Vault
from emulator.wire import faults
from emulator.wire.lasting import Lasting
from emulator.wire.negotiation import Tidy
from scanner.host import chance, clock

STOP = 6.0
"""Seconds that running jobs get when the service ends."""


def make_service(settings: Settings) -> Service:
    """The parts of a service on `settings.data`, with the database ready and the first user on his way."""
    folders = Folders(settings.data.absolute())
    folders.make()
    clock.follow(folders.clock)
    chance.follow(folders.ids)
    database = Database(folders.database)
    prepare(database)
    vault = Vault(folders.secrets_key)
    authenticator = Authenticator(database, vault)
    authenticator.begin(settings.user, settings.password)
    ledger = Ledger(database)
    queue = EmbeddedQueue(ledger, folders, settings.environment())
    return Service(settings, folders, database, ledger, queue, authenticator, vault)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    here: Service = app.state.service
    here.queue.start()
    here.reaping.wake()
    here.conductor.begin()
    clouds.begin(here.database, here.folders)
    if here.nearby is not None:
        here.nearby.attach()
    here.capabilities.begin()
    if here.seed:
        from emulator.control.seeds.wanted import Seeds

        here.seeding.begin(here.seed, *Seeds(here.folders.seeds).get(here.seed))
    try:
        yield
    finally:
        here.stopping.set()
        if here.nearby is not None:
            here.nearby.close()
        here.queue.stop(STOP)
        here.journal.book.close()
        here.database.close()


def make_app(service: Service) -> FastAPI:
    """The application of `service`: UForge's resources under /api, our own under /_forgelet."""
    app = FastAPI(title="Forgelet", lifespan=_lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.service = service
    faults.install(app)
    app.add_middleware(Lasting, version=service.database.version)
    app.add_middleware(Tidy)
    app.add_middleware(Interference, known=service.interferences, database=service.database, operations=operations, asking=service.authenticator.asking)
    app.add_middleware(Guard, token=service.settings.token)
    app.add_middleware(Recorder, book=service.journal.book, operations=operations, stamp=stamp.now)
    if service.settings.journal is not None:
        from emulator.control.answers import Answers

        app.add_middleware(Answers, folder=service.settings.journal)
    app.include_router(health.router, prefix="/_forgelet")
    app.router.routes.append(Deferred(app, _include))
    return app


def _include(app: FastAPI) -> None:
    app.router.routes.extend(_resources())


@cache
def _resources() -> list[BaseRoute]:
    """The routes of every resource. Importing them takes about as long as the half of the start-up, and what FastAPI works out about each of them
    serves every application of this process: a request brings its own service."""
    table = APIRouter(redirect_slashes=False)
    for prefix, module in routers():
        table.include_router(module.router, prefix=prefix)
    return table.routes
