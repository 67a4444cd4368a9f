'use strict';

// The status page at states that take long to get for real: the engine serves the page, the spec the status.

const { readFileSync } = require('node:fs');
const { serial: test } = require('ava');
const { launchBrowser, openPage } = require('../helpers/deploy/browser');
const { makeStatus, makeTroubledStatus } = require('../helpers/deploy/page-status');
const { freePort } = require('../helpers/free-port');
const { startSupervised } = require('../helpers/supervised');

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { width: 360, height: 780 };
const MANY = 256;
const HOUR = 3_600_000;

let browser;
let url;
let app;
const teardowns = [];
test.before(async () => {
  const admin = await freePort();
  browser = await launchBrowser();
  // One service is enough for all tests.
  const t = { passed: true, log() {}, teardown: (callback) => teardowns.push(callback) };
  app = await startSupervised(t, { options: { admin }, timeout: 600_000 });
  url = `http://127.0.0.1:${admin}/`;
});
test.after.always(async () => {
  await browser?.close();
  await app?.end();
  for (const callback of teardowns) await callback();
});

const open = (t, options) => openPage(t, browser, url, options);

const STATUSES = {
  'a service that is well': makeStatus(),
  'a service in trouble': makeTroubledStatus(),
  'many slots': makeTroubledStatus({ slots: MANY }),
  'no workers yet': makeStatus({ slots: 0, state: 'starting', ready: false, events: [] }),
};

for (const [what, status] of Object.entries(STATUSES)) {
  for (const colorScheme of ['light', 'dark']) {
    for (const viewport of [undefined, PHONE]) {
      const where = viewport ? 'on a phone' : 'on a large screen';
      test(`${what}, ${colorScheme} and ${where}, has no fault of accessibility`, async (t) => {
        const page = await open(t, { status, colorScheme, ...(viewport && { viewport }) });
        await page.until(page.state, (state) => state !== 'Connecting');
        t.deepEqual(await faults(page), []);
        const [width, space] = await page.evaluate(() => [
          document.documentElement.scrollWidth,
          window.innerWidth,
        ]);
        t.true(width <= space, `${width} pixels of ${space}`);
      });
    }
  }
}

