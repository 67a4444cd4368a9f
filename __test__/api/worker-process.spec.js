'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

/** Resolves to everything observable about a process forked by the cluster, or by child_process. */
async function look(t, by, end, options) {
  const { lines, code } = await run(t, 'api/child-process', { args: [by, end, options] });
  t.is(code, 0);
  const [{ at, events, returned }] = lines;
  // 'disconnect' and 'exit' may come in either order.
  const rank = ([event]) => (event === 'disconnect' ? 1 : event === 'close' ? 2 : 0);
  for (const event of ['disconnect', 'exit']) at[event] = undefined;
  return { at, events: events.sort((a, b) => rank(a) - rank(b)), returned };
}

const options = {
  'that shares the streams': '{}',
  'that is silent': '{ silent: true }',
  'that has pipes': "{ stdio: 'pipe' }",
  'that has pipes, descriptors and nothing':
    "{ stdio: ['pipe', 'ignore', 2, 'ipc', 'pipe', fs.openSync('/dev/null')] }",
  'that has flags': "{ execArgv: ['--no-deprecation'] }",
};
for (const [name, expression] of Object.entries(options)) {
  test(`the process of a worker ${name} looks like one of child_process.fork`, async (t) => {
    const child = await look(t, 'child_process', 'kill', expression);
    t.deepEqual(
      child.events.map(([event]) => event),
      ['spawn', 'message', 'internalMessage', 'exit', 'disconnect', 'close'],
    );
    t.deepEqual(await look(t, 'cluster', 'kill', expression), child);
  });
}

test('the process of a disconnected worker looks like one of child_process.fork', async (t) => {
  const child = await look(t, 'child_process', 'disconnect', '{}');
  const worker = await look(t, 'cluster', 'disconnect', '{}');
  // Node does not emit the 'close' event of a process whose channel the parent has closed.
  if (!isBuiltin) {
    t.deepEqual(worker.events.pop(), ['close', 0, null]);
    delete worker.at.close;
  }
  t.deepEqual(worker, child);
});
