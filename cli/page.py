"""A comparison as one page: nothing is fetched from anywhere, names of any bytes are shown, everything is escaped."""

from __future__ import annotations

from typing import Any

from cli.differences import name, values, words


def page(found: dict[str, Any]) -> str:
    """The page of an answer of `scancomparison`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(loader=PackageLoader("cli"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.filters.update(name=name, values=values, words=words)
    text = templates.get_template("comparison.html").render(found=found, scans=found["scans"]["scan"])
    return text.encode("utf-8", "backslashreplace").decode()
