"""An instance as it was asked for, as it is stored. What cloud-init is told may hold passwords: it is sealed, as the secrets of accounts are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.storage.vault import Again, Vault

if TYPE_CHECKING:
    from builders.clouds.base import Request

SEALED = "sealed_user_data"


def stored(vault: Vault, request: Request) -> dict[str, Any]:
    """As `Deployment.asked` has it; called in the transaction that stores it."""
    return {**dataclasses.asdict(request), "user_data": "", SEALED: vault.seal(request.user_data) if request.user_data else ""}


def opened(vault: Vault, asked: Mapping[str, Any]) -> Request:
    """The request again, for the job that makes the instance. Raises `UserError` when it was sealed with another key."""
    from builders.clouds.base import Request

    known = {key: value for key, value in asked.items() if key != SEALED}
    return Request(**{**known, "user_data": vault.unseal(asked[SEALED])} if asked.get(SEALED) else known)


def resealed(asked: Mapping[str, Any], again: Again) -> dict[str, Any]:
    """The same, sealed with the new key."""
    return {**asked, SEALED: again(asked[SEALED])}
