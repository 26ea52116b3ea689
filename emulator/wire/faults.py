"""How errors are told: always a `uforgeError`, in the representation that was asked for, for whatever went wrong, and never a traceback.

In JSON the element's name is a key around it, so that an error is never taken for an answer.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from emulator.errors import NotSatisfiable, Unauthorized
from emulator.storage import stamp
from emulator.wire.answer import dumps
from emulator.wire.negotiation import JSON, XML, wants_xml
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
    headers = _headers(error)
    told = uforge_error(request, error, code)
    if wants_xml(request.scope):
        from emulator.wire.writer import encode

        return Response(encode("uforgeError", _listed(told)), status_code=code, media_type=XML, headers=headers)
    return Response(dumps({"uforgeError": told}), status_code=code, media_type=JSON, headers=headers)


def _headers(error: ForgeletError) -> dict[str, str] | None:
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": 'Basic realm="forgelet"'}
    return {"Content-Range": f"bytes */{error.size}"} if isinstance(error, NotSatisfiable) else None


def _listed(told: dict[str, Any]) -> dict[str, Any]:
    """Who reads XML has only the message: the problems and the next step go there."""
    lines = [told["localizedErrorMsg"]["message"], *told["problems"], *([f"Next: {told['hint']}"] if told["hint"] else [])]
    return {**told, "localizedErrorMsg": {"message": "\n".join(lines)}}


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


async def _overflow(request: Request, error: Exception) -> Response:
    if "SQLite" not in str(error):
        raise error
    return tell(request, NotFound("there is no such resource: its number is larger than any"))


async def _fault(request: Request, error: Exception) -> Response:
    log.error("internal fault at %s %s", request.method, request.url.path)
    return tell(request, ForgeletError("an internal fault of the service", hint="the service's log has the whole story"))


def install(app: FastAPI) -> None:
    """Make `app` tell every error so. The server logs the traceback of what nobody expected."""
    app.add_exception_handler(ForgeletError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    # A number in the path that SQLite cannot even compare: no row has it.
    app.add_exception_handler(OverflowError, _overflow)
    app.add_exception_handler(Exception, _fault)
