'use strict';

const test = require('ava');
const run = require('../../lib/cli/commands/run');
const { parse } = require('../../lib/cli/parse');

/** What is written after `rs-cluster run`: the options as they were written, and the program with its arguments. */
const DIVIDED = {
  'server.js -w auto --admin 9100': [{ workers: 'auto', admin: '9100' }, 'server.js'],
  '-w auto --admin 9100 server.js': [{ workers: 'auto', admin: '9100' }, 'server.js'],
  '-w 2 server.js --admin=9100 one -w 9': [{ workers: '2', admin: '9100' }, 'server.js one -w 9'],
  'server.js --port 3000 -w 9': [{}, 'server.js --port 3000 -w 9'],
  'server.js -w2 --prefix -- --name x': [{ workers: '2', prefix: true }, 'server.js --name x'],
  'server.js -- -- x': [{}, 'server.js -- x'],
  'server.js one -- two': [{}, 'server.js one -- two'],
  'server.js --help': [{}, 'server.js --help'],
  'server.js -h -w 2': [{}, 'server.js -h -w 2'],
  '-- server.js -w 2': [{}, 'server.js -w 2'],
  'server.js': [{}, 'server.js'],
};

for (const [line, [options, program]] of Object.entries(DIVIDED)) {
  test(`the arguments of run are divided: ${line}`, (t) => {
    const { raw, positionals } = parse(run, line.split(' '));
    t.deepEqual({ ...raw }, options);
    t.is(positionals.join(' '), program);
  });
}

test('an option that follows the program needs its value, too', (t) => {
  t.throws(() => parse(run, ['server.js', '--admin']), { message: /--admin needs a value/ });
});
