"""The FastAPI application: made from a data folder and settings, alive between the lifespan's two ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

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
from emulator.service import Service
from emulator.settings import Settings
from emulator.storage import stamp
from emulator.storage.engine import Database
from emulator.storage.schema import prepare
from emulator.storage.vault import Vault
from emulator.wire import faults
from emulator.wire.negotiation import Tidy
from scanner.host import chance, clock

if TYPE_CHECKING:
    from emulator.control.operations import Operations

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
    app.add_middleware(Tidy)
    app.add_middleware(Interference, known=service.interferences, database=service.database, operations=operations)
    app.add_middleware(Guard, token=service.settings.token)
    app.add_middleware(Recorder, book=service.journal.book, operations=operations, stamp=stamp.now)
    if service.settings.journal is not None:
        from emulator.control.answers import Answers

        app.add_middleware(Answers, folder=service.settings.journal)
    app.include_router(health.router, prefix="/_forgelet")
    app.router.routes.append(Deferred(app, _include))
    return app


def _include(app: FastAPI) -> None:
    """Every resource; importing them takes about as long as the half of the start-up."""
    for prefix, module in routers():
        app.include_router(module.router, prefix=prefix)


@cache
def operations() -> Operations:
    """Every operation of the service by name."""
    from emulator.control.operations import Operations

    found = Operations()
    for prefix, module in [("/_forgelet", health), *routers()]:
        found.add(prefix, module)
    return found


def routers() -> list[tuple[str, Any]]:
    """The modules with routes, each with the prefix of its paths."""
    from emulator.control import about, determinism, fault_routes
    from emulator.control import routes as control
    from emulator.control import users as user_control
    from emulator.control.journal import routes as journal
    from emulator.control.seeds import routes as seeds
    from emulator.control.snapshots import routes as snapshots
    from emulator.resources.accounts import routes as accounts
    from emulator.resources.agents import binaries
    from emulator.resources.agents import routes as agents
    from emulator.resources.appliances import archives
    from emulator.resources.appliances import builds as appliance_builds
    from emulator.resources.appliances import routes as appliances
    from emulator.resources.bundles import routes as bundles
    from emulator.resources.deployments import routes as deployments
    from emulator.resources.distributions import routes as distributions
    from emulator.resources.formats import routes as formats
    from emulator.resources.images import routes as images
    from emulator.resources.jobs import routes as jobs
    from emulator.resources.migrations import routes as migrations
    from emulator.resources.orgs import routes as orgs
    from emulator.resources.publications import routes as publications
    from emulator.resources.quotas import routes as quotas
    from emulator.resources.scans import builds, compare, explain, reports
    from emulator.resources.scans import routes as scans
    from emulator.resources.targets import routes as targets
    from emulator.resources.users import routes as users


    uforge = (accounts, distributions, formats, orgs, quotas, users, agents, scans, reports, compare, explain, builds, images)
    more = (appliances, archives, appliance_builds, bundles, publications, deployments, migrations)
    ours = (control, fault_routes, journal, snapshots, seeds, determinism, about, user_control, jobs, targets)
    return [*(("/api", one) for one in (*uforge, *more)), ("", binaries), *(("/_forgelet", one) for one in ours)]
