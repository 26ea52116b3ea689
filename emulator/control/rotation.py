"""A new key for the secrets at rest: every one is sealed anew."""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from emulator.resources.accounts.tables import CloudAccount
from emulator.resources.deployments import asking
from emulator.resources.deployments.tables import Deployment
from emulator.resources.users.tables import ApiKey
from emulator.service import Service
from emulator.storage.vault import Again

SEALED: tuple[tuple[Any, str], ...] = ((CloudAccount, "secrets"), (ApiKey, "secret"))
"""Tables and their columns that `Vault.seal` filled."""


def rotate(here: Service) -> int:
    """How many secrets were sealed anew. Raises `UserError` when one cannot be opened; then nothing changed."""

    def reseal(again: Again) -> int:
        with here.database.write() as session:
            count = 0
            for table, column in SEALED:
                for row in session.exec(select(table).where(col(getattr(table, column)) != "")).all():
                    setattr(row, column, again(getattr(row, column)))
                    count += 1
            for deployment in session.exec(select(Deployment)).all():
                if deployment.asked.get(asking.SEALED):
                    deployment.asked = asking.resealed(deployment.asked, again)
                    count += 1
        # The old key goes next: what was kept must be on the disk by then.
        here.database.flush()
        return count

    return here.vault.rotate(reseal)
