"""What the client does before any command: find the service, log in, compare versions (PROTOCOL, section 1)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.hammr import Hammr
from support.service import Service

pytestmark = pytest.mark.hammr


def test_user_info_tells_who_is_logged_in(hammr: Hammr, service: Service) -> None:
    said = hammr("user", "info")
    told = service.http.get("/api/users/root").json()
    assert [told["loginName"]] == [row[0] for row in said.rows() if row[0] == "root"]


def test_a_wrong_password_is_told_as_an_error_of_uforge(anybody: Callable[..., Hammr], service: Service) -> None:
    said = anybody("-u", "root", "-p", "wrong")("user", "info", status=2)
    assert "UForge Error '401' with method: GET /api/status" in said.text
    assert service.http.get("/api/status", auth=("root", "wrong")).status_code == 401
