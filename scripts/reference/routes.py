"""Every route of the service, by resource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute

from emulator.control import health
from emulator.control.operations import Operation
from emulator.routing import operations, routers
from reference.text import code, first, heading, table


def endpoints() -> dict[tuple[str, str], Any]:
    """Method and path of each route, and the function that answers it."""
    found = {}
    for prefix, module in [("/_forgelet", health), *routers()]:
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                found.update({(method, prefix + route.path): route.endpoint for method in route.methods or ()})
    return found


def page() -> str:
    known = endpoints()
    by_name: dict[str, list[Operation]] = defaultdict(list)
    for one in operations().all:
        by_name[one.name.rpartition(".")[0]].append(one)
    lines = heading(
        "Routes",
        "UForge's resources under `/api` answer XML, or JSON to `Accept: application/json`; what is Forgelet's own under `/_forgelet` answers JSON. "
        "*UForge's* is the number of the call in [What is proven](../proven.md); the name is what `forgelet fault set --operation` takes.",
    )
    for name, group in sorted(by_name.items()):
        rows = [(one.method, code(one.path), first(known[(one.method, one.path)].__doc__), code(one.name), ", ".join(map(str, one.numbers))) for one in group]
        lines += [f"## {name}", "", *table(("method", "path", "what it does", "name", "UForge's"), rows)]
    return "\n".join(lines)


def undocumented() -> Iterator[str]:
    yield from (f"{method} {path} ({end.__module__}.{end.__name__}) has no docstring" for (method, path), end in endpoints().items() if not end.__doc__)
