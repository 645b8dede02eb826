"""Who may ask what of the routes: the page's own login, and no orders from other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request


def logged_in(request: Request) -> None:
    """With gradio's own login on, our routes want it too: the cookie that it set, as its ``login_check`` reads it."""
    app = request.app
    if getattr(app, "auth", None) is None:
        return
    token = request.cookies.get("access-token") or request.cookies.get("access-token-unsecure")
    if token is None or app.tokens.get(token) is None:
        raise HTTPException(401, "Not authenticated")


def own_page(request: Request) -> None:
    """Refuse orders that another site's page sends through the user's browser.

    A form cannot send JSON, and a script of another site has to ask first, which nothing here grants. The browser's
    own word for where a request comes from counts before the comparison of names, which differ behind a proxy.
    Programs send neither.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send JSON with Content-Type: application/json")
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    foreign = (
        site not in ("same-origin", "none") if site else bool(origin) and _host(origin) != request.headers.get("host")
    )
    if foreign:
        raise HTTPException(403, "Requests from other sites are refused")


def _host(origin: str | None) -> str:
    return urlsplit(origin or "").netloc
