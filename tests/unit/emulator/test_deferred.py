"""The routes that are made at the first request that wants one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fastapi.testclient import TestClient

from emulator.app import make_app
from emulator.deferred import Deferred
from emulator.service import Service

ROOT = ("root", "forgelet")


def _waiting(client: TestClient) -> bool:
    return any(isinstance(route, Deferred) for route in client.app.router.routes)  # type: ignore[attr-defined]


def test_health_does_not_load_the_rest_and_the_first_resource_does(service: Service) -> None:
    with TestClient(make_app(service)) as client:
        assert client.get("/_forgelet/health").json()["ready"] and _waiting(client)
        assert client.get("/api/users/root", auth=ROOT).json()["loginName"] == "root"
        assert not _waiting(client)


def test_a_first_request_for_nothing_is_told_so(service: Service) -> None:
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        answers = [client.get("/api/nowhere"), client.post("/_forgelet/health")]
    assert [answer.status_code for answer in answers] == [404, 405]
    assert all("uforgeError" in answer.json() for answer in answers)


def test_many_first_requests_at_once_are_all_answered(service: Service) -> None:
    with TestClient(make_app(service)) as client, ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: client.get("/api/users/root", auth=ROOT).status_code, range(16)))
    assert codes == [200] * 16
