'use strict';

const { serial: test } = require('ava');
const { HOST, startApp } = require('../helpers/app');
const { get } = require('../helpers/client');
const { isBuiltin } = require('../helpers/implementation');

async function logOf(t, env) {
  const app = await startApp(t, { workers: 2 }, { env });
  const answers = [await get(app.target), await get(app.target)];
  app.send({ do: 'signal', id: 2, signal: 'SIGKILL' });
  await app.line({ on: 'cluster', event: 'exit', id: 2 });
  const { stderr } = await app.end();
  return { lines: stderr.split('\n').filter(Boolean), answers, app };
}

test('nothing is printed without NODE_DEBUG', async (t) => {
  const { lines } = await logOf(t, {});
  t.deepEqual(lines, []);
});

// The built-in module does not print a debug log.
if (!isBuiltin) {
  test('NODE_DEBUG=cluster prints what happens to workers and connections', async (t) => {
    const { lines, answers, app } = await logOf(t, { NODE_DEBUG: 'cluster' });
    const logs = (...words) => {
      const found = lines.filter((line) => words.every((word) => line.match(word)));
      t.true(found.length > 0, `${words.join(', ')} in:\n${lines.join('\n')}`);
    };
    for (const line of lines) t.regex(line, /^CLUSTER \d+: ./);
    logs(`CLUSTER ${app.pid}:`, 'see rs-cluster/register');
    for (const { id, pid } of answers) {
      const worker = new RegExp(`\\bworker ${id}\\b`);
      logs(worker, /fork/, String(pid));
      logs(worker, /online/);
      logs(worker, /listening/, `${HOST}:${app.target.port}`);
      logs(worker, /connection/);
      logs(worker, /exit/);
    }
    logs(/worker 2\b/, /exit/, /SIGKILL/);
  });
}
