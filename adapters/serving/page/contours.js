/**
 * The outline of a mask along the edges of its pixels, exact at any zoom.
 *
 * Edges are walked with the mask on their right, so outlines of holes run the other way round and the rule "nonzero"
 * fills what is inside. Two pixels that meet at a corner alone belong to two outlines.
 */

const RIGHT = 0; // then down, left, up: each a turn to the right
const STEP = [[1, 0], [0, 1], [-1, 0], [0, -1]];
// pixels before the corner that is reached, on the left and on the right hand, from that corner
const AHEAD = [
  [[0, -1], [0, 0]],
  [[0, 0], [-1, 0]],
  [[-1, 0], [-1, -1]],
  [[-1, -1], [0, -1]],
];

/** Closed outlines of mask(row, col) → bool: lists of [x, y] corners, in pixels of the film. */
export function outlines(mask, rows, cols) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < cols && y < rows && mask(y, x);
  const walked = new Uint8Array(rows * cols); // pixels whose upper edge is in an outline already
  const found = [];
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < cols; x += 1) {
      if (!walked[y * cols + x] && inside(x, y) && !inside(x, y - 1)) found.push(walk(x, y, inside, walked, cols));
    }
  }
  return found;
}

/** Round one outline, from the upper left corner of pixel (x, y). Every outline has an upper edge. */
function walk(startX, startY, inside, walked, cols) {
  const corners = [[startX, startY]];
  let x = startX, y = startY, way = RIGHT;
  for (;;) {
    if (way === RIGHT) walked[y * cols + x] = 1;
    x += STEP[way][0];
    y += STEP[way][1];
    const next = turn(x, y, way, inside);
    if (x === startX && y === startY && next === RIGHT) return corners;
    if (next !== way) corners.push([x, y]);
    way = next;
  }
}

/** Where the outline goes on at corner (x, y): to the right round a pixel, straight along it, or left. */
function turn(x, y, way, inside) {
  const [left, right] = AHEAD[way].map(([dx, dy]) => inside(x + dx, y + dy));
  if (!right) return (way + 1) % 4;
  return left ? (way + 3) % 4 : way;
}

/** The outlines as one path for a canvas. */
export function pathOf(outlinesOfMask) {
  const path = new Path2D();
  for (const corners of outlinesOfMask) {
    corners.forEach(([x, y], n) => (n ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  return path;
}

/** The outlines of a PNG mask (0 or 255), as a path in pixels of a film of rows × cols. */
export async function maskPath(url, rows, cols) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = new OffscreenCanvas(cols, rows);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, cols, rows);
  const { data } = context.getImageData(0, 0, cols, rows);
  return pathOf(outlines((row, col) => data[4 * (row * cols + col)] > 127, rows, cols));
}
