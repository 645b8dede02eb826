"""Who may ask what of the routes: the page's login, the API's password, and no orders from other sites."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from lora_trainer.api.hooks import Password

UPLOAD = "application/octet-stream"


def logged_in(password: Password | None = None) -> Callable[[Request], None]:
    """A check of who asks, which raises 401 for strangers.

    With gradio's own login on, our routes want it too: the cookie that it set, as its ``login_check`` reads it. With a
    password on the API, that is asked for; either will do where both are on.
    """

    def check(request: Request) -> None:
        login = getattr(request.app, "auth", None) is not None
        if not login and password is None:
            return
        if (login and _has_cookie(request)) or (password is not None and _has_password(request, password)):
            return
        raise HTTPException(401, "Not authenticated", {"WWW-Authenticate": "Basic"} if password else None)

    return check


def own_page(request: Request) -> None:
    """Refuse orders that another site's page sends through the user's browser.

    A form cannot send JSON, and a script of another site has to ask first, which nothing here grants.
    """
    _refuse_unless(request, "application/json")


def own_upload(request: Request) -> None:
    """The same for the bytes of a file."""
    _refuse_unless(request, UPLOAD)


def _refuse_unless(request: Request, kind: str) -> None:
    """The browser's own word for where a request comes from counts before the comparison of names, which differ behind
    a proxy. Programs send neither.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != kind:
        raise HTTPException(415, f"Send it with Content-Type: {kind}")
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = (
        site not in ("same-origin", "none") if site else bool(origin) and _host(origin) != request.headers.get("host")
    )
    if foreign:
        raise HTTPException(403, "Requests from other sites are refused")


def _has_password(request: Request, fits: Password) -> bool:
    kind, _, packed = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        user, _, word = base64.b64decode(packed, validate=True).decode("utf-8").partition(":")
    except ValueError:  # no base64, or no text
        return False
    return fits(user, word)


def _has_cookie(request: Request) -> bool:
    token = request.cookies.get("access-token") or request.cookies.get("access-token-unsecure")
    return token is not None and request.app.tokens.get(token) is not None


def _host(origin: str | None) -> str:
    return urlsplit(origin or "").netloc
