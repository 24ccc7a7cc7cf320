/** Mouse, pen, fingers, wheel and keys on the film. */

const STEP = 1.25; // of zoom
const MOVED = 40; // CSS pixels an arrow moves the film
const NUDGED = 1 / 64; // of the range, by a key
const DRAGGED = 1 / 1024; // of the range, by a CSS pixel

/** Let `view` be handled on its canvas; mode() is what the main button does: "pan" or "window". */
export function handle(view, mode) {
  const { canvas } = view;
  const fingers = new Map(); // pointers that are down: id → where it was last
  const ratio = () => canvas.width / canvas.clientWidth;
  let windowing = false;

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    if (!view.pixels) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, event);
    windowing = event.button === 2 || (event.button === 0 && mode() === "window");
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const other = [...fingers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(view, before, event, other, ratio());
    else drag(view, event.clientX - before.clientX, event.clientY - before.clientY, windowing, ratio());
    fingers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener("dblclick", () => view.pixels && view.fit());
  canvas.addEventListener("wheel", (event) => {
    if (!view.pixels) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const by = Math.exp((-event.deltaY * lines) / 400);
    view.zoomTo(view.scale * by, event.offsetX * ratio(), event.offsetY * ratio());
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (view.pixels && !event.ctrlKey && !event.metaKey && !event.altKey && press(view, event)) event.preventDefault();
  });
}

export const zoomIn = (view) => view.zoomTo(view.scale * STEP);
export const zoomOut = (view) => view.zoomTo(view.scale / STEP);

function drag(view, dx, dy, windowing, ratio) {
  if (windowing) nudge(view, dy * DRAGGED, dx * DRAGGED);
  else view.move(dx * ratio, dy * ratio);
}

/** Two fingers: the film follows their middle and grows with their distance. */
function pinch(view, before, after, other, ratio) {
  const apart = (finger) => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
  const box = view.canvas.getBoundingClientRect();
  const x = ((after.clientX + other.clientX) / 2 - box.left) * ratio;
  const y = ((after.clientY + other.clientY) / 2 - box.top) * ratio;
  view.move(((after.clientX - before.clientX) / 2) * ratio, ((after.clientY - before.clientY) / 2) * ratio);
  view.zoomTo((view.scale * apart(after)) / Math.max(1, apart(before)), x, y);
}

/** Move the window by shares of what the film's values can span. */
function nudge(view, centre, width) {
  const range = 2 ** view.bits;
  view.setWindow({ centre: view.window.centre + centre * range, width: view.window.width + width * range });
}

/** Do what a key means; whether it means anything. */
function press(view, event) {
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  const meanings = {
    "+": () => zoomIn(view),
    "=": () => zoomIn(view),
    "-": () => zoomOut(view),
    1: () => view.zoomTo(1),
    f: () => view.fit(),
    i: () => view.invert(),
    r: () => view.reset(),
  };
  if (arrow && event.shiftKey) nudge(view, arrow[1] * NUDGED, arrow[0] * NUDGED);
  else if (arrow) view.move(arrow[0] * MOVED, arrow[1] * MOVED);
  else if (meanings[event.key.toLowerCase()]) meanings[event.key.toLowerCase()]();
  else return false;
  return true;
}
