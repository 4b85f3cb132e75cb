// The image, with the map of a class and the chosen window over it.

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class View {
  #element = document.querySelector("#view");
  #photo = document.querySelector("#photo");
  #canvas = document.querySelector("#map");
  #redraw = () => {};
  #answer = null;
  #window = null;

  // `onWindow` is called with each window that the user points at or moves to.
  constructor(onWindow) {
    const point = (event) => {
      if (!this.#answer) return;
      const box = this.#element.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width;
      onWindow(this.#answer.nearest(x, (event.clientY - box.top) / box.height));
    };
    this.#element.addEventListener("pointermove", point);
    this.#element.addEventListener("pointerdown", point);
    this.#element.addEventListener("keydown", (event) => {
      const move = MOVES[event.key];
      if (!move || !this.#answer) return;
      event.preventDefault();
      const { row, column } = this.#window ?? { row: 0, column: 0 };
      onWindow(this.#answer.inside({ row: row + move[0], column: column + move[1] }));
    });
    new ResizeObserver(() => this.#redraw()).observe(this.#element);
  }

  // Shows an image alone.
  open(url, name) {
    this.#photo.src = url;
    this.#photo.alt = name;
    this.draw(null);
  }

  // Draws the scores of a class over the image, and the outline of a window.
  draw(answer, label, window) {
    this.#answer = answer;
    this.#window = window;
    this.#redraw = () => this.#draw(label);
    this.#redraw();
  }

  #draw(label) {
    const { clientWidth, clientHeight } = this.#canvas;
    this.#canvas.width = clientWidth * devicePixelRatio;
    this.#canvas.height = clientHeight * devicePixelRatio;
    const pen = this.#canvas.getContext("2d");
    pen.scale(this.#canvas.width, this.#canvas.height);
    if (!this.#answer) return;
    const { rows, columns } = this.#answer;
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const score = this.#answer.ofWindow({ row, column })[label];
        pen.fillStyle = `rgb(255 98 0 / ${0.75 * score})`;
        pen.fillRect(...this.#box({ row, column }, [1, 1]));
      }
    }
    if (this.#window) this.#outline(pen);
  }

  // Returns left, top, width and height of the cells around a window's center.
  #box(window, cells) {
    const { x, y } = this.#answer.center(window);
    const { width, height } = this.#answer.size(cells);
    return [x - width / 2, y - height / 2, width, height];
  }

  #outline(pen) {
    const box = this.#box(this.#window, this.#answer.facts.window);
    pen.beginPath();
    pen.rect(...box);
    pen.resetTransform(); // so that the line is equally thick in both directions
    for (const [color, thickness] of [["#000", 5], ["#fff", 2]]) {
      pen.strokeStyle = color;
      pen.lineWidth = thickness * devicePixelRatio;
      pen.stroke();
    }
  }
}
