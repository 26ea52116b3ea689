"""Values without children: how XML Schema writes them, and how they are read from XML or JSON.

Reading gives booleans, whole numbers, floats and strings; dates stay strings. A `ValueError` says what is wrong.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from emulator.wire.schema import WHOLE, Simple

MOMENT = re.compile(r"-?\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
"""xs:dateTime. Source: XML Schema Part 2, 3.2.7."""
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (2.2 Characters)."""


def escaped(text: str) -> str:
    """`text` as character data; what XML cannot hold is written out as an escape such as `\\udcff`."""
    if not text.isprintable():
        text = _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    return text.replace("\r", "&#13;") if "\r" in text else text


def written(value: Any, kind: Simple) -> str:
    """`value` as its type wants it. Raises `ValueError` when it is none."""
    base = kind.base
    if base == "xs:boolean":
        if value is True or value is False:
            return "true" if value else "false"
    elif base in WHOLE:
        if type(value) is int and -WHOLE[base] <= value < WHOLE[base]:
            return str(value)
    elif base == "xs:float":
        if type(value) in (int, float):
            return repr(float(value)).replace("inf", "INF").replace("nan", "NaN")
    elif isinstance(value, str):
        if base == "xs:dateTime" and not MOMENT.fullmatch(value):
            raise ValueError(f"{value!r} is no {base}")
        if kind.values and value not in kind.values:
            raise ValueError(f"{value!r} is none of {', '.join(sorted(kind.values))}")
        return escaped(value)
    raise ValueError(f"{value!r} is no {base}")


def read(value: Any, kind: Simple) -> Any:
    """What a client sent, as text of XML or as a value of JSON. Raises `ValueError`."""
    base = kind.base
    if base == "xs:boolean":
        return _boolean(value)
    if base in WHOLE:
        return _whole(value, base)
    if base == "xs:float":
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"{value!r} is no number")
        return float(value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no string")
    if base == "xs:dateTime":
        value = value.strip()
        if not MOMENT.fullmatch(value):
            raise ValueError(f"{value!r} is no date and time such as {datetime(2024, 5, 1, 12).isoformat()}Z")
    if kind.values and value.strip() not in kind.values:
        raise ValueError(f"{value!r} is none of {', '.join(sorted(kind.values))}")
    return value.strip() if kind.values else value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = _BOOLEANS.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is neither true nor false")
    return found


def _whole(value: Any, base: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,19}\s*", value, re.ASCII):
        value = int(value)
    if type(value) is not int or not -WHOLE[base] <= value < WHOLE[base]:
        raise ValueError(f"{str(value)[:40]!r} is no whole number of {base}")
    return value
