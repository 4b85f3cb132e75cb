// A list of the best classes with bars. Each of them is a button that shows the class's map.

import { best, percent } from "./answer.js";

export class Bars {
  #list;
  #names;
  #onPick;

  constructor(selector, names, onPick) {
    this.#list = document.querySelector(selector);
    this.#names = names;
    this.#onPick = onPick;
  }

  draw(scores, shown) {
    const labels = best(scores);
    // The buttons stay, so that the keyboard's focus does.
    while (this.#list.children.length < labels.length) this.#list.append(this.#item());
    labels.forEach((label, i) => {
      const button = this.#list.children[i].firstChild;
      button.dataset.label = label;
      button.ariaPressed = label === shown;
      button.title = `Show the map of ${this.#names[label]}`;
      button.style.setProperty("--score", percent(scores[label]).replace(" ", ""));
      button.children[0].textContent = this.#names[label];
      button.children[1].textContent = percent(scores[label]);
    });
  }

  #item() {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.append(document.createElement("span"), document.createElement("span"));
    button.onclick = () => this.#onPick(Number(button.dataset.label));
    item.append(button);
    return item;
  }
}
