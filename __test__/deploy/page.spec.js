'use strict';

// The status page as the engine serves it, in a browser.

const { serial: test } = require('ava');
const { get } = require('../helpers/client');
const { launchBrowser, openPage } = require('../helpers/deploy/browser');
const { freePort } = require('../helpers/free-port');
const { startSupervised } = require('../helpers/supervised');

const BLOCKED_FOR = 60_000;

let browser;
test.before(async () => {
  browser = await launchBrowser();
});
test.after.always(() => browser?.close());

/** Starts a service, and opens its page. */
async function startWithPage(t, { open, options, ...how } = {}) {
  const admin = await freePort();
  const app = await startSupervised(t, {
    options: { admin, name: 'shop', hungTimeout: 0, ...options },
    ...how,
  });
  const url = `http://127.0.0.1:${admin}/`;
  const page = await openPage(t, browser, url, open);
  return { app, admin, url, page };
}

const number = (text) => Number(text.replaceAll(',', ''));

test('the page shows the service, and values that change', async (t) => {
  const { app, page } = await startWithPage(t);
  await page.untilState('Ready');
  t.is(await page.text('#name'), 'shop');
  t.is(await page.text('#pid'), `${app.pid}`);
  t.is(await page.text('#sentence'), '2 of 2 workers are ready.');
  t.is(await page.title(), 'Ready · shop');
  t.is(await page.text('#total-ready'), '2/2');

  const [pid] = await app.pids();
  const { State, Worker, Memory, 'Gen.': generation } = await page.slot(0);
  t.is(State, 'Ready');
  t.true(Worker.endsWith(`pid ${pid}`), Worker);
  t.regex(Memory, /^[\d.]+ MB$/);
  t.is(generation, '1');

  let isLoading = true;
  const loading = (async () => {
    while (isLoading) await app.ask();
  })();
  await page.until(
    () => page.text('#rate'),
    (rate) => /^[\d,]+$/.test(rate) && rate !== '0',
  );
  const busy = await page.until(
    () => page.slot(0),
    (slot) => /^[\d.]+%$/.test(slot.CPU) && Number(slot['Conn/s'].replaceAll(',', '')) > 0,
  );
  t.regex(busy.CPU, /^[\d.]+%$/);
  await page.until(
    () => page.text('#p99'),
    (text) => /^[\d.]+ (µs|ms)$/.test(text),
  );
  const accepted = () => page.text('#listeners tbody tr:not(.nothing) td:nth-child(3)');
  const before = number(await accepted());
  await page.until(accepted, (text) => Number(text.replaceAll(',', '')) >= 10);
  t.true(number(await accepted()) >= before);
  isLoading = false;
  await loading;
  await app.end();
});

test('a killed worker shows as replaced', async (t) => {
  const { app, page } = await startWithPage(t);
  await page.untilState('Ready');
  const before = await page.slot(1);
  const [id] = (await app.ids()).slice(1);
  process.kill((await app.pids())[1], 'SIGKILL');
  const after = await page.until(
    () => page.slot(1),
    (slot) => slot.State.startsWith('Ready') && slot.Restarts === '1',
  );
  t.not(after.Worker, before.Worker);
  const events = await page.until(page.events, (texts) =>
    texts.some((text) => text.includes('replaces')),
  );
  t.true(
    events.some((text) => text === `Worker ${id} of slot 1 was ended by SIGKILL`),
    `${events}`,
  );
  t.is(await page.text('#total-restarts'), '1');
  await app.end();
});

test('a stuck worker shows as stalled', async (t) => {
  const { app, page } = await startWithPage(t);
  await page.untilState('Ready');
  const stuck = get(app.target, { path: '/spin' });
  stuck.catch(() => {});
  // A worker that is stuck is noticed when connections wait for it.
  const asking = setInterval(() => app.ask().catch(() => {}), 20);
  t.teardown(() => clearInterval(asking));
  await page.untilState('Degraded');
  t.regex(await page.text('#sentence'), /^1 of 2 workers is ready\. Slot \d is stalled\.$/);
  const slots = [await page.slot(0), await page.slot(1)];
  t.is(slots.filter(({ State }) => State === 'Stalled event loop blocked').length, 1);
  clearInterval(asking);
  const pids = await app.pids();
  const { slots: known } = await app.status();
  process.kill(pids[known.findIndex(({ stalled }) => stalled)], 'SIGKILL');
  await page.untilState('Ready');
  await app.end();
});

test("the page works while the primary's JavaScript is blocked", async (t) => {
  const { app, url, page } = await startWithPage(t);
  await page.untilState('Ready');
  const [pid] = await app.pids();
  app.send({ token: 'block', do: 'block', args: [BLOCKED_FOR] });
  await app.line({ blocked: 'primary' });
  const fresh = await openPage(t, browser, url);
  await fresh.untilState('Ready');
  process.kill(pid, 'SIGKILL');
  for (const it of [page, fresh]) {
    const slot = await it.until(
      () => it.slot(0),
      ({ State, Restarts }) => State.startsWith('Ready') && Restarts === '1',
    );
    t.false(slot.Worker.endsWith(`pid ${pid}`));
  }
  app.signal('SIGKILL');
  await app.exited;
});

test('the page says that the connection is lost, for how long, and that it is back', async (t) => {
  const allows = /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/;
  const { app, admin, page } = await startWithPage(t, { open: { allows } });
  await page.untilState('Ready');
  await app.end();
  await page.untilState('Connection lost');
  t.is(await page.text('#sentence'), 'The primary does not answer.');
  t.is(await page.title(), 'Connection lost · shop');
  await page.until(
    () => page.text('#age'),
    (text) => /^This is how it was [2-9]s ago$/.test(text),
  );
  t.is(await page.text('#pid'), `${app.pid}`, 'what was known is still there');

  const other = await startSupervised(t, { options: { admin, name: 'shop' } });
  const back = `Connected again, to another primary (pid ${other.pid}).`;
  await page.untilState(back);
  t.is(await page.text('#age'), 'Live');
  await page.untilState('Ready');
  await other.end();
});

test('a reload shows as another generation', async (t) => {
  const { app, page } = await startWithPage(t);
  await page.untilState('Ready');
  await app.perform('reload');
  await page.until(
    () => page.slot(1),
    (slot) => slot['Gen.'] === '2',
  );
  await page.until(
    () => page.text('#generation'),
    (text) => text === '2',
  );
  const events = await page.until(page.events, (texts) =>
    texts.some((it) => it.startsWith('Reloaded')),
  );
  t.true(
    events.some((text) => /^Reloaded: generation 2, in [\d.]+ m?s$/.test(text)),
    `${events}`,
  );
  await app.end();
});
