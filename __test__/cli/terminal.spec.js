'use strict';

const path = require('node:path');
const { stripVTControlCharacters: plain } = require('node:util');
const { serial: test } = require('ava');
const { BIN, freshUser, hasScript, onTerminal } = require('../helpers/cli');
const { sendJson, slotOf, startControlServer, statusOf } = require('../helpers/control-server');
const { start } = require('../helpers/fixture');
const { isBuiltin } = require('../helpers/implementation');
const { becomesTrue } = require('../../tools/process-group');

const LIMIT = 20_000;
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';

/** Starts a command on a terminal, with a server in place of a primary. */
async function startOnTerminal(t, args, { answer, size, env } = {}) {
  const user = freshUser(t);
  await startControlServer(t, path.join(user.XDG_RUNTIME_DIR, 'rs-cluster', 'shop.sock'), answer);
  const app = start(t, BIN, { args, env: { ...user, ...env }, launcher: onTerminal(size) });
  app.untilPrinted = async (pattern) => {
    const isThere = () => pattern.test(plain(app.stdout));
    t.true(await becomesTrue(isThere, LIMIT), `${app}`);
  };
  return app;
}

/** The lines of the last frame that was drawn. */
function lastFrame({ stdout }) {
  return stdout.split('\x1b[H').at(-1).split(/\r*\n/);
}

if (!isBuiltin && hasScript) {
  for (const [key, name] of [
    ['q', 'q'],
    ['\x03', 'Ctrl-C'],
  ]) {
    test(`status --watch draws in place, and ${name} ends it and restores the terminal`, async (t) => {
      let now = 0;
      const answer = (_asked, response) => {
        now += 1_000;
        sendJson(
          response,
          200,
          statusOf({ now, slots: [slotOf(0, { cpu: now / 4, open: now / 1_000 })] }),
        );
        return true;
      };
      const app = await startOnTerminal(t, ['status', '--watch', '--interval', '0.2'], { answer });
      await app.untilPrinted(/ 25% +4 /);
      t.true(app.stdout.startsWith(ENTER));
      t.false(app.stdout.includes(LEAVE));
      app.write(key);
      const { code } = await app.exited;
      t.is(code, 0);
      const [, after] = app.stdout.split(LEAVE);
      t.regex(plain(after), /^shop ready /);
      t.is(app.stdout.split(ENTER).length, 2);
    });
  }

  test('lines fit a narrow terminal, and the table a low one', async (t) => {
    const slots = Array.from({ length: 40 }, (_, slot) => slotOf(slot));
    const answer = (_asked, response) => {
      sendJson(response, 200, statusOf({ slots }));
      return true;
    };
    const size = { columns: 50, rows: 12 };
    const app = await startOnTerminal(t, ['status', '--watch', '--interval', '0.1'], {
      answer,
      size,
    });
    await app.untilPrinted(/CONN\/S/);
    await becomesTrue(() => app.stdout.split('\x1b[H').length > 3, LIMIT);
    const frame = lastFrame({ stdout: app.stdout.slice(0, app.stdout.lastIndexOf('\x1b[H')) });
    const lines = frame.map(plain);
    t.true(lines.length <= size.rows, `${lines.length} rows`);
    t.deepEqual(
      lines.filter((line) => [...line].length > size.columns),
      [],
    );
    app.write('q');
    await app.exited;
  });

  test('status --watch goes on while the primary is gone', async (t) => {
    let isGone = false;
    const answer = (_asked, response) => {
      if (isGone) response.socket.destroy();
      return isGone;
    };
    const app = await startOnTerminal(t, ['status', '--watch', '--interval', '0.1'], { answer });
    await app.untilPrinted(/q quits/);
    isGone = true;
    await app.untilPrinted(/closed the connection without an answer/);
    isGone = false;
    const { length } = app.stdout;
    await becomesTrue(
      () => /^\S*shop/.test(app.stdout.slice(length).split('\x1b[H').at(-1)),
      LIMIT,
    );
    app.write('q');
    t.is((await app.exited).code, 0);
  });

  test('NO_COLOR leaves colors out on a terminal', async (t) => {
    const app = await startOnTerminal(t, ['status'], { env: { NO_COLOR: '1' } });
    await app.exited;
    t.regex(app.stdout, /^shop ready /);
    t.false(app.stdout.includes('\x1b[3'));
    t.false(app.stdout.includes('\x1b[1m'));
  });

  test('reload shows what the slots are at while it runs, and removes that', async (t) => {
    let finish;
    const answer = ({ url }, response) => {
      if (url === '/reload')
        finish = () => sendJson(response, 200, { value: { generation: 4, ms: 900 } });
      else if (finish)
        sendJson(
          response,
          200,
          statusOf({
            slots: [
              slotOf(0, { worker: 9, generation: 4 }),
              slotOf(1, { state: 'starting', worker: 10 }),
            ],
          }),
        );
      return url === '/reload' || finish !== undefined;
    };
    const app = await startOnTerminal(t, ['reload'], { answer });
    await app.untilPrinted(
      /reloading \((?:\d+ms|\d+(?:\.\d)?s)\)\r\n {2}slot 0 +ready +worker 9, generation 4, new\r\n {2}slot 1 +starting +worker 10/,
    );
    finish();
    const { code, stdout } = await app.exited;
    t.is(code, 0);
    t.true(stdout.includes('\x1b[3A\r\x1b[J\x1b[?25h'));
    t.true(plain(stdout).endsWith('✔ generation 4 is in force after 900ms\r\n'));
  });

  test('Ctrl-C during a reload ends the command by that signal, with the cursor shown', async (t) => {
    const answer = ({ url }) => url === '/reload';
    const app = await startOnTerminal(t, ['reload'], { answer });
    await app.untilPrinted(/reloading/);
    app.write('\x03');
    const { code } = await app.exited;
    t.is(code, 130);
    t.true(app.stdout.includes('\x1b[?25h'));
  });
}
