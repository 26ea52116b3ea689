"""Every route of the service, by resource, with what it takes."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel

from emulator.control import health
from emulator.control.operations import Operation
from emulator.routing import operations, routers
from emulator.wire.body import body
from reference.text import code, first, heading, model_table, table

Place = tuple[str, str]
"""Method and path."""


def routes() -> dict[Place, APIRoute]:
    """Each route by its place."""
    found = {}
    for prefix, module in [("/_forgelet", health), *routers()]:
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                found.update({(method, prefix + route.path): route for method in route.methods or ()})
    return found


def endpoints() -> dict[Place, Any]:
    """The function that answers each place."""
    return {place: route.endpoint for place, route in routes().items()}


def asked(route: APIRoute) -> Iterator[Any]:
    """What FastAPI asks for a route: its own parameters, and those of its dependencies."""
    left = [route.dependant]
    while left:
        one = left.pop()
        left += one.dependencies
        yield one


def queries(route: APIRoute, numbers: set[str]) -> list[str]:
    """The query's names with their defaults. `numbers`: of resources; functions that serve several paths know them all, nobody says them so."""
    return [
        f"{code(one.alias)}{' (required)' if one.field_info.is_required() else default(one.field_info.default)}"
        for dependant in asked(route)
        for one in dependant.query_params
        if one.alias not in numbers
    ]


def default(value: object) -> str:
    return "" if value in (None, "") else f" ({str(value).lower() if isinstance(value, bool) else value})"


def model(route: APIRoute) -> type[BaseModel] | None:
    """The body, where it is one of ours: JSON."""
    kinds = [one.field_info.annotation for dependant in asked(route) for one in dependant.body_params]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def element(route: APIRoute) -> str:
    """The body, where it is an element of UForge's, by its name; empty for none."""
    made = f"{body.__qualname__}.<locals>."
    calls = [one.call for one in asked(route) if getattr(one.call, "__qualname__", "").startswith(made)]
    return next((str(inspect.getclosurevars(call).nonlocals["root"]) for call in calls), "")


def takes(route: APIRoute, numbers: set[str]) -> str:
    """Query and body of a route."""
    told = queries(route, numbers)
    ours, theirs = model(route), element(route)
    told += [f"body: [{ours.__name__}](#{ours.__name__.lower()})"] if ours else []
    told += [f"body: UForge's {code(theirs)}"] if theirs else []
    return ", ".join(told)


def page() -> str:
    known = routes()
    numbers = {name for _, path in known if path.startswith("/api/users/") for name in re.findall(r"\{(\w+)\}", path)}
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for one in operations().all:
        by_name[one.name.rpartition(".")[0]].append(one)
    lines = heading(
        "Routes",
        "UForge's resources under `/api` answer XML, or JSON to `Accept: application/json`; what is Forgelet's own under `/_forgelet` answers JSON. "
        "*UForge's* is the number of the call in [What is proven](../proven.md); the name is what `forgelet fault set --operation` takes; "
        "*takes* names the query and the body.",
    )
    for name, group in sorted(by_name.items()):
        rows = []
        for one in group:
            route = known[(one.method, one.path)]
            calls = ", ".join(map(str, one.numbers))
            rows.append((one.method, code(one.path), first(route.endpoint.__doc__), code(one.name), calls, takes(route, numbers)))
        lines += [f"## {name}", "", *table(("method", "path", "what it does", "name", "UForge's", "takes"), rows)]
    return "\n".join([*lines, "## Bodies", "", "Of ours: JSON. UForge's elements are described by UForge.", "", *bodies(known)])


def bodies(known: dict[Place, APIRoute]) -> Iterator[str]:
    """A table for each body of ours."""
    models = {found.__name__: found for route in known.values() if (found := model(route))}
    for name, found in sorted(models.items()):
        yield from (f"### {name}", "", first(found.__doc__), "", *model_table(found))


def undocumented() -> Iterator[str]:
    yield from (f"{method} {path} ({end.__module__}.{end.__name__}) has no docstring" for (method, path), end in endpoints().items() if not end.__doc__)
    yield from sorted({f"the body {found.__name__} has no docstring" for route in routes().values() if (found := model(route)) and not found.__dict__.get("__doc__")})
