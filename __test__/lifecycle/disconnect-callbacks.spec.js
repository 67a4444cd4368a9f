'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');

// With workers, the built-in module may never call the callbacks after one that throws.
for (const workers of isBuiltin ? ['without a worker'] : ['without a worker', 'with a worker']) {
  test(`each callback of cluster.disconnect() is called, ${workers}, even if others throw`, async (t) => {
    const { lines, code } = await run(t, 'lifecycle/disconnect-callbacks', { args: [workers] });
    t.is(code, 0);
    t.deepEqual(lines, [{ uncaught: 'first' }, { uncaught: 'second' }, { called: 'third' }]);
  });
}
