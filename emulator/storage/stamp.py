"""Times as they are stored and sent: ISO 8601 in UTC with milliseconds, as XML Schema's dateTime wants them."""

from __future__ import annotations

from datetime import datetime

from scanner.host import clock


def now() -> str:
    """`2024-05-01T12:00:00.123Z`"""
    return of(clock.now())


def of(moment: datetime) -> str:
    """The same of a moment in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def seconds(begin: str, end: str) -> float:
    """From one stamp to another."""
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds(), 3)


def printable(text: str) -> str:
    """`text` as SQLite and terminals can take it: lone surrogates written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
