/** What lies over the film: an outline or a fill for each structure, and where the encoder looks. */

import { maskPath } from "./contours.js";
import { element } from "./element.js";
import { structureName } from "./names.js";

// Okabe and Ito's colours that differ for every kind of colour vision, without those that vanish on a film; with a
// dash each, so that no structure is told by colour alone. https://jfly.uni-koeln.de/color/
const STYLES = [
  { colour: "#56b4e9", dash: [] },
  { colour: "#e69f00", dash: [8, 5] },
  { colour: "#009e73", dash: [2, 4] },
  { colour: "#f0e442", dash: [12, 4, 2, 4] },
  { colour: "#cc79a7", dash: [16, 6] },
  { colour: "#d55e00", dash: [5, 3] },
];

/**
 * Put masks and attention of `result` over the film in `view`, with their controls in `place`. A picture that does not
 * come is left out, and its control says so. isCurrent(): whether the film is still the one shown.
 */
export async function showOverlays(view, place, result, isCurrent) {
  const { rows, cols } = result.film;
  const structures = result.reading.structures;
  const overlays = await Promise.all(result.masks.map(async ({ structure, url }, n) => ({
    structure, path: await maskPath(url, rows, cols).catch(() => null), shown: true, ...STYLES[n % STYLES.length],
  })));
  const attention = result.attention && { image: null, shown: false };
  if (!isCurrent()) return;
  Object.assign(view, { overlays: overlays.filter((overlay) => overlay.path), attention });
  view.redraw();
  place.hidden = !overlays.length && !attention;
  place.replaceChildren(
    element("ul", { "aria-label": "Overlays" },
      overlays.map((overlay) => element("li", {}, structureSwitch(view, overlay, structures[overlay.structure]))),
      attention ? element("li", {}, attentionSwitch(view, attention, result.attention)) : null),
    styleControls(view, overlays.length > 0));
}

async function picture(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  return image;
}

function structureSwitch(view, overlay, said) {
  const covered = said && `${(100 * said.share).toFixed(1)} % of the film`;
  const told = overlay.path ? covered : "the mask could not be fetched";
  return toggle(overlay, (shown) => {
    overlay.shown = shown;
    view.redraw();
  }, sample(overlay), structureName(overlay.structure), quiet(told));
}

/** The picture is fetched when it is first asked for: the service draws it then. */
function attentionSwitch(view, attention, url) {
  const told = quiet("of the encoder, no finding");
  return toggle(attention, async (shown) => {
    attention.shown = shown;
    try {
      attention.image ??= await picture(url);
    } catch {
      told.textContent = "could not be fetched";
    }
    view.redraw();
  }, element("i", { class: "sample attention" }), "Attention", told);
}

const quiet = (text) => element("span", { class: "quiet" }, text ?? "");

function toggle(layer, change, ...label) {
  const box = element("input", { type: "checkbox", onchange: () => change(box.checked) });
  box.checked = layer.shown;
  return element("label", {}, box, ...label);
}

/** The line as it is drawn. */
function sample({ colour, dash }) {
  const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const values = { viewBox: "0 0 36 8", class: "sample", "aria-hidden": "true" };
  for (const [name, value] of Object.entries(values)) line.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  const drawn = { d: "M0 4H36", stroke: colour, "stroke-width": 3, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries(drawn)) path.setAttribute(name, value);
  line.append(path);
  return line;
}

function styleControls(view, hasMasks) {
  const opacity = element("input", { type: "range", min: 0.1, max: 1, step: 0.05, "aria-label": "Opacity of overlays",
    oninput: () => set({ opacity: opacity.valueAsNumber }) });
  opacity.value = view.style.opacity;
  const set = (change) => {
    Object.assign(view.style, change);
    view.redraw();
  };
  const choice = (filled, name) => {
    const radio = element("input", { type: "radio", name: "drawn", onchange: () => set({ filled }) });
    radio.checked = view.style.filled === filled;
    return element("label", {}, radio, element("span", {}, name));
  };
  return element("div", { class: "styles" },
    hasMasks ? element("fieldset", { class: "modes" }, element("legend", { class: "sr" }, "Masks drawn as"),
      choice(false, "Outline"), choice(true, "Fill")) : null,
    element("label", { class: "slider" }, "Opacity ", opacity));
}
