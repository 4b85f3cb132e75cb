// Runs the network in a thread of its own, so that the page never freezes.
//
// Each message has a `task` and its options, and is answered by a result or an error.

import { decode, resample, resizedLength } from "./pixels.js";

const MAX_SCORED = 2 ** 21; // pixels after resampling
const RUNTIMES = {
  wasm: { script: "./runtime/ort.wasm.min.mjs", binary: "runtime/ort-wasm-simd-threaded.wasm" },
  webgpu: { script: "./runtime/ort.webgpu.min.mjs", binary: "runtime/ort-wasm-simd-threaded.asyncify.wasm" },
};

let ort, session, bitmap, pixels;

// Loads the runtime and the network. `bytes` are the sizes of all files, for the progress.
async function load({ provider, bytes }) {
  const { script, binary } = RUNTIMES[provider];
  const files = [binary, "net.onnx"];
  const total = files.reduce((sum, file) => sum + bytes[file], 0);
  let loaded = 0;
  const onBytes = (count) => {
    loaded += count;
    postMessage({ progress: { loaded, total } });
  };
  const [runtime, net] = await Promise.all(files.map((file) => download(file, onBytes)));
  ort = await import(script);
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmBinary = runtime.buffer;
  session = await ort.InferenceSession.create(net, { executionProviders: [provider] });
}

async function download(file, onBytes) {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} cannot be loaded (${response.status}). Build the page again.`);
  const parts = [];
  for (const reader = response.body.getReader();;) {
    const { done, value } = await reader.read();
    if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
    parts.push(value);
    onBytes(value.length);
  }
}

async function open({ blob, name }) {
  bitmap?.close();
  pixels = null;
  bitmap = await decode(blob, name);
}

// Returns the scores of all windows of the image whose shorter side is resampled to `scale`.
async function score({ scale, slopes }) {
  const shorter = Math.min(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width, bitmap.height].map((side) => resizedLength(side, shorter, scale));
  if (width * height > MAX_SCORED) {
    throw new Error(`At this size the image has ${width} × ${height} pixels, which is too many. Choose a shorter side.`);
  }
  if (pixels?.width !== width || pixels?.height !== height) {
    pixels = { width, height, values: resample(bitmap, width, height) };
  }
  const feeds = { images: new ort.Tensor("float32", pixels.values, [1, height, width, 3]) };
  for (const [layer, values] of Object.entries(slopes)) {
    feeds[layer] = new ort.Tensor("float32", values, [values.length]);
  }
  const { scores } = await session.run(feeds);
  const [, rows, columns, classes] = scores.dims;
  return { width, height, rows, columns, classes, scores: await scores.getData() };
}

const TASKS = { load, open, score };

let previous = Promise.resolve(); // one task after another, since a session runs one at a time

self.onmessage = ({ data: { id, task, options } }) => {
  previous = previous.then(async () => {
    try {
      postMessage({ id, result: await TASKS[task](options) });
    } catch (error) {
      postMessage({ id, error: error.message });
    }
  });
};
