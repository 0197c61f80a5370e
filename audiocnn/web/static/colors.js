// The color scale of spectrograms, quiet to loud: the same as audiocnn/web/png.py (a test compares).
export const STOPS = [
  [0.0, 9, 12, 26],
  [0.22, 33, 28, 84],
  [0.45, 101, 34, 128],
  [0.65, 190, 55, 110],
  [0.82, 243, 118, 74],
  [0.93, 253, 186, 96],
  [1.0, 255, 246, 205],
];

// 256 colors as 32-bit values for an ImageData (little-endian: alpha, blue, green, red).
export function palette() {
  const colors = new Uint32Array(256);
  let at = 0;
  for (let i = 0; i < 256; i++) {
    const x = i / 255;
    while (at < STOPS.length - 2 && x > STOPS[at + 1][0]) at++;
    const [a, b] = [STOPS[at], STOPS[at + 1]];
    const share = (x - a[0]) / (b[0] - a[0]);
    const [r, g, bl] = [1, 2, 3].map((c) => Math.round(a[c] + share * (b[c] - a[c])));
    colors[i] = (255 << 24) | (bl << 16) | (g << 8) | r;
  }
  return colors;
}
