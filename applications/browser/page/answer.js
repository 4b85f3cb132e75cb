// The scores of all windows of an image, and where the windows lie.

export class Answer {
  // `facts` are those of net.json; `result` is what the worker returns for a score.
  constructor(facts, result) {
    Object.assign(this, result);
    this.facts = facts;
  }

  // Returns the scores of a window, one per class.
  ofWindow({ row, column }) {
    const start = (row * this.columns + column) * this.classes;
    return this.scores.subarray(start, start + this.classes);
  }

  // Returns the mean scores of all windows, as dense testing does.
  ofImage() {
    const mean = new Float64Array(this.classes);
    this.scores.forEach((score, i) => { mean[i % this.classes] += score; });
    const windows = this.rows * this.columns;
    return mean.map((sum) => sum / windows);
  }

  // Returns the center of a window, as fractions of the image's width and height.
  center({ row, column }) {
    const { stride, offset, window } = this.facts;
    const position = (index, cells) => offset + (index + (cells - 1) / 2) * stride;
    return { x: position(column, window[1]) / this.width, y: position(row, window[0]) / this.height };
  }

  // Returns the size of a number of cells, as fractions of the image's width and height.
  size([rows, columns]) {
    const { stride } = this.facts;
    return { width: columns * stride / this.width, height: rows * stride / this.height };
  }

  // Returns the window whose center is nearest to a point, given as fractions.
  nearest(x, y) {
    const first = this.center({ row: 0, column: 0 });
    const step = this.size([1, 1]);
    return this.inside({
      row: Math.round((y - first.y) / step.height),
      column: Math.round((x - first.x) / step.width),
    });
  }

  // Returns the nearest window that exists.
  inside({ row, column }) {
    const limit = (index, count) => Math.min(Math.max(index, 0), count - 1);
    return { row: limit(row, this.rows), column: limit(column, this.columns) };
  }
}

// Returns the numbers of the best classes, best first.
export function best(scores, count = 5) {
  return [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, count);
}

export const percent = (score) => `${(100 * score).toFixed(1)} %`;
