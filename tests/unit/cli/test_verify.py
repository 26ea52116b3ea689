"""`forgelet image verify`: what is asked of the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

FOUND: dict[str, Any] = {"scopes": {}, "differences": [], "excuses": [], "runtime": {}, "probes": [], "witnesses": [], "stages": {}}


@pytest.fixture
def verify(fake: Any, forgelet: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The body of the request that the words make."""
    fake.mine("POST", "images/3/verifications", {"dbId": 7})
    fake.mine("GET", "images/3/verifications/last", FOUND)

    def asked(*words: str) -> dict[str, Any]:
        fake.job(7, "done")
        assert forgelet("image", "verify", "--id", "3", *words).code == 0
        return next(body for key, body in reversed(fake.asked) if key.endswith("/images/3/verifications"))

    return asked


def test_a_password_of_the_environment_goes_only_where_a_login_is_needed(verify: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGELET_SCAN_PASSWORD", "from-there")
    assert "access" not in verify("--probe", "http://:80/", "--source", "docker:web")
    assert verify("--probe", "http://:80/", "--source", "ssh:me@host:22")["access"] == {"password": "from-there"}
    assert verify("--probe", "http://:80/")["access"] == {"password": "from-there"}


def test_a_password_that_was_said_goes_along_and_the_service_refuses_it(verify: Callable[..., dict[str, Any]]) -> None:
    assert verify("--source", "docker:web", "--scan-password", "said")["access"] == {"password": "said"}
