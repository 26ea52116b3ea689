"""The operations of the service by name: each route is one, `images.index` or `GET /api/users/{uid}/images`.

Those that UForge has are known by the number of the call in `emulator/wire/calls.txt` (one a line, in the order of the protocol) too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import ModuleType

from fastapi.routing import APIRoute
from starlette.routing import compile_path

from emulator.jobs.stages import nearest
from scanner.errors import UserError

OUT_OF_REACH = ("/_forgelet/faults", "/_forgelet/health", "/_forgelet/reset")
"""Below these no fault can be set: nobody could take it away again."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path template."""

    method: str
    path: str
    """With the prefix: `/api/users/{uid}/images`"""
    name: str
    """`images.index`"""
    numbers: tuple[int, ...]
    """Of UForge's calls; empty where it has none."""
    queries: frozenset[str]
    """Parameters that the route reads from the query."""
    pattern: re.Pattern[str] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """`GET /api/users/{uid}/images`"""
        return f"{self.method} {self.path}"


class Operations:
    """All of them, in the order in which routes are tried."""

    def __init__(self) -> None:
        self.all: list[Operation] = []
        self._by_length: dict[int, list[Operation]] = defaultdict(list)

    def add(self, prefix: str, module: ModuleType) -> None:
        """The routes of a module with a `router`."""
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                for operation in _operations(prefix, route):
                    self.all.append(operation)
                    self._by_length[operation.path.count("/")].append(operation)

    def match(self, method: str, path: str) -> Operation | None:
        """Which one a request is for."""
        path = re.sub("//+", "/", path).rstrip("/")
        return next((one for one in self._by_length[path.count("/")] if one.method == method and one.pattern.match(path)), None)

    def named(self, word: str, *, reach: bool = False) -> list[Operation]:
        """What `word` names: a number of UForge's table, a name, or a method and a path template. Raises `UserError` with the nearest names,
        and without `reach` for operations at which no fault can be set."""
        wanted = _plain(word)
        found = [one for one in self.all if wanted in (one.name, *map(str, one.numbers)) or wanted in _plain_texts(one)]
        if not found:
            names = [known for one in self.all for known in (one.name, one.text)]
            raise UserError(f"there is no operation '{word}'", hint=nearest(word, names) + "; forgelet fault points lists them all")
        if not reach and any(one.path.startswith(OUT_OF_REACH) for one in found):
            raise UserError(f"no fault can be set at {found[0].text}: nobody could take it away again", hint="choose another operation")
        return found


def _operations(prefix: str, route: APIRoute) -> Iterator[Operation]:
    path = prefix + route.path
    queries = frozenset(_queries(route.dependant))
    module = route.endpoint.__module__.removeprefix("emulator.resources.").removeprefix("emulator.")
    where = module.removesuffix(".routes")
    for method in sorted(route.methods or ()):
        numbers = tuple(_numbers().get(_plain(f"{method} {path.removeprefix('/api')}"), ()))
        yield Operation(method, path, f"{where}.{route.endpoint.__name__}", numbers, queries, compile_path(path)[0])


def _queries(dependant: object) -> Iterator[str]:
    """Names of the query's parameters that a route and what it depends on declare."""
    for one in getattr(dependant, "query_params", ()):
        yield one.alias
    for one in getattr(dependant, "dependencies", ()):
        yield from _queries(one)


def _plain(text: str) -> str:
    """Without the names of its parameters, which differ from table to table."""
    return re.sub(r"\{[^}]*\}", "{}", text.strip().removeprefix("#"))


def _plain_texts(operation: Operation) -> tuple[str, str]:
    return _plain(operation.text), _plain(f"{operation.method} {operation.path.removeprefix('/api')}")


@cache
def _numbers() -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    lines = files("emulator.wire").joinpath("calls.txt").read_text(encoding="ascii").splitlines()
    for number, line in enumerate(lines, 1):
        found[_plain(line)].append(number)
    return found
