"""What `forgelet_pytest` gives to other people's tests: fixtures, the mark, options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import forgelet_pytest
from reference.text import code, first, heading, table


def fixtures() -> list[tuple[str, Any]]:
    """Each fixture by its name, in the order of the source; what outlives a test (`…_session`) is the plugin's own."""
    kind = type(forgelet_pytest.forgelet)
    return [(name, one) for name, one in vars(forgelet_pytest).items() if isinstance(one, kind) and not name.endswith("_session")]


class Heard:
    """Hears what the plugin asks pytest's parser for: name -> help."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}

    def getgroup(self, _name: str) -> Heard:
        return self

    def addoption(self, name: str, *, help: str, **_rest: Any) -> None:
        self.told[name] = help

    def addini(self, name: str, help: str, **_rest: Any) -> None:
        self.told[name] = help


def settings() -> dict[str, str]:
    """Options of the command line and keys of pytest's own configuration, with their help."""
    heard = Heard()
    forgelet_pytest.pytest_addoption(heard)  # type: ignore[arg-type]
    return heard.told


def page() -> str:
    rows = [(code(name), first(one.__doc__)) for name, one in fixtures()]
    return "\n".join([
        *heading("pytest fixtures", "What the plugin `forgelet_pytest` gives to a test. How they are used: [Test with pytest](../how-to/pytest.md)."),
        "## Fixtures", "", *table(("fixture", "what it is"), rows),
        "## The mark", "", f"`@pytest.mark.forgelet(…)` takes {', '.join(map(code, forgelet_pytest.MARKS))}: how the service of a test is set up.", "",
        "## Options and settings", "", *table(("name", "what it says"), [(code(name), help) for name, help in settings().items()]),
    ])  # fmt: skip


def undocumented() -> Iterator[str]:
    yield from (f"the fixture {name} has no docstring" for name, one in fixtures() if not one.__doc__)
