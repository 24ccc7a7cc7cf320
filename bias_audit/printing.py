"""report.html to report.pdf by a Chromium that is installed; nothing is loaded while it prints.

A browser prints the page as it shows it, which no library does that could be a dependency here. Chromium writes the
time of day into the file; since an artifact holds none, it is overwritten by a fixed one of the same length.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from raydino.errors import UserError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
VARIABLE = "RAYDINO_CHROMIUM"
QUIET = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--no-pdf-header-footer"),
)
LIMIT_SECONDS = 300
_DATE = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}")


def find_chromium() -> str:
    """The path of a Chromium: that of RAYDINO_CHROMIUM, else the first of its names that the system knows."""
    wanted = os.environ.get(VARIABLE)
    for name in (wanted,) if wanted else NAMES:
        found = shutil.which(name)
        if found:
            return found
    raise UserError(
        f"--pdf needs Chromium, and none was found ({wanted or ', '.join(NAMES)})",
        remedy=f"install it, name it in {VARIABLE}, or print report.html from any browser",
    )


def print_pdf(page: Path, pdf: Path, chromium: str) -> None:
    """Print the HTML file ``page`` to ``pdf``. Raises UserError where Chromium does not."""
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # Chromium refuses it to root
    with tempfile.TemporaryDirectory() as profile:
        target = Path(profile) / "report.pdf"
        words = [chromium, *QUIET, *sandbox, f"--user-data-dir={profile}/profile", f"--print-to-pdf={target}"]
        try:
            done = subprocess.run(
                [*words, page.resolve().as_uri()], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"Chromium did not print ({error})", where=chromium) from None
        if not target.is_file():
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise UserError(f"Chromium did not print ({reason})", where=chromium)
        pdf.write_bytes(_DATE.sub(rb"/\1 (D:20000101000000", target.read_bytes()))
