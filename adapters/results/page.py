"""One page of PDF that shows a reading: the film with outlines, findings as bars, measurements, the draft.

The same reading gives the same bytes. No patient, date or identifier stands on it: these are in the DICOM header
around it, and a page that is copied out of an archive names nobody. What does not fit is counted, and stands whole in
the structured report.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from reportlab import rl_config
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader, simpleSplit
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from adapters.reading import Finding, Reading
from adapters.results.codes import unit_code
from adapters.results.frame import NOTICE
from adapters.results.model import Model

WIDTH, HEIGHT = A4
MARGIN = 15 * mm
FILM_WIDTH, FILM_HEIGHT = 80 * mm, 95 * mm
FILM_PIXELS = 480  # of its longer side, 150 dpi
TEXT = "DejaVuSans"  # has Latin, Greek and Cyrillic; other letters are boxes
MOST_FINDINGS, MOST_LINES = 18, 30
OUTLINES = tuple(
    HexColor(value) for value in (0xE69F00, 0x56B4E9, 0x009E73, 0xF0E442, 0xD55E00, 0xCC79A7)
)  # Okabe, Ito
BAR, RAIL, ALARM, FAINT = HexColor(0x0072B2), HexColor(0xDDDDDD), HexColor(0xB00020), HexColor(0x555555)

rl_config.useA85 = 0  # streams as bytes, not as text: half the time of a page; reportlab has no other switch


def report_page(reading: Reading, model: Model) -> bytes:
    """A PDF of one page of A4."""
    file = io.BytesIO()
    _require_font()
    page = Canvas(file, pagesize=A4, pageCompression=1, invariant=1, initialFontName=TEXT)
    page.setTitle("Reading of a chest radiograph by a model")
    page.setSubject(NOTICE)
    page.setProducer(f"raydino {model.version}")
    top = _heading(page)
    below_film = _film(page, reading, MARGIN, top)
    below_film = _measurements(page, reading, MARGIN, below_film)
    below_findings = _findings(page, reading, MARGIN + FILM_WIDTH + 8 * mm, top)
    _draft(page, reading, min(below_film, below_findings) - 8 * mm)
    _footer(page, model)
    page.showPage()
    page.save()
    return file.getvalue()


def _heading(page: Canvas) -> float:
    top = HEIGHT - MARGIN
    page.setFillColor(ALARM)
    page.rect(MARGIN, top - 9 * mm, WIDTH - 2 * MARGIN, 9 * mm, stroke=0, fill=1)
    _say(page, MARGIN + 3 * mm, top - 6 * mm, f"{NOTICE}. Written by a model; no person has verified it.", 11, white)
    return top - 14 * mm


def _film(page: Canvas, reading: Reading, left: float, top: float) -> float:
    """The film with its outlines, at most FILM_WIDTH × FILM_HEIGHT; returns what is below."""
    pixels = reading.film.pixels
    rows, cols = pixels.shape
    scale = min(FILM_WIDTH / cols, FILM_HEIGHT / rows)
    width, height = cols * scale, rows * scale
    page.drawImage(ImageReader(io.BytesIO(_jpeg(pixels))), left, top - height, width, height)
    page.setLineWidth(1)
    y = top - height - 4 * mm
    for place, (structure, mask) in enumerate(reading.masks.items()):
        colour = OUTLINES[place % len(OUTLINES)]
        page.setStrokeColor(colour)
        for outline in _outlines(mask):
            path = page.beginPath()
            points = [(left + x * scale, top - y_film * scale) for x, y_film in outline + 0.5]
            path.moveTo(*points[0])
            for point in points[1:]:
                path.lineTo(*point)
            path.close()
            page.drawPath(path)
        page.setFillColor(colour)
        page.rect(left, y, 2.5 * mm, 2.5 * mm, stroke=0, fill=1)
        found = f"{100 * float(mask.mean()):.1f} % of the film" if mask.any() else "not found"
        _say(page, left + 4 * mm, y, f"{structure.replace('_', ' ')}: {found}")
        y -= 4.5 * mm
    return y


def _jpeg(pixels: np.ndarray) -> bytes:
    grey = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    scale = min(1.0, FILM_PIXELS / max(grey.shape))
    rows, cols = (max(1, round(side * scale)) for side in grey.shape)
    _, jpeg = cv2.imencode(".jpg", cv2.resize(grey, (cols, rows), interpolation=cv2.INTER_AREA))
    return jpeg.tobytes()


def _outlines(mask: np.ndarray) -> Iterator[np.ndarray]:
    """[points, 2] x and y in pixels of the film, of each part."""
    parts, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_TC89_L1)
    return (part[:, 0] for part in parts)


def _measurements(page: Canvas, reading: Reading, left: float, y: float) -> float:
    for name, value in reading.measurements.items():
        unit = unit_code(name)
        told = "" if unit.value in ("1", "{ratio}") else f" {unit.value if unit.value != 'a' else 'years'}"
        _say(page, left, y, f"{name.replace('_', ' ')}: {value:.3g}{told}")
        y -= 4.5 * mm
    return y


def _findings(page: Canvas, reading: Reading, left: float, top: float) -> float:
    """A bar of each finding from 0 to 1, its operating point as a line across; returns what is below."""
    if not reading.findings:
        return top
    width = WIDTH - MARGIN - left
    y = top - 3 * mm
    _say(page, left, y, "Findings: probability (bar) and operating point (line)", 9)
    ranked = list(reading.findings.items())
    if len(ranked) > MOST_FINDINGS:
        ranked = sorted(ranked, key=lambda named: -named[1].probability)[:MOST_FINDINGS]
    for label, finding in ranked:
        y -= 8.5 * mm
        _finding(page, label, finding, left, y, width)
    if left_out := len(reading.findings) - len(ranked):
        y -= 5 * mm
        _say(page, left, y, f"{left_out} less probable ones stand in the structured report", 7, FAINT)
    return y


def _finding(page: Canvas, label: str, finding: Finding, left: float, y: float, width: float) -> None:
    called = {True: "present", False: "absent", None: "not called"}[finding.present]
    colour = ALARM if finding.present else black
    point = "no operating point" if finding.threshold is None else f"at {finding.threshold:.2f}"
    told = f"{finding.probability:.2f}  {called}, {point}"
    _say(page, left, y + 3 * mm, _cut(label, width - pdfmetrics.stringWidth(told, TEXT, 8) - 2 * mm, 8), 8, colour)
    page.drawRightString(left + width, y + 3 * mm, told)
    page.setFillColor(RAIL)
    page.rect(left, y, width, 2 * mm, stroke=0, fill=1)
    page.setFillColor(ALARM if finding.present else BAR)
    page.rect(left, y, width * min(1.0, max(0.0, finding.probability)), 2 * mm, stroke=0, fill=1)
    if finding.threshold is not None:
        page.setStrokeColor(black)
        x = left + width * finding.threshold
        page.line(x, y - 0.6 * mm, x, y + 2.6 * mm)


def _draft(page: Canvas, reading: Reading, y: float) -> None:
    if not reading.report:
        return
    _say(page, MARGIN, y, "Draft report, not verified", 9)
    lines = [(line, black) for line in simpleSplit(reading.report, TEXT, 8, WIDTH - 2 * MARGIN)]
    for one in reading.contradictions:
        told = f"Against the findings: “{one.sentence}” ({one.reason})"
        lines += [(line, ALARM) for line in simpleSplit(told, TEXT, 8, WIDTH - 2 * MARGIN)]
    room = min(MOST_LINES, int((y - MARGIN - 14 * mm) / (4 * mm)))
    for line, colour in lines[:room]:
        y -= 4 * mm
        _say(page, MARGIN, y, line, 8, colour)
    if len(lines) > room:
        _say(page, MARGIN, y - 4 * mm, f"{len(lines) - room} more lines stand in the structured report", 7, FAINT)


def _footer(page: Canvas, model: Model) -> None:
    lines = [f"raydino {model.version}, encoder {model.encoder[:16]}"]
    lines.append(", ".join(f"{author.kind} {author.fingerprint[:16]}" for author in model.authors))
    for place, line in enumerate(reversed(lines)):
        _say(page, MARGIN, MARGIN + place * 3.5 * mm, _cut(line, WIDTH - 2 * MARGIN, 6.5), 6.5, FAINT)


def _say(page: Canvas, x: float, y: float, text: str, size: float = 8, colour: Color = black) -> None:
    page.setFillColor(colour)
    page.setFont(TEXT, size)
    page.drawString(x, y, text)


def _cut(text: str, width: float, size: float) -> str:
    """As much of the text as fits."""
    if pdfmetrics.stringWidth(text, TEXT, size) <= width:
        return text
    while text and pdfmetrics.stringWidth(f"{text}…", TEXT, size) > width:
        text = text[:-1]
    return f"{text}…"


@cache
def _require_font() -> None:
    """Embedded, of matplotlib's: the fonts that every reader of PDF has know Latin letters only."""
    pdfmetrics.registerFont(TTFont(TEXT, str(Path(mpl.get_data_path()) / "fonts" / "ttf" / f"{TEXT}.ttf")))
