'use strict';

/** A queue whose ends both cost the same, however long it is. */
class Fifo {
  #items = [];
  #first = 0;

  get length() {
    return this.#items.length - this.#first;
  }

  push(item) {
    this.#items.push(item);
  }

  /** Takes out the first one; undefined when there is none. */
  shift() {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#first];
    this.#items[this.#first] = undefined;
    this.#first += 1;
    // Moves each item once for as many that have left.
    if (this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }
}

module.exports = Fifo;
