"""How errors are told: always a `uforgeError`, for whatever went wrong, and never a traceback."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from emulator.errors import Unauthorized
from emulator.storage import stamp
from emulator.wire.answer import dumps
from scanner.errors import ForgeletError, NotFound, UserError

log = logging.getLogger("forgelet")


def uforge_error(request: Request, error: ForgeletError, status: int) -> dict[str, Any]:
    """UForge's error element; `code`, `hint`, `problems` and `exitCode` are ours."""
    return {
        "localizedErrorMsg": {"message": error.message},
        "requestMethod": request.method,
        "requestUri": request.url.path,
        "statusCode": status,
        "timestamp": stamp.now(),
        "code": error.code,
        "hint": error.hint,
        "problems": list(getattr(error, "problems", ())),
        "exitCode": error.exit_code,
    }


def tell(request: Request, error: ForgeletError, status: int | None = None) -> Response:
    """The response that says `error`."""
    code = status or error.http_status
    headers = {"WWW-Authenticate": 'Basic realm="forgelet"'} if isinstance(error, Unauthorized) else None
    body = dumps({"uforgeError": uforge_error(request, error, code)})
    return Response(body, status_code=code, media_type="application/json", headers=headers)


async def _expected(request: Request, error: Exception) -> Response:
    assert isinstance(error, ForgeletError)
    return tell(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return tell(request, NotFound("there is no such resource", hint="check the path and the base URL, which ends in /api"))
    phrase = HTTPStatus(error.status_code).phrase
    response = tell(request, UserError(error.detail or phrase), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(str(part) for part in e['loc'][1:]) or e['loc'][0]}: {e['msg']}" for e in error.errors()]
    return tell(request, UserError("the request is wrong", problems=problems))


async def _fault(request: Request, error: Exception) -> Response:
    log.error("internal fault at %s %s", request.method, request.url.path)
    return tell(request, ForgeletError("an internal fault of the service", hint="the service's log has the whole story"))


def install(app: FastAPI) -> None:
    """Make `app` tell every error so. The server logs the traceback of what nobody expected."""
    app.add_exception_handler(ForgeletError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _fault)
