"""A scan by its number, and its place in the service."""

from __future__ import annotations

from typing import Any

from cli.client import Client
from cli.errors import CommandError


def below(uri: str) -> str:
    """The part of a resource's uri below the user."""
    return uri.split("/", 2)[2]


def find(service: Client, scan_id: int) -> dict[str, Any]:
    """The scan with that number, wherever it is. Raises `CommandError`."""
    for instance in service.get("scannedinstances", includeScans=True)["scannedInstances"]["scannedInstance"]:
        for scan in instance["scans"]["scan"]:
            if scan["dbId"] == scan_id:
                return dict(scan)
    raise CommandError(f"there is no scan {scan_id}", hint="forgelet scan list")
