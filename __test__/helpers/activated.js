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

/**
 * Starts a supervised program as a service of a manager that has bound sockets for it: see activating.py.
 *
 * Lines of the manager have the property `manager`. It starts the program again when that is killed.
 *
 * @param {object} options
 * @param {object[]} [options.sockets] what the manager binds
 * @param {number} [options.stores] how many descriptors the manager stores
 * @param {object} [options.listen] where the program listens, for `server.listen()`
 * @param {object} [options.variables] more variables of the service
 */
async function startActivated(t, { sockets = [], stores, listen, variables, ...how }) {
  const notify = path.join(temporaryDirectory(t), 'notify');
  const config = { sockets, stores, notify, env: variables };
  const app = await startSupervised(t, {
    program: PROGRAM,
    launcher: ['python3', MANAGER, JSON.stringify(config)],
    ...how,
    options: { args: [JSON.stringify(listen)], ...how.options },
  });
  return Object.assign(app, {
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

module.exports = { PROGRAM, startActivated };
