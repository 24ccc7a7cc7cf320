"""OHIF, an open viewer (MIT), served below ``/viewer`` as ``raydino viewer install`` has fetched it.

The content policy lets a page of OHIF's make functions from text and start workers, and reach no host but this one.
Neighbours: ``ohif_install``; ``dicomweb_proxy``, from which it reads films and results.
"""

from __future__ import annotations

import json
import mimetypes
import re
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from adapters.results.frame import NOTICE
from adapters.serving.dicomweb_proxy import ROOT
from adapters.serving.ohif_build import BASE
from adapters.serving.ohif_install import installed

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval' blob:",  # its array library and its decoders make functions from text
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",  # its components style themselves
        "img-src 'self' blob: data:",
        "font-src 'self' data:",
        "connect-src 'self' blob: data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HASHED = re.compile(r"\.[0-9a-f]{16}\.js$|(^|/)[0-9a-f]{16}\.(wasm|woff2)$")
_FILES = (".js", ".css", ".wasm", ".map", ".json")  # a missing one is missing, and no page


def study_address(study: str) -> str:
    """Of a study in the viewer, by its Study Instance UID."""
    return f"{BASE}/viewer?{urlencode({'StudyInstanceUIDs': study})}"


def viewer_routes(folder: Path) -> APIRouter:
    """GET below ``BASE``. ``folder`` is where ``ohif_install`` put OHIF. Raises UserError where it is not."""
    dist = installed(folder).dist
    files = {path.relative_to(dist).as_posix(): path for path in dist.rglob("*") if path.is_file()}
    page = files["index.html"].read_bytes()
    router = APIRouter(include_in_schema=False)

    @router.get(BASE)
    def base() -> RedirectResponse:
        return RedirectResponse(f"{BASE}/")

    @router.get(f"{BASE}/app-config.js")
    def config() -> Response:
        return Response(app_config(), media_type="text/javascript")

    @router.get(BASE + "/{path:path}")
    def file(path: str) -> Response:
        """A file of OHIF's; every other address is one of its pages, which its script tells apart."""
        headers = {"Content-Security-Policy": POLICY}
        if path in files and path != "index.html":  # looked up, never joined to a path
            if _HASHED.search(path):
                headers["Cache-Control"] = "private, max-age=31536000"
            kind = "application/wasm" if path.endswith(".wasm") else mimetypes.guess_type(path)[0]
            return FileResponse(files[path], media_type=kind or "application/octet-stream", headers=headers)
        if path.endswith(_FILES):
            raise HTTPException(404, "the viewer has no such file")
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    return router


def app_config() -> str:
    """OHIF's configuration as a script, with what its inline scripts did."""
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "pacs",
        "configuration": {
            "friendlyName": "PACS",
            "name": "pacs",
            "wadoUriRoot": ROOT,
            "qidoRoot": ROOT,
            "wadoRoot": ROOT,
            "qidoSupportsIncludeField": False,
            "supportsReject": False,
            "dicomUploadEnabled": False,
            "imageRendering": "wadors",
            "thumbnailRendering": "wadors",
            "enableStudyLazyLoad": True,
            "supportsFuzzyMatching": False,
            "supportsWildcard": True,
            "omitQuotationForMultipartRequest": True,
            "bulkDataURI": {"enabled": True},
        },
    }
    config = {
        "routerBasename": BASE,
        "extensions": [],
        "modes": [],
        "customizationService": [{"ohif.tours": {"$set": []}}],
        "showStudyList": True,
        "showLoadingIndicator": True,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "strictZSpacingForVolumeViewport": True,
        "maxNumberOfWebWorkers": 3,
        "disableConfirmationPrompts": True,  # a double click on a segmentation shows it
        "investigationalUseDialog": {"option": "always"},
        "defaultDataSourceName": "pacs",
        "dataSources": [source],
    }
    return (
        f"// {NOTICE}.\n"
        f'window.PUBLIC_URL = "{BASE}/";\n'
        "window.browserImportFunction = (name) => import(name);\n"
        f"window.config = {json.dumps(config, indent=1)};\n"
    )
