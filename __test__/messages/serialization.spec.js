'use strict';

const { serial: test } = require('ava');
const { run } = require('../helpers/fixture');

test('every value arrives as in JSON, however large', async (t) => {
  const { lines, code } = await run(t, 'messages/json-values');
  t.is(code, 0);
  t.true(lines.length > 20);
  t.deepEqual(
    lines.filter((line) => !line.same),
    [],
  );
});

test("values that JSON does not have arrive by serialization 'advanced'", async (t) => {
  const { lines, code } = await run(t, 'messages/advanced-values');
  t.is(code, 0);
  const values = lines.filter(({ name }) => name);
  t.true(values.length > 20);
  t.deepEqual(
    values.filter(({ same }) => !same),
    [],
  );
});

test('a value that V8 cannot serialize throws in the sender, and the channel stays open', async (t) => {
  const { lines } = await run(t, 'messages/advanced-values');
  for (const role of ['primary', 'worker']) {
    t.deepEqual(
      lines.filter((line) => line.role === role),
      [
        { role, refused: 'a function', reason: 'f() {} could not be cloned.' },
        { role, refused: 'a symbol', reason: 'Symbol(symbol) could not be cloned.' },
        { role, refused: 'a promise', reason: '#<Promise> could not be cloned.' },
        { role, refused: 'a weak map', reason: '#<WeakMap> could not be cloned.' },
      ],
    );
  }
});

for (const serialization of ['json', 'advanced']) {
  test(`texts of all lengths and alphabets arrive unchanged, by '${serialization}'`, async (t) => {
    const { lines, code } = await run(t, 'messages/texts', { args: [serialization] });
    t.is(code, 0);
    t.deepEqual(lines[0], { answers: 360, wrong: [] });
  });
}
