'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

if (!isBuiltin) {
  test('a worker is paused for both ends, whichever end has paused it', async (t) => {
    const { lines, code } = await run(t, 'policies/pause');
    t.is(code, 0);
    t.deepEqual(
      lines.filter(({ worker }) => worker !== undefined),
      [
        { after: 'paused', worker: true },
        { after: 'resumed', worker: false },
        { after: 'pause', worker: true },
        { after: 'resume', worker: false },
        // Before the worker has learned what the primary did meanwhile, and after that.
        { after: 'both', worker: false },
        { after: 'end', worker: false },
      ],
    );
    t.deepEqual(
      lines.filter(({ primary }) => primary !== undefined),
      [
        { after: 'pause', primary: true },
        { after: 'resume', primary: false },
        { after: 'both', primary: false },
      ],
    );
  });
}
