"""Every transfer syntax of DICOM (PS3.5 10, PS3.6 A): what decodes it here, or what to install for it.

Neighbours: ``decode`` tries the plugins in the order shown; ``raydino doctor`` prints this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.uid import UID, AllTransferSyntaxes, JPEGExtended12Bit

from raydino.dicom.decode import decoder_for, plugins_of

_WITHOUT_DECODER = {
    "JPEG 2000 Part 2": "no decoder known: multi-component volumes, not films",
    "JPIP": "no decoder known: the pixels lie on a server",
}


def syntaxes() -> Iterator[tuple[str, str]]:
    """(name, how it is decoded) of all that pydicom names."""
    for syntax in AllTransferSyntaxes:
        yield f"{syntax.name} [{syntax}]", how_decoded(syntax)


def how_decoded(syntax: UID) -> str:
    """``gdcm, then pylibjpeg``, or what is missing and the command that installs it."""
    decoder = decoder_for(syntax)
    if decoder is None:
        known = (why for start, why in _WITHOUT_DECODER.items() if syntax.name.startswith(start))
        return next(known, "not decoded: video or sound")
    if decoder.is_native:
        return "needs no plugin"
    plugins = plugins_of(decoder)
    if not plugins:
        return "cannot be decoded: " + " or ".join(_installs(decoder.missing_dependencies))
    found = ", then ".join(plugins)
    if syntax == JPEGExtended12Bit and "pylibjpeg" not in plugins:
        found += " (8 bits only; 12 bits: pip install 'raydino[jpeg12]')"
    return found


def _installs(missing: list[str]) -> Iterator[str]:
    """pydicom's ``plugin - requires a>=1 and b>=2`` as commands; libjpeg is GPL, so an extra."""
    for line in missing:
        packages = re.split(r", | and ", line.partition("requires ")[2])
        wanted = " ".join(f"'{package}'" for package in packages if package)
        if "pylibjpeg-libjpeg" in wanted:
            wanted = "'raydino[jpeg12]'"
        yield f"pip install {wanted.replace('gdcm', 'python-gdcm')}" if wanted else line
