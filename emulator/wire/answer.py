"""How a resource is told to a client: routes give plain data under UForge's names, this decides on the representation.

Today that is JSON: the data of the element named by `root`, escaped to ASCII so that names that are not UTF-8 (lone surrogates) pass.
Lists have UForge's shape: wrapper, then item, as in `{"scans": {"scan": [...]}}`.
"""

from __future__ import annotations

import json
from typing import Any

from fastapi import Response


def answer(root: str, data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The element `root` with the contents `data`."""
    return Response(dumps(data), status_code=status, media_type="application/json", headers={**(headers or {}), "X-Forgelet-Element": root})


def collection(root: str, item: str, members: list[dict[str, Any]], status: int = 200) -> Response:
    """A list: the wrapper is there even when it is empty."""
    return answer(root, {root: {item: members}}, status)


def nothing() -> Response:
    """Done, and nothing to say."""
    return Response(status_code=204)


def dumps(data: Any) -> str:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))
