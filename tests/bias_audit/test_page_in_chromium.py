"""The four commands' pages in a real browser: nothing overflows, overlaps or is fetched, axe finds no serious fault."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bias_audit.printing import find_chromium, print_pdf

KINDS = ("report", "compare", "encoder", "mitigate")
WIDTHS = {"desktop": 1280, "phone": 390}
A4_PIXELS = 703  # 186 mm of print area
STUCK_OUT = """() => [...document.querySelectorAll("body *")]
  .filter((e) => !e.closest(".scroll, svg, .sr, .skip, #hint") && e.getClientRects().length)
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((e) => e.tagName + " " + e.className + " " + e.textContent.trim().slice(0, 40))"""
OVERLAPS = """() => {
  const blocks = [...document.querySelectorAll("main section > *, .card, .findings > li, figure, header.top, nav")]
    .filter((e) => e.getClientRects().length).map((e) => [e, e.getBoundingClientRect()])
    .filter(([, r]) => r.height > 1);
  const found = [];
  for (const [a, p] of blocks) for (const [b, q] of blocks) {
    if (a === b || a.contains(b) || b.contains(a)) continue;
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 1) found.push(a.className + a.tagName + " over " + b.className + b.tagName);
  }
  return found;
}"""
FILTER_OF = "(t) => t.parentElement.previousElementSibling.querySelector('input').id"
# a name or figure of a plot may not run into its neighbour
TEXTS_MEET = """() => [...document.querySelectorAll("svg g")].flatMap((g) => {
  const boxes = [...g.querySelectorAll("text")].map((t) => t.getBoundingClientRect()).filter((r) => r.width);
  return boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1)) ? [g.textContent] : [];
})"""


@pytest.fixture(scope="module")
def report(audits: dict[str, Path]) -> Path:
    return audits["report"] / "report.html"


@contextmanager
def opened(browser: Any, path: Path) -> Iterator[Any]:
    """A page at desktop width; a request beyond the file itself, or an error of the script, fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(120_000)
    page.goto(path.as_uri())
    yield page
    page.close()
    assert asked == [path.as_uri()]
    assert faults == []


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    with opened(browser, report) as one:
        yield one


@pytest.fixture(params=KINDS)
def any_page(browser: Any, audits: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page of each of the four commands."""
    with opened(browser, audits[request.param] / "report.html") as one:
        yield one


def unfold(page: Any) -> None:
    page.evaluate("() => document.querySelectorAll('details').forEach((part) => { part.open = true; })")


def fits(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 1000})
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(STUCK_OUT) == []
    assert page.evaluate(OVERLAPS) == []
    assert page.evaluate(TEXTS_MEET) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_overflows_or_overlaps(any_page: Any, width: int) -> None:
    fits(any_page, width)


def test_in_print_nothing_is_cut_off_and_what_is_folded_shows(any_page: Any) -> None:
    page = any_page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": A4_PIXELS, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= A4_PIXELS
    assert page.evaluate(STUCK_OUT) == []
    assert page.evaluate(OVERLAPS) == []
    assert not page.locator("nav.contents").is_visible()
    folded = page.locator("details:not(.full):not([open]) > summary ~ :not(.filter)").first
    assert folded.bounding_box()["height"] > 20
    wide = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1)"
    assert page.evaluate(f"{wide}.map((e) => e.ariaLabel)") == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_axe_finds_no_serious_fault(any_page: Any, width: int, serious_faults: Callable[[Any], Any]) -> None:
    any_page.set_viewport_size({"width": width, "height": 1000})
    unfold(any_page)
    assert serious_faults(any_page) == []


def test_a_table_is_sorted_and_filtered_by_keyboard(page: Any) -> None:
    unfold(page)
    table = page.locator("table[data-sortable]", has=page.get_by_text("The smallest gap that a group"))
    button = table.locator("thead button", has_text="Median")
    button.focus()
    figures = "(t) => [...t.tBodies[0].rows].map((r) => parseFloat(r.cells[3].textContent))"
    for direction, descending in (("ascending", False), ("descending", True)):
        page.keyboard.press("Enter")
        assert table.locator("th[aria-sort]").get_attribute("aria-sort") == direction
        shown = table.evaluate(figures)
        assert shown == sorted(shown, reverse=descending)
        assert len(shown) > 3
    gaps = page.locator("table[data-sortable]", has=page.get_by_text("Sex × Site: each group"))
    box = page.locator(".filter", has=page.locator(f"#{gaps.evaluate(FILTER_OF)}"))
    box.locator("input").focus()
    page.keyboard.type("lakeside effusion")
    rows = gaps.evaluate("(t) => [...t.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.textContent)")
    assert rows
    assert all("Lakeside" in row and "Effusion" in row for row in rows)
    assert f"{len(rows)} of" in box.locator("[role=status]").text_content()


def test_the_first_tab_skips_to_the_report(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_mark_tells_its_figures_under_the_pointer(page: Any) -> None:
    mark = page.locator("svg g:has(circle.ok)").first
    mark.scroll_into_view_if_needed()
    mark.locator("circle").hover()
    hint = page.locator("#hint")
    assert hint.is_visible()
    assert "Everyone: 0." in hint.text_content()


def test_without_scripts_everything_is_there(browser: Any, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("thead button").count() == 0
    assert page.locator(".findings li").first.is_visible()
    fold = page.locator("summary", has_text="Sex × Site: gaps")
    fold.click()
    assert page.get_by_text("Sex × Site: each group against everyone else").is_visible()
    assert page.locator("svg g > title").count() > 10
    context.close()


def test_the_report_prints_to_the_same_pdf_twice(browser: Any, report: Path, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        print_pdf(report, tmp_path / name, find_chromium())
    printed = (tmp_path / "a.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert printed == (tmp_path / "b.pdf").read_bytes()
