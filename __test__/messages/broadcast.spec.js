'use strict';

const { serial } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { HAS_PROC } = require('../../tools/process-group');

const WORKERS = 5;
const MIB = 16;
// `others` twice, after the largest.
const MESSAGES = 21;

// Where processes can be seen to have stopped.
const test = HAS_PROC ? serial : serial.skip;

test('the same long strings, sent to many workers at once, arrive at each of them', async (t) => {
  const { lines, code } = await run(t, 'messages/broadcast', { args: [`${WORKERS}`, `${MIB}`] });
  t.is(code, 0);
  const [{ growth, bytes }, ...workers] = lines;
  t.deepEqual(workers, Array(WORKERS - 1).fill({ received: MESSAGES, wrong: 0 }));
  // The built-in module copies a string for each worker.
  if (!isBuiltin) t.true(growth < 2 * bytes, `${growth} bytes for ${bytes}`);
});
