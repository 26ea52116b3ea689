"""An account's `keystoneVersion`, as people write it. Imports nothing of OpenStack: accounts are kept where that is not installed too."""

from __future__ import annotations

KNOWN = ("v3", "3", "3.0", "v3.0")
OLD = ("v2", "2", "2.0", "v2.0")


def version_problem(said: object) -> str:
    """What is wrong with it, for a list of problems; empty when it is a version of Keystone, or not given at all."""
    return "" if _plain(said) in (*KNOWN, *OLD) else f"keystoneVersion '{said}' is none: v3 (or v2.0, which is taken for v3)"


def version_warning(said: object) -> str:
    """What whoever gave it should know; empty when there is nothing."""
    return "Keystone has no v2 any more: v3 is used, the tenant is the project" if _plain(said) in OLD else ""


def _plain(said: object) -> str:
    return str(said or "v3").strip().lower()
