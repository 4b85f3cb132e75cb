// Decodes images, and resamples them as the library does before an evaluation.

const STRIP = 256; // rows that are read at once, so that no second copy of a photograph is needed

// Returns the bitmap of an image, with the values of the file and upright.
export async function decode(blob, name) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw new Error(`“${name}” cannot be decoded: it is damaged, or no JPEG, PNG, WebP, GIF or BMP file.`);
  }
}

// Returns the length of a side when the shorter side is resampled to `target` pixels. It is rounded
// half up in integers, as in the library: 535 * (54 / 428) is 67.5, but less in floating point.
export function resizedLength(length, shorter, target) {
  return Math.floor((2 * length * target + shorter) / (2 * shorter));
}

// Returns the input pixels that each output pixel averages: a triangle as wide as two pixels of
// the input or of the output, whichever is larger. Pillow's bilinear filter has the same weights.
export function filter(inputs, outputs) {
  const ratio = inputs / outputs;
  const reach = Math.max(ratio, 1);
  return Array.from({ length: outputs }, (_, i) => {
    const center = (i + 0.5) * ratio;
    const start = Math.max(0, Math.floor(center - reach));
    const end = Math.min(inputs, Math.ceil(center + reach));
    const weights = [];
    for (let p = start; p < end; p++) {
      weights.push(Math.max(0, 1 - Math.abs(p + 0.5 - center) / reach));
    }
    const sum = weights.reduce((a, b) => a + b);
    return { start, weights: Float32Array.from(weights, (weight) => weight / sum) };
  });
}

// Yields the rows of a bitmap in strips, as RGBA.
function* strips(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(STRIP, bitmap.height));
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const count = Math.min(STRIP, bitmap.height - top);
    context.drawImage(bitmap, 0, top, bitmap.width, count, 0, 0, bitmap.width, count);
    yield { top, count, rgba: context.getImageData(0, 0, bitmap.width, count).data };
  }
}

// Returns RGB in [0, 255], row by row.
export function resample(bitmap, width, height) {
  const narrow = new Float32Array(bitmap.height * width * 3);
  const columns = filter(bitmap.width, width);
  for (const { top, count, rgba } of strips(bitmap)) {
    for (let y = 0; y < count; y++) {
      let to = (top + y) * width * 3;
      for (const { start, weights } of columns) {
        let from = (y * bitmap.width + start) * 4;
        let red = 0, green = 0, blue = 0;
        for (const weight of weights) {
          red += weight * rgba[from];
          green += weight * rgba[from + 1];
          blue += weight * rgba[from + 2];
          from += 4;
        }
        narrow[to++] = red;
        narrow[to++] = green;
        narrow[to++] = blue;
      }
    }
  }
  const length = width * 3;
  const result = new Float32Array(height * length);
  filter(bitmap.height, height).forEach(({ start, weights }, y) => {
    const row = result.subarray(y * length, (y + 1) * length);
    weights.forEach((weight, i) => {
      const from = (start + i) * length;
      for (let x = 0; x < length; x++) row[x] += weight * narrow[from + x];
    });
  });
  return result;
}
