from __future__ import annotations

import pytest
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ExplicitVRLittleEndian,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from raydino.dicom import syntaxes


def test_every_syntax_stands_there_once() -> None:
    rows = dict(syntaxes.syntaxes())
    assert len(rows) == len(AllTransferSyntaxes)
    assert all(how for how in rows.values())
    assert rows[f"Explicit VR Little Endian [{ExplicitVRLittleEndian}]"] == "needs no plugin"
    assert "pylibjpeg" in rows[f"RLE Lossless [{RLELossless}]"]
    assert not [name for name, how in rows.items() if how.startswith("cannot") and "JPEG" in name]


@pytest.mark.parametrize(
    ("uid", "how"),
    [
        ("1.2.840.10008.1.2.4.92", "no decoder known: multi-component volumes, not films"),
        ("1.2.840.10008.1.2.4.204", "no decoder known: the pixels lie on a server"),
        ("1.2.840.10008.1.2.4.107", "not decoded: video or sound"),
    ],
)
def test_what_nothing_decodes(uid: str, how: str) -> None:
    assert syntaxes.how_decoded(UID(uid)) == how


def test_without_plugins_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntaxes, "plugins_of", lambda decoder: [])
    missing = ["gdcm - requires gdcm>=3.0.10", "pylibjpeg - requires pylibjpeg>=2.0 and pylibjpeg-libjpeg>=2.1"]
    monkeypatch.setattr(Decoder, "missing_dependencies", property(lambda self: missing))
    assert syntaxes.how_decoded(JPEGLosslessSV1) == (
        "cannot be decoded: pip install 'python-gdcm>=3.0.10' or pip install 'raydino[jpeg12]'"
    )


def test_twelve_bit_jpeg_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntaxes, "plugins_of", lambda decoder: ["pillow", "gdcm"])
    assert syntaxes.how_decoded(JPEGExtended12Bit) == (
        "pillow, then gdcm (8 bits only; 12 bits: pip install 'raydino[jpeg12]')"
    )