/** What axe finds: the rule, and the elements. */
async function faults(page) {
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run({ resultTypes: ['violations'] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}

test('a lost connection has no fault of accessibility either', async (t) => {
  const page = await open(t, { status: makeStatus(), allows: /ERR_CONNECTION_REFUSED/ });
  await page.untilState('Ready');
  page.status = null;
  await page.untilState('Connection lost');
  t.deepEqual(await faults(page), []);
});

test('shapes and words tell the states apart without their colors', async (t) => {
  const page = await open(t, { status: makeTroubledStatus() });
  await page.untilState('Degraded');
  const cells = await page.locator('#slots td.state').evaluateAll((all) =>
    all.map((it) => ({
      word: it.querySelector('span').textContent,
      shape: it.querySelector('use').getAttribute('href'),
    })),
  );
  const words = new Set(cells.map(({ word }) => word));
  t.deepEqual([...words].sort(), ['Backing off', 'Failed', 'Ready', 'Stalled', 'Starting']);
  t.is(new Set(cells.map(({ shape }) => shape)).size, words.size);
});

test('light and dark have the colors that the system asks for', async (t) => {
  const brightness = async (colorScheme) => {
    const page = await open(t, { status: makeStatus(), colorScheme });
    const color = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    return Math.max(...color.match(/\d+/g).map(Number));
  };
  t.true((await brightness('light')) > 200);
  t.true((await brightness('dark')) < 50);
});

test('the keyboard reaches links and what scrolls, in order, and shows where it is', async (t) => {
  const page = await open(t, { status: makeTroubledStatus({ slots: MANY, events: manyEvents() }) });
  await page.untilState('Degraded');
  await page.until(
    () => page.locator('#slots-region').getAttribute('tabindex'),
    (value) => value === '0',
  );
  const stops = [];
  for (let i = 0; i < 5; i += 1) {
    await page.keyboard.press('Tab');
    stops.push(
      await page.evaluate(() => {
        const { activeElement: it } = document;
        const name = it.getAttribute('aria-labelledby');
        const isMarked = getComputedStyle(it).outlineStyle !== 'none';
        return isMarked && (name ? document.getElementById(name).textContent : it.textContent);
      }),
    );
  }
  t.deepEqual(stops.slice(0, 4), ['Metrics', 'JSON', 'Workers', 'Events']);
});

const manyEvents = () =>
  Array.from({ length: 50 }, (_, index) => ({ ago: index * 1_000, type: 'stopped' }));

test('names, addresses and events are text, whatever they have', async (t) => {
  const evil = '<img src=x onerror="document.title=1"><b>bold</b>';
  const page = await open(t, {
    status: makeStatus({
      name: evil,
      blocked: [{ at: evil, count: 1, ms: 1 }],
      events: [
        { ago: 5, type: evil },
        { ago: 4, type: 'blocked', worker: 1, ms: 1, stack: `at ${evil} (${evil}:1:2)` },
        { ago: 3, type: 'rejected', what: 'timeout', worker: 1, missing: [evil] },
      ],
      listeners: [{ ...makeStatus().listeners[0], address: evil }],
    }),
  });
  await page.untilState('Ready');
  t.is(await page.text('#name'), evil);
  t.is(await page.text('#listeners tbody tr:not(.nothing) th'), evil);
  t.is(await page.text('#blocked tbody tr:not(.nothing) th'), evil);
  t.true((await page.events()).includes(evil));
  t.is(await page.locator('img, #events b').count(), 0);
});

test('nothing moves when numbers change and workers drain', async (t) => {
  const page = await open(t, { status: makeStatus() });
  await page.untilState('Ready');
  const boxes = () =>
    page
      .locator('h1, h2, #band, .card, #slots th[scope=col]')
      .evaluateAll((all) => all.map((it) => JSON.stringify(it.getBoundingClientRect())));
  const before = await boxes();
  const { draining } = makeTroubledStatus();
  page.status = makeStatus({ elapsed: 123_456, draining, state: 'reloading' });
  await page.untilState('Reloading');
  t.deepEqual(await boxes(), before);
});

test('screen readers are told of states, not of numbers', async (t) => {
  let elapsed = 0;
  const page = await open(t, {
    status: () => {
      elapsed += 1_000;
      return makeStatus({ elapsed });
    },
  });
  const announced = () => page.text('#announcement');
  await page.until(announced, (text) => text === 'Ready. 8 of 8 workers are ready.');
  t.is(await page.locator('[aria-live], [role=status], [role=alert]').count(), 1);
  await page.evaluate(() => {
    const { childNodes } = document.getElementById('announcement');
    window.announcement = childNodes[0];
  });
  const second = await page.text('#uptime');
  await page.until(
    () => page.text('#total-cpu'),
    (text) => text !== '–',
  );
  t.truthy(second);
  t.true(
    await page.evaluate(
      () => document.getElementById('announcement').childNodes[0] === window.announcement,
    ),
  );
  page.status = makeTroubledStatus();
  await page.until(announced, (text) => text.startsWith('Degraded. 4 of 8 workers are ready.'));
});

test('it asks once a second, less often while it is hidden, and at once when it is shown', async (t) => {
  const page = await open(t, {
    status: makeStatus(),
    before: ({ clock }) => clock.install({ time: 0 }),
  });
  const asked = async (milliseconds) => {
    const { length } = page.offenses.requests;
    for (let passed = 0; passed < milliseconds; passed += 500) {
      await page.clock.runFor(500);
      // An answer comes in real time.
      await page.evaluate(() => fetch('livez'));
    }
    const paths = page.offenses.requests.slice(length);
    return paths.filter((path) => path === '/status').length;
  };
  const show = (hidden) =>
    page.evaluate((value) => {
      Object.defineProperty(document, 'hidden', { value, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, hidden);
  await page.untilState('Ready');
  // From here on time passes only where the test says so.
  await page.clock.pauseAt(HOUR);
  const visible = await asked(10_000);
  t.true(visible >= 8 && visible <= 11, `${visible}`);
  await show(true);
  const hidden = await asked(60_000);
  t.true(hidden >= 3 && hidden <= 5, `${hidden}`);
  const { length } = page.offenses.requests;
  await show(false);
  await page.until(
    () => page.offenses.requests.slice(length),
    (paths) => paths[0] === '/status',
  );
});

test('it never asks twice at once', async (t) => {
  let running = 0;
  let most = 0;
  let answered = 0;
  const page = await open(t, {
    before: (it) =>
      it.route('**/status', async (route) => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 1_500));
        running -= 1;
        answered += 1;
        await route.fulfill({ json: makeStatus() }).catch(() => {});
      }),
  });
  await page.until(
    async () => {
      await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
      return answered;
    },
    (count) => count >= 3,
  );
  t.is(most, 1);
});

test('an answer that is no status is an error in words', async (t) => {
  const page = await open(t, {
    allows: /503/,
    before: (it) => it.route('**/status', (route) => route.fulfill({ status: 503, json: {} })),
  });
  await page.untilState('No connection');
  t.is(await page.text('#sentence'), 'The primary answers with HTTP status 503.');
});

test('without JavaScript there are links to the data', async (t) => {
  const page = await open(t, { javaScriptEnabled: false });
  const links = await page.locator('noscript a').evaluateAll?.((all) => all.map((it) => it.href));
  t.deepEqual(links, [`${url}status`, `${url}metrics`]);
});

test('reduced motion is respected', async (t) => {
  const page = await open(t, { status: makeStatus(), reducedMotion: 'reduce' });
  await page.untilState('Ready');
  page.status = makeStatus({ changes: { 1: { worker: 99 } } });
  await page.until(
    () => page.locator('tr.changed').count(),
    (count) => count === 1,
  );
  const animation = await page
    .locator('tr.changed td')
    .first()
    .evaluate((it) => getComputedStyle(it).animationName);
  t.is(animation, 'none');
});
