"""What is changed in the files of OHIF's build when it is installed.

The build expects to lie at the root of a host, so its addresses are moved to ``BASE``. Its entry page loses inline
scripts (the content policy forbids them), service workers and links to files that nobody asks for. Three faults of
3.13.2 that radiographs meet are mended; a build without them stays as it is. Neighbour: ``ohif_install``.
"""

from __future__ import annotations

import re

BASE = "/viewer"
# Service workers and login pages of other providers load scripts from elsewhere.
LEFT_OUT = {"app-config.js", "sw.js", "init-service-worker.js", "google.js", "silent-refresh.html", "manifest.json"}
_ROOT = (b'__webpack_require__.p = "/";', f'__webpack_require__.p = "{BASE}/";'.encode())
_MENDED = (
    # Of the text SIGMOID its first letter was taken, which is no VOI LUT Function: the film stayed black.
    (b"voiLutModule.voiLUTFunction[0])", b"[voiLutModule.voiLUTFunction].flat()[0])"),
    # A segmentation of a radiograph has no orientation in the patient (PS3.3 A.51): it lies on its film's own grid.
    (
        b"PerFrameFunctionalGroups.PlaneOrientationSequence.ImageOrientationPatient;",
        b"PerFrameFunctionalGroups.PlaneOrientationSequence?.ImageOrientationPatient || validOrientations[0];",
    ),
    (
        b'if (!ImageOrientationPatientI) {\n          throw new Error("SEG frame "',
        b'if (!ImageOrientationPatientI && !validOrientations[0]) {\n          throw new Error("SEG frame "',
    ),
    (
        b"SourceData(pixelDataI2D, ImageOrientationPatientI, validOrientations,",
        b"SourceData(pixelDataI2D, ImageOrientationPatientI || validOrientations[0], validOrientations,",
    ),
    # Masks of one bit a pixel may end in a byte of padding (PS3.5 8.1.1), as DICOM values have an even length.
    (b"if (!(totalBytes !== length)) {", b"if (!(totalBytes + (totalBytes & 1) !== length)) {"),
    (b"allPixelData = stream.readArrayBuffer(totalBytes);", b"allPixelData = stream.readArrayBuffer(length);"),
)


def adapted(name: str, data: bytes) -> bytes:
    """A file of the build as it is served; ``name`` is that below dist."""
    base = BASE.encode()
    if name == "index.html":
        return _entry_page(data.decode()).encode()
    if name.endswith(".js"):
        for given, wanted in (_ROOT, *_MENDED):
            data = data.replace(given, wanted)
        return data
    if name.endswith(".css"):
        return re.sub(rb"url\((['\"]?)/(?!/)", rb"url(\1" + base + b"/", data)
    return data


def _entry_page(html: str) -> str:
    html = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    html = re.sub(r'<script[^>]*src="/init-service-worker\.js"[^>]*></script>', "", html)
    html = re.sub(r'<link rel="(manifest|yandex-tableau-widget|apple-touch-[a-z-]+)"[^>]*>', "", html)
    html = re.sub(r'<meta name="msapplication-[^>]*>', "", html)
    return re.sub(r'(src|href)="/(?!/)', rf'\1="{BASE}/', html)
