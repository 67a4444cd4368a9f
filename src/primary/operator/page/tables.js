'use strict';

// The tables of the page, column by column.

const numeric = true;
const COMPACT_FROM = 33;
const CHANGED_FOR = 4_000;

const slotsTable = (samples, context) =>
  new Table(
    byId('slots'),
    [
      { label: 'Slot', class: ['slot'], text: ({ slot }) => `${slot}` },
      {
        label: 'State',
        class: ['state'],
        make: () => [shape(), element('span'), ' ', element('small')],
        fill(cell, slot) {
          const look = SLOT_LOOKS[slotState(slot)];
          const [picture, word, note] = cell.children;
          setAttribute(cell, 'data-tone', look.tone);
          setShape(picture, look.shape);
          setText(word, look.word);
          setText(note, slotNote(slot, context.status));
          setAttribute(cell, 'title', note.textContent);
        },
      },
      worker,
      {
        label: 'Gen.',
        title: 'Generation',
        numeric,
        text: (it) => count(it.generation),
        isMarked: (it) => it.generation > context.status.generation,
      },
      { label: 'Up', title: 'Time since it was ready', numeric, text: (it) => age(it.uptime) },
      { label: 'Memory', title: 'Resident memory', numeric, text: (it) => bytes(it.memory) },
      cpu(({ slot, worker: id }) => samples.cpu(slot, id)),
      { label: 'Open', title: 'Open connections', numeric, text: (it) => count(it.open) },
      {
        label: 'Waiting',
        title: 'Connections that wait to be taken',
        numeric,
        text: (it) => count(it.waiting),
      },
      {
        label: 'Conn/s',
        title: 'New connections per second',
        numeric,
        text: ({ slot }) => rate(samples.connections(slot)),
      },
      {
        label: 'Rescued',
        title: 'Connections that other workers got because the event loop was blocked',
        numeric,
        text: (it) => count(it.total?.rescued),
      },
      {
        label: 'Restarts',
        title: 'Workers started after the first',
        numeric,
        text: (it) => count(it.restarts),
      },
    ],
    { key: ({ slot }) => slot, nothing: 'No slots yet.' },
  );

const worker = {
  label: 'Worker',
  class: ['worker'],
  make: () => [element('span'), ' ', element('small')],
  fill(cell, { worker: id, pid }) {
    const [first, second] = cell.children;
    setText(first, isNumber(id) ? `${id}` : UNKNOWN);
    setText(second, isNumber(pid) ? `pid ${pid}` : '');
    cell.classList.toggle('quiet', !isNumber(id));
  },
};

function cpu(read) {
  return {
    label: 'CPU',
    title: 'Of one processor',
    class: ['cpu'],
    numeric,
    make: () => [element('span'), element('i', { 'aria-hidden': 'true' }, element('b'))],
    fill(cell, row) {
      const used = read(row);
      const [text, bar] = cell.children;
      setText(text, percent(used));
      cell.classList.toggle('quiet', !(used >= 0.05));
      bar.firstElementChild.style.width = `${Math.min(100, used ?? 0).toFixed(0)}%`;
    },
  };
}

const drainingTable = (samples) =>
  new Table(
    byId('draining'),
    [
      { label: 'Worker', text: ({ worker: id }) => `${id}` },
      { label: 'Slot', numeric, text: ({ slot }) => count(slot) },
      {
        label: 'Reason',
        text: ({ reason, stalled }) => `${reasonText(reason)}${stalled ? ', stalled' : ''}`,
      },
      { label: 'For', numeric, text: ({ since }) => age(since) },
      { label: 'Open', numeric, text: ({ open }) => count(open) },
      { label: 'Memory', numeric, text: ({ memory }) => bytes(memory) },
      { label: 'CPU', numeric, text: (it) => percent(samples.cpuOfDraining(it.worker)) },
    ],
    { key: ({ worker: id }) => id, nothing: 'No worker is leaving.' },
  );

const listenersTable = () =>
  new Table(
    byId('listeners'),
    [
      { label: 'Address', class: ['path'], text: ({ address }) => address },
      { label: 'Workers', numeric, text: ({ workers }) => count(workers.length) },
      { label: 'Accepted', numeric, text: ({ accepted }) => count(accepted) },
      {
        label: 'Waiting',
        title: 'Connections that wait in the engine for a worker',
        numeric,
        text: ({ waiting }) => count(waiting),
      },
      {
        label: 'Parked',
        title: 'Idle connections of workers that have left',
        numeric,
        text: ({ parked }) => count(parked),
      },
      { label: 'Moved', numeric, text: ({ moved }) => count(moved) },
      { label: 'Rescued', numeric, text: ({ rescued }) => count(rescued) },
    ],
    { key: ({ address }) => address, nothing: 'No worker listens.' },
  );

const blockedTable = () =>
  new Table(
    byId('blocked'),
    [
      { label: 'Where', class: ['path'], text: ({ at }) => at },
      { label: 'Times', numeric, text: ({ count: times }) => count(times) },
      { label: 'Longest', numeric, text: ({ ms }) => time(ms) },
    ],
    { key: ({ at }) => at, nothing: 'None reported.' },
  );

/** One small tile for each of many slots; what it shows is in the table as well. */
class SlotMap {
  #map = byId('map');
  #tiles = new Map();

  update(slots) {
    const isCompact = slots.length >= COMPACT_FROM;
    document.body.classList.toggle('compact', isCompact);
    this.#map.hidden = !isCompact;
    if (!isCompact) return;
    const numbers = new Set(slots.map(({ slot }) => slot));
    for (const [number, tile] of this.#tiles) {
      if (!numbers.has(number)) {
        tile.remove();
        this.#tiles.delete(number);
      }
    }
    for (const slot of slots) this.#fill(slot);
    setAttribute(this.#map, 'aria-label', this.#label(slots));
  }

  #fill(slot) {
    let tile = this.#tiles.get(slot.slot);
    if (!tile) {
      tile = element('span', { class: 'tile' }, shape(), element('span', {}, `${slot.slot}`));
      this.#tiles.set(slot.slot, tile);
      this.#map.append(tile);
    }
    const look = SLOT_LOOKS[slotState(slot)];
    setAttribute(tile, 'data-tone', look.tone);
    setAttribute(tile, 'title', `Slot ${slot.slot}: ${look.word}`);
    setShape(tile.firstElementChild, look.shape);
  }

  #label(slots) {
    const counts = Object.entries(SLOT_LOOKS).flatMap(([state, { word }]) => {
      const number = slots.filter((slot) => slotState(slot) === state).length;
      return number > 0 ? [`${word}: ${number}`] : [];
    });
    return `Slots. ${counts.join(', ')}`;
  }
}

/** Marks for a moment the slots that have got another worker. */
class Changes {
  #workers = new Map();

  update(slots, table) {
    for (const { slot, worker: id } of slots) {
      const before = this.#workers.get(slot);
      if (isNumber(before) && isNumber(id) && before !== id) this.#mark(table.row(slot));
      if (isNumber(id)) this.#workers.set(slot, id);
    }
  }

  #mark(row) {
    row.classList.add('changed');
    setTimeout(() => row.classList.remove('changed'), CHANGED_FOR);
  }
}
