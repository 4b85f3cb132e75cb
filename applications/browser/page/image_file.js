// Images that the user chooses: checked before the network gets them.

import { decode } from "./pixels.js";

const MAX_PIXELS = 2 ** 26; // the library's limit: 8192 x 8192

// Returns the URL and the size of an image, or throws an error that says what is wrong.
export async function openImage(blob, name) {
  const url = URL.createObjectURL(blob);
  const image = new Image();
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error(
        `“${name}” is not an image that this browser can read. Choose a JPEG, PNG, WebP, GIF or BMP file.`));
      image.src = url;
    });
    const { naturalWidth: width, naturalHeight: height } = image;
    if (width * height > MAX_PIXELS) {
      const millions = (width * height / 1e6).toFixed(0);
      throw new Error(`“${name}” is too large: it has ${millions} million pixels, and the limit is 67 million.`);
    }
    (await decode(blob, name)).close(); // a damaged image may be shown, but not decoded
    return { blob, name, url, width, height };
  } catch (error) {
    URL.revokeObjectURL(url);
    throw error;
  }
}

// Calls a function with each file that is chosen, or dropped anywhere on the page.
export function onFile(use) {
  const input = document.querySelector("#file");
  input.addEventListener("change", () => {
    if (input.files.length) use(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  const mark = (dragging) => document.body.classList.toggle("dragging", dragging);
  addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  addEventListener("dragleave", () => mark(false));
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    if (event.dataTransfer.files.length) use(event.dataTransfer.files[0]);
  });
}
