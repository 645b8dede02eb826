"""The outer edge of the API: whatever goes wrong in a route is answered in the asked language.

Every route answers an error as ``{"key", "field", "message"}``, and logs it if nobody expected it. A route itself only
raises: ``UserError`` and its kinds, or ``HTTPException`` where no sentence for a user is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Body, Depends, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from lora_trainer.api.hooks import Hooks
from lora_trainer.api.wording import spoken
from lora_trainer.errors import Busy, Unknown, UserError
from lora_trainer.language import English, translate

log = logging.getLogger(__name__)

PREFIX = "/lora_trainer/v1"
BODY = Body({})
CODES: tuple[tuple[type[UserError], int], ...] = ((Unknown, 404), (Busy, 409), (UserError, 422))
# What never changes under its address, and what may: pictures and static files say which they are.
FOREVER, ASK_AGAIN = "private, max-age=31536000, immutable", "private, no-cache"
PACKED = {"Content-Encoding": "identity", "X-Content-Type-Options": "nosniff"}  # pictures need no gzip on top
# Every error's shape, for OpenAPI.
REFUSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "key": {"type": "string", "description": "Which error it is, in every language the same"},
        "field": {"type": "string", "nullable": True, "description": "The setting or value at fault"},
        "message": {"type": "string", "description": "What happened, why, and what to do next"},
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused: 401 not logged in, 404 unknown, 409 busy, 422 a value that cannot be",
        "content": {"application/json": {"schema": REFUSED}},
    }
}
LANG = Query(None, description="`en` or `zh`; without it the host's language, else the browser's")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def asked_language(request: Request, lang: str | None = LANG) -> str:
    """The language that sentences are wanted in, ``"en"`` or ``"zh"``."""
    return str(getattr(request.state, "language", English))


LANGUAGE = Depends(asked_language)  # a route's parameter: ``language: str = LANGUAGE``


def answering(hooks: Hooks) -> type[APIRoute]:
    """The kind of route that answers its errors; a router makes all of its routes of it."""

    class Answering(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
            # Our values are plain: checking and copying each of them by its type's hint takes time at every start
            # and every answer.
            super().__init__(path, endpoint, **{**more, "response_model": None})

        def get_route_handler(self) -> Handler:
            handle = super().get_route_handler()

            async def handled(request: Request) -> Response:
                request.state.language = _language(hooks, request)
                return await answered(handle, request)

            return handled

    return Answering


async def answered(handle: Handler, request: Request) -> Response:
    """What ``handle`` answers, or the error that it raises as an answer."""
    language = asked_language(request)
    try:
        return await handle(request)
    except UserError as error:
        code = next(code for kind, code in CODES if isinstance(error, kind))
        return problem(code, error.key, error.text(language), error.field)
    except RequestValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        said = translate("error.bad_request", language, place=place, reason=first["msg"])
        return problem(422, "bad_request", said, place)
    except HTTPException as error:
        answer = problem(error.status_code, "refused", str(error.detail))
        answer.headers.update(getattr(error, "headers", None) or {})
        return answer
    except Exception as error:
        log.exception("%s %s failed", request.method, request.url.path)
        return problem(500, "unexpected", translate("error.unexpected_request", language, reason=error))


def problem(code: int, key: str, message: str, field: str | None = None) -> JSONResponse:
    """An error as the page gets it; ``field`` is the setting or the value at fault."""
    return JSONResponse({"key": key, "field": field, "message": message}, code)


def _language(hooks: Hooks, request: Request) -> str:
    """The language that the page asks for (it knows its own), else the host's or the browser's."""
    asked = request.query_params.get("lang")
    return spoken(asked, "") if asked else spoken(hooks.language, request.headers.get("accept-language", ""))
