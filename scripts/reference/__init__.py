"""The reference part of the documentation, generated from the code: `pages()` answers every page, path -> Markdown.

MkDocs calls it through `hook.py`, so no generated page lies in the repository and none can be stale. Each page's module also answers
`undocumented()`: what the code has and does not explain. `tests/unit/docs` fails on the first of them.
"""

from __future__ import annotations

from reference import commands, errors, plugin, proven, report, routes, seeds, settings, speckeys

PAGES = {
    "reference/commands.md": commands,
    "reference/settings.md": settings,
    "reference/routes.md": routes,
    "reference/errors.md": errors,
    "reference/builder-file.md": speckeys,
    "reference/scan-report.md": report,
    "reference/seeds.md": seeds,
    "reference/pytest.md": plugin,
    "proven.md": proven,
}


def pages() -> dict[str, str]:
    """Every generated page of the site."""
    return {path: module.page() for path, module in PAGES.items()}


def undocumented() -> list[str]:
    """What the code has and nowhere explains, each with its place."""
    return [f"{path}: {gap}" for path, module in PAGES.items() for gap in module.undocumented()]
