"""The HTTP side of the reading room: FastAPI, behind limits, access control and security headers.

Routes stand in ``routes``; what they do stands in the modules that do it.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from adapters.results.frame import NOTICE
from adapters.serving.access import Access
from adapters.serving.desk import Desk
from adapters.serving.headers import SecurityHeaders
from adapters.serving.intake import Full
from adapters.serving.limits import LOGINS_PER_MINUTE, Bodies, Limits, Rate
from adapters.serving.looking import NotDrawn
from adapters.serving.routes import PAGE, open_router, router
from raydino import __version__

_REQUESTS = 4  # of the largest size at a time
RETRY_SECONDS = "10"


def create_app(desk: Desk, extra_routes: tuple[APIRouter, ...] = ()) -> FastAPI:
    """The application; ``extra_routes``: the viewer's, where there is one."""
    app = FastAPI(
        title="raydino",
        version=__version__,
        description=f"Chest radiographs in, findings, masks and a draft report out. {NOTICE}.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.desk = desk
    app.include_router(router)
    app.include_router(open_router)
    for routes in extra_routes:
        app.include_router(routes)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    app.add_exception_handler(Full, _full)
    app.add_exception_handler(NotDrawn, _not_drawn)
    app.add_exception_handler(RequestValidationError, _invalid)
    gate = desk.gate
    # The last that is added is the first to see a request.
    logins = Rate(LOGINS_PER_MINUTE / 60, LOGINS_PER_MINUTE)
    app.add_middleware(Bodies, most_bytes=_REQUESTS * gate.most_bytes)
    app.add_middleware(Limits, most_bytes=gate.most_bytes, rate=Rate(gate.per_second, gate.burst), logins=logins)
    if gate.keeper.proxy_header is not None:  # behind Access, which asks who connected and not for whom
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(gate.keeper.proxies))
    app.add_middleware(Access, keeper=gate.keeper, hosts=gate.hosts, log=gate.log, seen=desk.monitoring.request_ended)
    app.add_middleware(SecurityHeaders, is_tls=gate.is_tls)
    return app


def _full(request: Request, error: Exception) -> Response:
    again = {"Retry-After": RETRY_SECONDS}
    return JSONResponse({"detail": "no room for more files now; what was sent may be sent again"}, 503, again)


def _not_drawn(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"the film cannot be shown: {error}"}, 409)


def _invalid(request: Request, error: Exception) -> Response:
    """One line, without the values that were sent."""
    faults = error.errors() if isinstance(error, RequestValidationError) else []
    said = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
    return JSONResponse({"detail": said or "the request is not valid"}, 422)
