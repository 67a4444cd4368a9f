'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { serial: test } = require('ava');
const { fixturePath } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { startPrimary } = require('../helpers/primaries');
const { PROGRAM, startSupervised } = require('../helpers/supervised');
const { temporaryDirectory } = require('../helpers/temporary');
const { resumed, visit, visits } = require('../helpers/tls-client');

const ENOUGH = 200;
const RELOADS = 3;
const UPGRADES = 2;

/** A program with a TLS server; `how` as in fixtures/listen/tls-worker.js. */
const secure = (how) => `
const start = require(${JSON.stringify(fixturePath('listen/tls-worker'))});
start(${JSON.stringify(how)}, { port: process.argv[2], host: '127.0.0.1' });
`;

/** Makes a release, and lets the link `current` lead to it. */
function release(base, version, program) {
  const directory = path.join(base, 'releases', `${version}`);
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(path.join(directory, PROGRAM), program);
  const current = path.join(base, 'current');
  fs.symlinkSync(directory, `${current}.new`);
  fs.renameSync(`${current}.new`, current);
  return directory;
}

// The built-in module does not supervise.
if (!isBuiltin) {
  for (const [kind, version] of [
    ['https', 'TLSv1.2'],
    ['https', 'TLSv1.3'],
    ['http2', 'TLSv1.3'],
  ]) {
    test(`sessions of ${kind} are resumed by ${version} while releases replace each other`, async (t) => {
      const base = temporaryDirectory(t);
      const directory = release(base, 0, secure({ kind }));
      const app = await startSupervised(t, {
        program: secure({ kind }),
        directory,
        options: { directory: path.join(base, 'current'), workers: 4, maxSurge: 2, minUptime: 50 },
      });
      let reloads = 0;
      const reload = async () => {
        for (; reloads < RELOADS; reloads += 1) {
          release(base, reloads + 1, secure({ kind }));
          await app.perform('reload');
        }
      };
      const reloading = reload();
      const isEnough = (all) => all.length > ENOUGH && reloads === RELOADS;
      const [first, ...rest] = await visits(app.target, { kind, version }, isEnough);
      await reloading;
      t.false(first.isReused);
      t.true(resumed(rest) >= 0.99, `${resumed(rest)}`);
      t.true(new Set(rest.map(({ argv }) => argv[1])).size > RELOADS);
      t.is(new Set(rest.map(({ key }) => key)).size, 1);
      await app.end();
    });
  }

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`sessions are resumed by ${version} while primaries replace each other`, async (t) => {
      const app = await startPrimary(t, { args: ['-w', '4'], program: secure({}) });
      let upgrades = 0;
      const upgrade = async () => {
        for (; upgrades < UPGRADES; upgrades += 1) await app.command('upgrade');
      };
      const upgrading = upgrade();
      const isEnough = (all) => all.length > ENOUGH && upgrades === UPGRADES;
      const [first, ...rest] = await visits(app.target, { version }, isEnough);
      await upgrading;
      const [last] = rest.slice(-1);
      t.not(last.ppid, first.ppid);
      t.is(last.key, first.key);
      t.true(resumed(rest) >= 0.99, `${resumed(rest)}`);
      await app.command('stop');
      t.is((await app.exited).code, 0);
    });
  }

  test('keys of the program itself are those of its newest release', async (t) => {
    const [first, second] = ['1a', '2b'].map((byte) => byte.repeat(48));
    const app = await startSupervised(t, { program: secure({ options: { ticketKeys: first } }) });
    t.true(first.startsWith((await visit(app.target)).key));
    app.deploy(secure({ options: { ticketKeys: second } }));
    await app.perform('reload');
    const after = await visits(app.target, {}, (all) => all.length > 8);
    t.true(after.every(({ key }) => second.startsWith(key)));
    await app.end();
  });
}
