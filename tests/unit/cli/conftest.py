"""The commands against a service that answers from a table: what was asked is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from cli import context
from cli.client import Client
from cli.main import run

USER = "/api/users/root/"


@dataclass
class FakeService:
    """`answers` maps `METHOD path` to a body, a list of bodies (one an ask, the last one stays), a (status, body) pair, an exception, or
    what answers the request with one of these."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def handle(self, request: httpx.Request) -> httpx.Response:
        key = f"{request.method} {request.url.path}"
        self.asked.append((key, _said(request)))
        found = self.answers.get(key, (404, self.error("there is no such resource", 1)))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, BaseException):
            raise found
        if callable(found):
            found = found(request)
        status, body = found if isinstance(found, tuple) else (200, found)
        return httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body))

    @staticmethod
    def error(message: str, exit_code: int, hint: str = "do this", problems: tuple[str, ...] = ()) -> dict[str, Any]:
        told = {"localizedErrorMsg": {"message": message}, "hint": hint, "problems": list(problems), "exitCode": exit_code}
        return {"uforgeError": told}

    def mine(self, method: str, path: str, body: Any) -> None:
        self.answers[f"{method} {USER}{path}"] = body

    def job(self, number: int, *states: str, **fields: Any) -> None:
        """The job goes through `states`, one a look."""
        told = {"dbId": number, "kind": "scan", "stage": "scan.inventory", "percentage": 50, "message": "working", "error": "", "hint": "", "problems": [], "exitCode": 0}
        self.answers[f"GET /_forgelet/jobs/{number}"] = [{**told, **fields, "state": state} for state in states]


def _said(request: httpx.Request) -> Any:
    if not request.content:
        return dict(request.url.params)
    return json.loads(request.content) if request.headers.get("content-type") == "application/json" else request.content


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def fake() -> FakeService:
    return FakeService()


@pytest.fixture
def forgelet(fake: FakeService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run one command line."""
    monkeypatch.setattr(context, "INTERVAL", 0)
    client = Client("http://service/api", "root", "forgelet", httpx.MockTransport(fake.handle))

    def command(*argv: str) -> Result:
        code = run(list(argv), obj=client)
        told = capsys.readouterr()
        return Result(code, told.out, told.err)

    return command
