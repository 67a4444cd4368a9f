'use strict';

// Rates, which are differences between what two polls said.

/** The last few polls: a longer time than one poll makes numbers that can be read. */
class Samples {
  static WINDOW = 3_500;
  #list = [];

  /** @param {object} status as `/status` has it */
  add(status) {
    const last = this.#list.at(-1);
    const isOther = last && (last.pid !== status.pid || last.started !== status.started);
    if (isOther || (last && status.now < last.now)) this.#list = [];
    const slots = new Map(
      status.slots.map(({ slot, worker, cpu, total }) => [
        slot,
        { worker, cpu, connections: (total?.accepted ?? 0) + (total?.handedOver ?? 0) },
      ]),
    );
    const draining = new Map(status.draining.map(({ worker, cpu }) => [worker, { cpu }]));
    const { pid, started, now } = status;
    this.#list.push({ pid, started, now, slots, draining });
    const isOld = (it) => now - it.now > Samples.WINDOW;
    while (this.#list.length > 2 && isOld(this.#list[0])) this.#list.shift();
  }

  /** Connections per second that a slot has got. */
  connections(slot) {
    return this.#difference((it) => it.slots.get(slot)?.connections, 1000);
  }

  /** Percent of one processor that the worker of a slot has used. */
  cpu(slot, worker) {
    const of = (it) => (it.slots.get(slot)?.worker === worker ? it.slots.get(slot).cpu : undefined);
    return this.#difference(of, 100);
  }

  cpuOfDraining(worker) {
    return this.#difference((it) => it.draining.get(worker)?.cpu, 100);
  }

  /** The growth per millisecond, times `scale`, since the oldest poll that knows the value. */
  #difference(read, scale) {
    const known = this.#list.filter((it) => isNumber(read(it)));
    const [first, last] = [known[0], known.at(-1)];
    if (known.length < 2 || last !== this.#list.at(-1) || last.now <= first.now) return null;
    return Math.max(0, ((read(last) - read(first)) / (last.now - first.now)) * scale);
  }
}
