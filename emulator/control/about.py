"""/_forgelet/version, /config, /openapi.json and /docs: what this service is, how it is set, and what its control plane offers."""

from __future__ import annotations

import platform
from functools import cache
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import HTMLResponse

from emulator.service import TheAdmin, TheService
from emulator.settings import config_file, hidden
from emulator.version import version
from emulator.wire.answer import ours

router = APIRouter()


@router.get("/version")
def show_version() -> Response:
    """Of Forgelet, of the UForge that it is, of Python, and of the database. No login needed."""
    from emulator.resources.users.routes import UFORGE
    from emulator.storage.schema import HEAD

    return ours("version", {"forgelet": version(), "uforge": UFORGE, "python": platform.python_version(), "database": HEAD})


@router.get("/config")
def config(here: TheService, _asking: TheAdmin) -> Response:
    """Every setting as it is in force; secrets only whether they are set."""
    told = here.settings.model_dump(mode="json")
    shown = {name: ("***" if value else "") if name in hidden() else value for name, value in told.items()}
    file = config_file()
    return ours("config", {"file": str(file) if file else None, "settings": shown})


@router.get("/openapi.json")
def openapi() -> Response:
    """The control plane as OpenAPI. No login needed."""
    return ours("openapi", _described())


@router.get("/docs")
def docs() -> Response:
    """The same for people: one page that needs nothing from elsewhere. No login needed."""
    return HTMLResponse(_page(_described()))


@cache
def _described() -> dict[str, Any]:
    from emulator.control import health
    from emulator.routing import routers

    app = FastAPI(title="Forgelet's control plane", version=version(), description="UForge's own resources, under /api, are described by UForge.")
    for prefix, module in [("/_forgelet", health), *routers()]:
        if prefix == "/_forgelet":
            app.include_router(module.router, prefix=prefix)
    return app.openapi()


def _page(told: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><b>{method.upper()}</b></td><td><code>{escape(path)}</code></td><td>{_words(one)}</td></tr>"
        for path, methods in told["paths"].items()
        for method, one in methods.items()
    ]
    style = "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em}td{padding:.3em .8em;vertical-align:top;border-top:1px solid #ddd}dt{font-family:monospace}"
    title = escape(f"{told['info']['title']} {told['info']['version']}")
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{style}</style><h1>{title}</h1><p><a href=openapi.json>openapi.json</a></p><table>{''.join(rows)}</table></html>"


def _words(operation: dict[str, Any]) -> str:
    names = ", ".join(f"<code>{escape(one['name'])}</code>" for one in operation.get("parameters", ()) if one["in"] == "query")
    said = escape(operation.get("description", operation.get("summary", "")))
    return f"{said}{'<br>query: ' if names else ''}{names}"
