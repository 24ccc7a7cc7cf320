/** The row of tools above the film: zoom, window, presets, and what they stand at. */

import { byId, element } from "./element.js";
import { zoomIn, zoomOut } from "./gestures.js";

/** Connect the tools of the page to `view`. */
export function connectTools(view) {
  const presses = {
    "zoom-in": () => zoomIn(view),
    "zoom-out": () => zoomOut(view),
    fit: () => view.fit(),
    actual: () => view.zoomTo(1),
    invert: () => view.invert(),
    reset: () => view.reset(),
  };
  for (const [id, press] of Object.entries(presses)) byId(id).addEventListener("click", press);
  for (const part of ["centre", "width"]) {
    byId(part).addEventListener("input", () => view.setWindow({ ...view.window, [part]: byId(part).valueAsNumber }));
  }
  byId("preset").addEventListener("change", () => {
    const preset = view.presets[byId("preset").value];
    if (preset) view.setWindow(preset);
  });
  view.addEventListener("view", () => tell(view));
}

/** Which way the main button drags: "pan" or "window". */
export const mode = () => document.querySelector("input[name=mode]:checked").value;

function tell(view) {
  for (const id of ["tools", "help"]) byId(id).hidden = !view.pixels;
  if (!view.pixels) return;
  byId("zoom").textContent = `${Math.round(view.scale * 100)} %`;
  byId("invert").setAttribute("aria-pressed", view.inverted);
  for (const part of ["centre", "width"]) {
    const slider = byId(part);
    Object.assign(slider, { min: part === "width" ? 2 : 0, max: 2 ** view.bits, step: 1 });
    slider.value = view.window[part];
    byId(`${part}-value`).textContent = view.window[part];
  }
  tellPreset(view);
}

function tellPreset(view) {
  const select = byId("preset");
  const names = [...Object.keys(view.presets), "own window"];
  if ([...select.options].map((option) => option.value).join() !== names.join()) {
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  }
  const same = ({ centre, width }) => centre === view.window.centre && width === view.window.width;
  select.value = names.find((name) => view.presets[name] && same(view.presets[name])) ?? "own window";
}
