"""Forgelet's own version."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """As installed."""
    from importlib.metadata import version as installed

    return installed("forgelet")
