"""What a job made must fit into its user's quota of bytes: how much it would be, nobody knew when the job began."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.jobs.tasks import Assignment


def fits(todo: Assignment) -> None:
    """Raises `QuotaExceeded`."""
    from emulator.resources.quotas import service as quotas
    from emulator.resources.users.tables import User

    with todo.database.read() as session:
        user = session.get_one(User, todo.job.user_id)
    quotas.fits(todo.folders, todo.database, user, todo.result)
