/**
 * The film on a canvas: 16-bit values through a window, moved and zoomed, with overlays. Nothing is smoothed above
 * 100 %, where a pixel of the film covers a pixel of the screen.
 *
 * It tells what changed by the event "view"; what it draws follows from its fields alone.
 */

import { allowed, presets, shades } from "./windowing.js";

const LARGEST = 32; // screen pixels a film pixel
const KEPT = 40; // screen pixels of the film that stay in sight

export class FilmView extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.overlays = []; // {path, colour, dash, shown}
    this.attention = null; // {image, shown}
    this.style = { filled: false, opacity: 0.9 };
    this.#clear();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  /** Show a film: Uint16Array of rows × cols values of so many bits. */
  show(pixels, rows, cols, bits) {
    this.#clear();
    Object.assign(this, { pixels, rows, cols, bits, presets: presets(pixels, bits) });
    this.drawn = new OffscreenCanvas(cols, rows);
    this.image = new ImageData(cols, rows);
    this.reset();
  }

  /** Show nothing. */
  hide() {
    this.#clear();
    this.#soon();
  }

  /** Back to the whole film in its whole range. */
  reset() {
    this.inverted = false;
    this.setWindow(this.presets["whole range"]);
    this.fit();
  }

  setWindow(wanted) {
    this.window = allowed(wanted, this.bits);
    this.stale = true;
    this.#soon();
  }

  invert() {
    this.inverted = !this.inverted;
    this.stale = true;
    this.#soon();
  }

  /** The whole film, in the middle. */
  fit() {
    this.fitted = true;
    const { width, height } = this.canvas;
    this.scale = Math.min(width / this.cols, height / this.rows);
    this.left = (width - this.cols * this.scale) / 2;
    this.top = (height - this.rows * this.scale) / 2;
    this.#soon();
  }

  /** Zoom to `scale` screen pixels a film pixel; the place (x, y) of the canvas stays where it is. */
  zoomTo(scale, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.pixels) return;
    const smallest = Math.min(1, this.canvas.width / this.cols, this.canvas.height / this.rows) / 2;
    const next = Math.min(LARGEST, Math.max(smallest, scale));
    this.left = x - ((x - this.left) * next) / this.scale;
    this.top = y - ((y - this.top) * next) / this.scale;
    this.scale = next;
    this.move(0, 0);
  }

  /** Move the film by screen pixels; a part of it stays in sight. */
  move(dx, dy) {
    if (!this.pixels) return;
    this.fitted = false;
    const keep = (place, length, room) => Math.min(room - KEPT, Math.max(KEPT - length, place));
    this.left = keep(this.left + dx, this.cols * this.scale, this.canvas.width);
    this.top = keep(this.top + dy, this.rows * this.scale, this.canvas.height);
    this.#soon();
  }

  /** Draw again, soon: after a change to overlays, attention or style. */
  redraw() {
    this.#soon();
  }

  #clear() {
    Object.assign(this, { pixels: null, overlays: [], attention: null, scale: 1, left: 0, top: 0, fitted: true });
    Object.assign(this, { bits: 16, window: { centre: 32768, width: 65536 }, inverted: false, presets: {} });
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.pixels && this.fitted) this.fit();
    else if (this.pixels) this.move(0, 0);
    this.#draw();
  }

  #soon() {
    this.asked ??= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.asked = null;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.pixels) {
      if (this.stale) this.#shade();
      // from whole pixels of the screen to whole pixels, so that no pixel of the film is thicker than its neighbour
      const place = { left: Math.round(this.left), top: Math.round(this.top) };
      context.setTransform(this.scale, 0, 0, this.scale, place.left, place.top);
      context.imageSmoothingEnabled = this.scale < 1;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.drawn, 0, 0);
      this.#drawAttention(context);
      for (const overlay of this.overlays) if (overlay.shown) this.#drawOverlay(context, overlay);
      Object.assign(this.canvas.dataset, { ...place, scale: this.scale });
    }
    this.dispatchEvent(new Event("view"));
  }

  #shade() {
    const table = shades(this.window.centre, this.window.width, this.bits, this.inverted);
    const out = new Uint32Array(this.image.data.buffer);
    const { pixels } = this;
    for (let n = 0; n < pixels.length; n += 1) out[n] = 0xff000000 | (table[pixels[n]] * 0x010101);
    this.drawn.getContext("2d").putImageData(this.image, 0, 0);
    this.stale = false;
  }

  #drawAttention(context) {
    if (!this.attention?.shown || !this.attention.image) return;
    context.globalAlpha = this.style.opacity;
    context.drawImage(this.attention.image, 0, 0, this.cols, this.rows);
    context.globalAlpha = 1;
  }

  /** A line over a wider dark one, so that it is seen on bright and on dark; its dash tells the structure as well. */
  #drawOverlay(context, { path, colour, dash }) {
    const pixel = (window.devicePixelRatio || 1) / this.scale; // of CSS, in pixels of the film
    context.globalAlpha = this.style.filled ? this.style.opacity / 2 : this.style.opacity; // the film shines through
    if (this.style.filled) {
      context.fillStyle = colour;
      context.fill(path);
    } else {
      context.lineJoin = "round";
      context.lineWidth = 4 * pixel;
      context.strokeStyle = "rgb(0 0 0 / 60%)";
      context.stroke(path);
      context.setLineDash(dash.map((length) => length * pixel));
      context.lineWidth = 2 * pixel;
      context.strokeStyle = colour;
      context.stroke(path);
      context.setLineDash([]);
    }
    context.globalAlpha = 1;
  }
}
