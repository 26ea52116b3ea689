"""Rows of long lists, which are told and nothing else: plain tuples with the columns as attributes. For each of its own objects the ORM does
ten times the work, so that it could be changed."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import String, inspect, type_coerce
from sqlalchemy.orm import Bundle

from emulator.storage.row import Row

T = TypeVar("T", bound=Row)


@cache
def narrow(table: type[T], *without: str, text: str = "") -> type[T]:
    """`table` as a part of a select, without the columns that nobody asks for and that are costly to read. Conditions name the table itself.

    The column `text` is told as it is stored: the text of its JSON.
    """
    columns: list[Any] = [getattr(table, column.key) for column in inspect(table).column_attrs if column.key not in (*without, text)]
    if text:
        columns.append(type_coerce(getattr(table, text), String).label(text))
    # A row has the attributes of an object of the table: for whoever only reads, it is one.
    return cast("type[T]", Bundle(table.__name__, *columns))


def told(row: Any) -> dict[str, Any]:
    """The columns of a narrow row by name."""
    return dict(row._mapping)
