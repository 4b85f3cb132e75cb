// The page's side of the worker.

export class Net {
  #worker;
  #waiting = new Map();
  #count = 0;

  constructor(onProgress) {
    this.#worker = new Worker("worker.js", { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      if (data.progress) return onProgress(data.progress);
      const { resolve, reject } = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      return "error" in data ? reject(new Error(data.error)) : resolve(data.result);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const error = new Error(`The network's worker stopped: ${event.message ?? "it cannot be loaded"}.`);
      this.#waiting.forEach(({ reject }) => reject(error));
      this.#waiting.clear();
    };
  }

  // Returns the answer to a task of worker.js.
  ask(task, options) {
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, task, options });
    });
  }

  // Ends the worker. The tasks that it has not finished return nothing.
  stop() {
    this.#worker.terminate();
    this.#waiting.forEach(({ resolve }) => resolve());
    this.#waiting.clear();
  }
}
