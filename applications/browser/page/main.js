// Connects the network, the image and the controls.

import { Answer, best, percent } from "./answer.js";
import { Bars } from "./bars.js";
import { onFile, openImage } from "./image_file.js";
import { Net } from "./net.js";
import { Slopes } from "./slopes.js";
import { View } from "./view.js";

const $ = (selector) => document.querySelector(selector);

// The tests read it.
export const state = { facts: null, net: null, image: null, answer: null, picked: null, window: null };

let view, slopes, bars;
let choices = 0; // the number of images that were chosen so far

function showError(error) {
  $("#message").textContent = error.message;
  $("#message").hidden = false;
}

// Returns a function that runs `work` now, or once more when the present run has ended.
function latest(work) {
  let running = false, again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await work().catch(showError);
    }
    running = false;
  };
}

// Scores the image and shows the answer.
const update = latest(async () => {
  if (!state.image) return;
  const { net, image } = state;
  if (!image.sent) {
    await net.ask("open", { blob: image.blob, name: image.name });
    if (net !== state.net) return;
    image.sent = true;
  }
  const result = await net.ask("score", { scale: $("#scale").valueAsNumber, slopes: slopes.values });
  if (net !== state.net || image !== state.image) return;
  $("#message").hidden = true;
  state.answer = new Answer(state.facts, result);
  if (state.window) state.window = state.answer.inside(state.window);
  show();
});

function show() {
  const { answer, facts, window } = state;
  const scores = answer.ofImage();
  const [label] = best(scores);
  const shown = state.picked ?? label;
  bars.answer.draw(scores, shown);
  $("#answer-hint").textContent = `Mean of ${answer.rows * answer.columns} windows.`;
  $("#status").textContent = `Best class: ${facts.classes[label]}, ${percent(scores[label])}`;
  $("#shown-class").value = state.picked ?? "";
  $("#shown-class").options[0].textContent = `the best class (${facts.classes[label]})`;
  view.draw(answer, shown, window);
  if (window) {
    bars.window.draw(answer.ofWindow(window), shown);
    $("#window-hint").textContent = `Row ${window.row + 1} of ${answer.rows}, column ${window.column + 1} of ${answer.columns}.`;
  }
}

async function choose(blob, name, scale) {
  const choice = ++choices;
  try {
    const image = await openImage(blob, name);
    if (choice !== choices) return URL.revokeObjectURL(image.url); // another one was chosen meanwhile
    if (state.image) URL.revokeObjectURL(state.image.url);
    Object.assign(state, { image, answer: null, picked: null });
    $("#message").hidden = true;
    setScale(scale);
    view.open(image.url, name);
    await update();
  } catch (error) {
    showError(error);
  }
}

async function chooseStart() {
  const { image, scale } = state.facts.start;
  await choose(await (await fetch(image)).blob(), "Examples of all classes", scale);
}

function setScale(scale) {
  $("#scale").value = scale;
  $("#scale-value").textContent = `${scale} px`;
}

async function loadNet(provider) {
  state.net?.stop();
  $("#loading").hidden = false;
  const net = new Net(({ loaded, total }) => {
    $("#loading progress").value = loaded / total;
    const [done, all] = [loaded, total].map((bytes) => (bytes / 1e6).toFixed(1));
    $("#loading span").textContent = `Loading the network: ${done} of ${all} MB`;
  });
  state.net = net;
  if (state.image) state.image.sent = false;
  try {
    await net.ask("load", { provider, bytes: state.facts.bytes });
  } finally {
    if (net === state.net) $("#loading").hidden = true;
  }
}

function connectControls() {
  const { classes, input_size: least, scale, slopes: learned, start } = state.facts;
  const pick = (label) => {
    state.picked = label;
    if (state.answer) show();
  };
  bars = { answer: new Bars("#answer", classes, pick), window: new Bars("#window", classes, pick) };
  view = new View((window) => {
    state.window = window;
    show();
  });
  slopes = new Slopes(learned, update);
  $("#shown-class").append(new Option("the best class", ""), ...classes.map((name, label) => new Option(name, label)));
  $("#shown-class").onchange = ({ target }) => pick(target.value === "" ? null : Number(target.value));
  Object.assign($("#scale"), { min: least, max: 8 * least, step: 1 });
  $("#scale").oninput = ({ target }) => {
    setScale(target.value);
    update();
  };
  onFile((file) => choose(file, file.name, scale));
  if (start) $("#start").onclick = chooseStart;
  $("#start").hidden = !start;
}

// WebGPU is offered where the browser has it.
async function offerProviders() {
  if (!await navigator.gpu?.requestAdapter()) return;
  $("#provider").hidden = $("#provider-label").hidden = false;
  $("#provider").onchange = async ({ target }) => {
    try {
      await loadNet(target.value);
      await update();
    } catch (error) {
      showError(error);
    }
  };
}

try {
  state.facts = await (await fetch("net.json")).json();
  connectControls();
  await loadNet("wasm");
  offerProviders();
  if (state.facts.start && !choices) await chooseStart();
} catch (error) {
  showError(error);
}
