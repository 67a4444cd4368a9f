'use strict';

const test = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// Listeners throw in programs that handle 'uncaughtException': the module must still do its own work at that
// event.
const EVENTS = {
  primary: {
    cluster: ['setup', 'fork', 'online', 'listening', 'disconnect', 'exit'],
    worker: ['online', 'listening', 'disconnect', 'exit'],
    process: ['spawn', 'internalMessage', 'disconnect', 'exit', 'close'],
  },
  worker: {
    server: ['listening', 'close'],
    worker: ['disconnect'],
    process: ['disconnect', 'internalMessage'],
  },
};
const WAYS = { primary: ['disconnect', 'kill'], worker: ['leave', 'destroy', 'disconnect'] };

/** Whether the program also ends under the built-in module: others wait forever there, or end differently. */
const endsInNode = ({ role, event, leave }) =>
  role === 'primary' && leave === 'disconnect' && event !== 'exit';

/** Whether the event is not emitted at all. */
const isSilent = ({ on, event, leave }) =>
  event === 'internalMessage' || (on === 'server' && event === 'close' && leave === 'destroy');

for (const [role, emitters] of Object.entries(EVENTS)) {
  for (const [on, events] of Object.entries(emitters)) {
    for (const event of events) {
      for (const leave of WAYS[role]) {
        if (isBuiltin && !endsInNode({ role, event, leave })) continue;
        const title = `${on} ${event}, ${leave}`;
        test(`a listener that throws in the ${role} prevents nothing else: ${title}`, async (t) => {
          const args = [{ role, on, event, leave }];
          const { code, lines } = await run(t, 'api/throwing-listeners', { args });
          t.is(code, 0);
          const thrown = lines.filter(({ uncaught }) => uncaught);
          if (!isSilent(args[0])) t.deepEqual(thrown, [{ role, uncaught: `${on} ${event}` }]);
          t.like(lines.at(-1), {
            messages: 1,
            calledBack:
              (leave === 'disconnect' ? 1 : 0) + (on === 'process' && event === 'close' ? 0 : 1),
            ended: true,
            state: 'dead',
            exitedAfterDisconnect: true,
            workers: [],
          });
        });
      }
    }
  }
}

if (!isBuiltin) {
  test("if a listener of 'error' throws, a worker that could not start is still removed", async (t) => {
    const settings = { cwd: '/no/such/directory' };
    const args = [{ role: 'primary', on: 'process', event: 'error', settings }];
    const { code, lines } = await run(t, 'api/throwing-listeners', { args });
    t.is(code, 0);
    t.deepEqual(lines[0], { role: 'primary', uncaught: 'process error' });
    // As with the built-in module, its channel closes after the error.
    const state = 'disconnected';
    t.like(lines.at(-1), { calledBack: 1, state, exitedAfterDisconnect: false, workers: [] });
  });
}
