// The slopes of each layer by depth, and a slider per layer that changes them.

const RELU = 0, LEARNED = 1, IDENTITY = 2; // positions of a slider

// Returns slopes between 0 and the learned ones, or between those and 1.
export function moved(learned, position) {
  return Float32Array.from(learned, (slope) =>
    position <= LEARNED ? slope * position : slope + (1 - slope) * (position - LEARNED));
}

function element(name, properties, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children);
  return created;
}

function svg(name, attributes, ...children) {
  const created = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => created.setAttribute(key, value));
  created.append(...children);
  return created;
}

const lines = (slopes) => Array.from(slopes, (slope) => `M${slope} .1V.9`).join("");

// The row of one layer: a line per slope, and the slider.
class Row {
  constructor(layer, learned, [low, high], onInput) {
    this.layer = layer;
    this.learned = learned;
    this.slider = slider(layer, onInput);
    this.present = svg("path", { class: "present" });
    this.plot = svg(
      "svg", { viewBox: `${low} 0 ${high - low} 1`, preserveAspectRatio: "none", "aria-hidden": true },
      svg("path", { class: "axis", d: "M0 0V1M1 0V1" }),
      svg("path", { class: "learned", d: lines(learned) }),
      this.present,
    );
    this.draw();
  }

  get slopes() {
    return moved(this.learned, this.slider.valueAsNumber);
  }

  draw() {
    const { slopes } = this;
    const mean = slopes.reduce((a, b) => a + b) / slopes.length;
    this.slider.ariaValueText = `${names[this.slider.value] ?? "between"}, mean slope ${mean.toFixed(2)}`;
    this.present.setAttribute("d", lines(slopes));
  }
}

const names = { [RELU]: "ReLU", [LEARNED]: "learned", [IDENTITY]: "identity" };

function slider(name, oninput) {
  return element("input", {
    type: "range", min: RELU, max: IDENTITY, step: 0.05, value: LEARNED,
    id: `slopes-${name}`, ariaLabel: `Slopes of ${name}`, oninput,
  });
}

export class Slopes {
  #rows;

  // `learned` is a dict from layers to slopes. `onChange` is called when a slider moves.
  constructor(learned, onChange) {
    const all = Object.values(learned).flat();
    const range = [Math.min(-0.25, ...all), Math.max(1.25, ...all)];
    this.#rows = Object.entries(learned).map(([layer, slopes]) => {
      const row = new Row(layer, slopes, range, () => {
        row.draw();
        onChange();
      });
      return row;
    });
    const every = slider("all layers", () => {
      for (const row of this.#rows) {
        row.slider.value = every.value;
        row.draw();
      }
      onChange();
    });
    const axis = [0, 1].map((slope) => element("span", {
      textContent: slope, style: `left: ${100 * (slope - range[0]) / (range[1] - range[0])}%`,
    }));
    const scale = Object.values(names).map((name) => element("span", { textContent: name }));
    document.querySelector("#layers").append(
      element("div"), element("div", { className: "axis-labels" }, ...axis),
      element("div", { className: "scale" }, ...scale),
      element("span", { textContent: "all layers" }), element("div"), every,
      ...this.#rows.flatMap(({ layer, plot, slider }) => [element("span", { textContent: layer }), plot, slider]),
    );
    document.querySelector("#slopes").hidden = !this.#rows.length;
  }

  // Returns the present slopes of all layers.
  get values() {
    return Object.fromEntries(this.#rows.map(({ layer, slopes }) => [layer, slopes]));
  }
}
