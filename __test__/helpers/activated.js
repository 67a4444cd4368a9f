'use strict';

const path = require('node:path');
const { startSupervised } = require('./supervised');
const { temporaryDirectory } = require('./temporary');

const MANAGER = path.join(__dirname, 'activating.py');

/** Serves HTTP at what `server.listen()` takes, in the JSON of its first argument. */
const PROGRAM = `'use strict';
const http = require('node:http');
const server = http.createServer((_, response) => {
  response.end(JSON.stringify({ pid: process.pid, env: process.env, address: server.address() }));
});
server.listen(JSON.parse(process.argv[2]));
process.on('message', () => server.close(() => process.send('closed')));
`;

/** A command that executes another one as a service of such a manager. */
function managerOf(t, config) {
  const notify = path.join(temporaryDirectory(t), 'notify');
  return ['python3', MANAGER, JSON.stringify({ notify, ...config })];
}

/**
 * Starts a supervised program as a service of a manager that has bound sockets for it: see activating.py.
 *
 * Lines of the manager have the property `manager`. It starts the program again when that is killed.
 *
 * @param {object} options
 * @param {object[]} [options.sockets] what the manager binds
 * @param {number} [options.stores] how many descriptors the manager stores
 * @param {number} [options.pause] how many seconds the manager waits before it removes one of them
 * @param {object} [options.listen] where the program listens, for `server.listen()`
 * @param {object} [options.variables] more variables of the service
 */
async function startActivated(t, { sockets = [], stores, pause, listen, variables, ...how }) {
  const app = await startSupervised(t, {
    program: PROGRAM,
    launcher: managerOf(t, { sockets, stores, pause, env: variables }),
    ...how,
    options: { args: [JSON.stringify(listen)], ...how.options },
  });
  return addManager(app);
}

/** Adds to a running program what the manager says of it. */
function addManager(app) {
  return Object.assign(app, {
    /** Waits until the service is ready after so many restarts. */
    untilReady: (restarts) => app.linesLike({ on: 'supervisor', event: 'ready' }, restarts + 1),
    /** The process of the service, after so many restarts. */
    async service(restarts = 0) {
      const started = await app.linesLike({ manager: 'started' }, restarts + 1);
      return started.at(-1).pid;
    },
    /** Ends the service; resolves to what the manager says of it. */
    async leave() {
      await app.end();
      return app.line({ manager: 'ended' });
    },
  });
}

module.exports = { PROGRAM, addManager, managerOf, startActivated };
