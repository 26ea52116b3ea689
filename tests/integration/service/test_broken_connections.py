"""Connections that break, or never answer, because somebody asked: seen from the other end of a real one."""

from __future__ import annotations

import http.client
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

IMAGES = "/api/users/root/images"


def test_a_connection_breaks_without_an_answer_and_the_next_one_does_not(service: Any) -> None:
    assert service.http.post("/_forgelet/faults", json={"operation": "16", "action": "drop"}).status_code == 201
    with pytest.raises(httpx.RemoteProtocolError, match="disconnected without sending a response"):
        service.http.get(IMAGES)
    assert service.http.get(IMAGES).status_code == 200


def test_who_gives_up_waiting_leaves_nothing_behind(service: Any) -> None:
    service.http.post("/_forgelet/faults", json={"operation": "images.index", "action": "hang"})
    with pytest.raises(httpx.ReadTimeout):
        service.http.get(IMAGES, timeout=0.5)
    assert service.http.get(IMAGES).status_code == 200
    assert service.http.get("/_forgelet/faults", params={"spent": True}).json()["faults"]["fault"][0]["hits"] == 1


def test_a_connection_outlasts_the_time_that_clients_keep_it(service: Any) -> None:
    """httpx lets go after 5 seconds: a service that closes then as well meets the next request."""
    kept = http.client.HTTPConnection(urlsplit(service.origin).netloc)
    for pause in (0, 5.5):
        time.sleep(pause)
        kept.request("GET", "/_forgelet/health")
        sock = kept.sock
        assert kept.getresponse().read() and kept.sock is sock is not None
    kept.close()
