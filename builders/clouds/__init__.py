"""Clouds: an account opens one."""

from __future__ import annotations

from pathlib import Path

from builders.clouds.base import Account, Cloud
from scanner.host.engines import extra


def opened(account: Account, home: Path) -> Cloud:
    """The cloud behind an account; `home` is the folder of the local one. Nothing is asked of it yet. Raises `UserError`, `Unreachable`."""
    if account.kind == "local":
        from builders.clouds.local import LocalCloud

        return LocalCloud(home, str(account.fields["login"]))
    with extra("openstack"):
        from builders.clouds.openstack import OpenstackCloud

    return OpenstackCloud(account)
