"""Routes that are made when the first request wants one of them, so that the service is ready before they are."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send


class Deferred(BaseRoute):
    """Takes the first request that no route before it answers, includes the rest of the routes in its own place, and gives the request to them."""

    def __init__(self, app: FastAPI, include: Callable[[FastAPI], None]) -> None:
        self._app = app
        self._include = include

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL, {}) if scope["type"] == "http" else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        routes = self._app.router.routes
        # Two requests may have matched before either was handled.
        if self in routes:
            self._include(self._app)
            routes.remove(self)
        await self._app.router(scope, receive, send)
