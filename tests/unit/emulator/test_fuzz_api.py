"""The whole API under requests that nobody wrote: by its own OpenAPI description (schemathesis), with numbers that are none, and with other people's."""

from __future__ import annotations

import itertools
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from support.fuzz import check, nothing_outside, tries

from emulator.service import Service

ACCEPT = ("application/json", "application/xml")
NUMBERS = ("0", "-1", "1", str(2**31), str(2**63), str(10**400), "1.5", "x", "%00", "..%2f..%2fetc%2fpasswd", "%C3%A9", "1;--", "''")
APART = {("GET", "/_forgelet/targets"), ("GET", "/_forgelet/capabilities"), ("GET", "/_forgelet/journal/events")}
"""They ask this machine's engines whatever they are sent, or tell without end."""


@pytest.fixture(autouse=True)
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered to nonsense is evidence of nothing."""
    monkeypatch.delenv("FORGELET_JOURNAL", raising=False)


@pytest.fixture
def app(http: TestClient) -> FastAPI:
    """With all of its routes there."""
    http.get("/api/status")
    assert isinstance(http.app, FastAPI)
    return http.app


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of each, `{names}` in it."""
    for path, methods in app.openapi()["paths"].items():
        for method in methods:
            if (method.upper(), path) not in APART:
                yield method.upper(), path


def takes_anything(operation: Any) -> bool:
    """Whether it can be asked wrongly in no way: it takes nothing, or names in its path only."""
    taken = [one.definition for one in operation.iter_parameters()]
    return not operation.body and all(one["in"] == "path" and one["schema"].keys() <= {"type", "title"} and one["schema"]["type"] == "string" for one in taken)


@pytest.mark.filterwarnings("ignore")
def test_what_the_description_allows_and_forbids_is_answered(http: TestClient, app: FastAPI, service: Service) -> None:
    described = schemathesis.openapi.from_dict(app.openapi())
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 100
    answered: Counter[str] = Counter()
    with nothing_outside(service.folders.data), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for operation, mode in itertools.product(operations, (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)):
            if (operation.method.upper(), operation.path) in APART or (mode is schemathesis.GenerationMode.NEGATIVE and takes_anything(operation)):
                continue

            @tries(2)
            @given(case=operation.as_strategy(generation_mode=mode))
            def one(case: Any) -> None:
                accept = ACCEPT[answered.total() % 2]
                sent = case.as_transport_kwargs(base_url="http://testserver")
                sent.pop("cookies", None)
                check(http.request(**{**sent, "headers": {**sent.get("headers", {}), "Accept": accept}}), str(sent))
                answered[f"{mode.value} {case.method} {case.operation.path}"] += 1  # noqa: B023

            one()
    assert {key.partition(" ")[2] for key in answered if key.startswith("positive")} == {f"{one.method.upper()} {one.path}" for one in operations} - {" ".join(one) for one in APART}
    assert sum(key.startswith("negative") for key in answered) > 80


def test_numbers_that_are_none_are_told(http: TestClient, app: FastAPI, service: Service) -> None:
    tried = 0
    with nothing_outside(service.folders.data):
        for (method, path), accept in zip(routes(app), itertools.cycle(ACCEPT), strict=False):
            names = re.findall(r"\{(\w+)\}", path.replace("{uid}", "root").replace("{login}", "root"))
            # A number is a good name.
            for number in NUMBERS if names and "name" not in names else ():
                filled = re.sub(r"\{\w+\}", lambda _, n=number: n, path.replace("{uid}", "root").replace("{login}", "root"))
                answer = http.request(method, filled, headers={"Accept": accept}, content=b"" if method in ("POST", "PUT") else None)
                check(answer)
                assert answer.status_code >= 400 or number == "1" or "/log" in path, f"{method} {filled}: {answer.status_code}"
                tried += 1
    assert tried > 800


def test_what_is_another_s_is_neither_told_nor_changed(http: TestClient, app: FastAPI, drive: Any, service: Service) -> None:
    """root has one of everything, with the number 1; alice asks for it, under his name and under her own."""
    image = drive.image()
    sent = http.post(f"/api/{image['uri']}/pimages", json={"credAccount": {"name": "local"}}).json()
    assert service.queue.wait(sent["jobId"], 10)
    assert http.post("/_forgelet/users", json={"login": "alice", "password": "wonder"}).status_code == 201
    jobs = http.get("/_forgelet/jobs").json()
    before = {path: http.get(f"/api/users/root/{path}").json() for path in ("images", "pimages", "scannedinstances?includeScans=true", "accounts")}
    http.auth = ("alice", "wonder")
    for (method, path), login in itertools.product(routes(app), ("root", "alice")):
        if "{uid}" not in path or not re.search(r"\{(?!uid)", path):
            continue
        filled = re.sub(r"\{\w+\}", "1", path.replace("{uid}", login))
        answer = http.request(method, filled, content=b"{}" if method in ("POST", "PUT") else None)
        check(answer)
        refused = answer.status_code in (400, 403, 404, 405, 409, 422)
        assert refused, f"{method} {filled}: {answer.status_code} {answer.text[:200]}"
        assert login == "alice" or answer.status_code in (403, 405), f"{method} {filled}: {answer.status_code}"
    for method, path in routes(app):
        if path.startswith(("/_forgelet/jobs/{", "/_forgelet/users/{")):
            check(answer := http.request(method, re.sub(r"\{\w+\}", "root" if "{login}" in path else "1", path, count=1).replace("{kid}", "1"), json={}))
            assert answer.status_code in (403, 404, 405, 422, 400), f"{method} {path}: {answer.status_code}"
    http.auth = ("root", "forgelet")
    assert {path: http.get(f"/api/users/root/{path}").json() for path in before} == before
    assert http.get("/_forgelet/jobs").json() == jobs

