'use strict';

const { start } = require('./fixture');

/** Starts `fixtures/drain/app.js` with one worker that listens, or is online if it has no server. */
async function startDrainApp(t, options, how) {
  const app = start(t, 'drain/app', { args: [options], ...how });
  const ready = options.kind === 'none' ? 'online' : 'listening';
  const listening = (count) => app.linesLike({ on: 'cluster', event: ready }, count);
  const [line] = await listening(1);
  const { port, address } = line.args[0] ?? {};
  app.target = options.path ? { path: address } : { port, host: '127.0.0.1' };
  app.tell = (id, what) => app.send({ do: 'tell', id, what: { do: what } });
  /** Adds another worker, which can take what the first one gives away. */
  app.addWorker = async () => {
    const { length } = app.seen({ on: 'cluster', event: ready });
    app.send({ do: 'fork' });
    await listening(length + 1);
  };
  /** Begins to drain a worker, and waits until it has been told. */
  app.drain = async (id, options) => {
    app.send({ do: 'drain', id, options });
    await app.line({ from: id, isDraining: true });
  };
  /** Waits until the worker has exited; how many connections that has cut. */
  app.drained = async (id) => (await app.line({ drained: id })).cut;
  /** Waits until the worker has read so many bytes from its connections. */
  app.untilRead = async (id, count) => {
    for (let read = 0; read < count; ) {
      const { length } = app.seen({ from: id, did: 'read' });
      app.tell(id, 'readBytes');
      ({ read } = (await app.linesLike({ from: id, did: 'read' }, length + 1)).at(-1));
    }
  };
  app.stats = async () => {
    const { length } = app.seen({ did: 'stats' });
    app.send({ do: 'stats' });
    return (await app.linesLike({ did: 'stats' }, length + 1)).at(-1);
  };
  /** How many connections the engine has got from workers. */
  app.moved = async () => (await app.stats()).listeners.reduce((sum, { moved }) => sum + moved, 0);
  return app;
}

module.exports = { startDrainApp };
