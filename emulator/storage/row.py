"""What every table is made of."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlmodel import SQLModel


class Row(SQLModel):
    """A row of a table; the number of one that was deleted is not given again.

    Rows are never validated: pydantic's half of them is made only when somebody asks, and the service is ready the sooner.
    """

    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}
    model_config = {"defer_build": True}
