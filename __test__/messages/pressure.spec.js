'use strict';

const path = require('node:path');
const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');
const { temporaryDirectory } = require('../helpers/temporary');

for (const role of ['primary', 'worker']) {
  test(`send() returns false in a ${role} whose peer reads nothing, and nothing is lost`, async (t) => {
    const release = path.join(temporaryDirectory(t), 'release');
    const { lines, code } = await run(t, 'messages/blocked-peer', { args: [role, release] });
    t.is(code, 0);
    t.deepEqual(Object.assign({}, ...lines), {
      slowedDown: true,
      called: true,
      error: null,
      returned: true,
      whole: true,
    });
  });
}
