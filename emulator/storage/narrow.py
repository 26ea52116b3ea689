"""Rows of long lists, which are told and nothing else: plain tuples with the columns as attributes. For each of its own objects the ORM does
ten times the work, so that it could be changed."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import JSON, String, inspect, type_coerce
from sqlalchemy.orm import Bundle

from emulator.storage.row import Row

T = TypeVar("T", bound=Row)


def stored(table: type[Row], *names: str) -> list[Any]:
    """Columns of `table`, all of them when none is named, as they are stored: JSON as its text. Enough to see whether a row is what it was."""
    columns = inspect(table).local_table.columns
    wanted = [columns[name] for name in names] or list(columns)
    return [type_coerce(one, String) if isinstance(one.type, JSON) else one for one in wanted]


@cache
def narrow(table: type[T], *without: str) -> type[T]:
    """`table` as a part of a select, without the columns that nobody asks for and that are costly to read. Conditions name the table itself."""
    columns: list[Any] = [getattr(table, column.key) for column in inspect(table).column_attrs if column.key not in without]
    # A row has the attributes of an object of the table: for whoever only reads, it is one.
    return cast("type[T]", Bundle(table.__name__, *columns))


def told(row: Any) -> dict[str, Any]:
    """The columns of a narrow row by name."""
    return dict(row._mapping)
