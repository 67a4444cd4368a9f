'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

test('toJSON() is called once for each message, with the same name as in Node', async (t) => {
  const { lines, code } = await run(t, 'messages/to-json');
  t.is(code, 0);
  const calls = (role) =>
    lines
      .filter((line) => line.role === role && line.name)
      .map(({ name, calls, outcome }) => [name, calls, outcome]);
  const received = (role) =>
    lines.filter((line) => line.role === role && line.message).map(({ message }) => message);
  const alone = [
    ['refused', [['']], 'RangeError'],
    ['a bigint', [['']], 'TypeError'],
    ['alone', [['']], true],
  ];
  t.deepEqual(calls('worker'), alone);
  t.deepEqual(received('primary'), [{ alone: '' }, 'last']);
  t.deepEqual(calls('primary'), [
    ...alone,
    ['with a server', [['msg']], true],
    ['with a handle', [['msg']], true],
  ]);
  t.deepEqual(received('worker'), [{ alone: '' }, { server: 'msg' }, { handle: 'msg' }, 'last']);
});
