/**
 * Window centre and width of a film: which of its values are drawn from black to white.
 *
 * The function is LINEAR of DICOM PS3.3 C.11.2.1.2.1, so the figures mean what they mean in any viewer.
 */

/** What value x is drawn as, 0..255: black below the window, white above it. width ≥ 1. */
export function shade(x, centre, width) {
  if (x <= centre - 0.5 - (width - 1) / 2) return 0;
  if (x > centre - 0.5 + (width - 1) / 2) return 255;
  return Math.round(((x - (centre - 0.5)) / (width - 1) + 0.5) * 255);
}

/** shade() of every value a film of so many bits can have; inverted: dark is dense. */
export function shades(centre, width, bits, inverted) {
  const table = new Uint8ClampedArray(2 ** bits);
  for (let x = 0; x < table.length; x += 1) {
    const y = shade(x, centre, width);
    table[x] = inverted ? 255 - y : y;
  }
  return table;
}

/** The window that has `low` at black and `high` at white. */
export function between(low, high) {
  const width = Math.max(2, high - low + 1);
  return { centre: Math.round(low + width / 2), width };
}

/** The same window within what a film of so many bits can have, in whole numbers. */
export function allowed({ centre, width }, bits) {
  const range = 2 ** bits;
  return {
    centre: Math.min(range, Math.max(0, Math.round(centre))),
    width: Math.min(range, Math.max(2, Math.round(width))),
  };
}

/** Windows to begin with, by name, from the film's own values (Uint16Array). */
export function presets(pixels, bits) {
  const counts = new Uint32Array(2 ** bits);
  for (const x of pixels) counts[x] += 1;
  const at = (share) => percentile(counts, pixels.length, share);
  return {
    "whole range": between(0, 2 ** bits - 1),
    "this film's range": between(at(0.005), at(0.995)),
    "dark parts": between(at(0.02), at(0.6)),
    "bright parts": between(at(0.4), at(0.995)),
  };
}

function percentile(counts, total, share) {
  let seen = 0;
  for (let x = 0; x < counts.length; x += 1) {
    seen += counts[x];
    if (seen >= share * total) return x;
  }
  return counts.length - 1;
}
