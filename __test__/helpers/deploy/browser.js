'use strict';

const { chromium } = require('playwright-core');
const { becomesTrue } = require('../../../tools/process-group');
const { findOneOf } = require('../../../tools/debian-packages');

const PROGRAM = 'chromium|chromium-browser|google-chrome';
// It must ask no host of the Internet by itself.
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const DESKTOP = { width: 1280, height: 900 };
const LIMIT = 20_000;

/** Starts Chromium without a window. */
function launchBrowser(options) {
  return chromium.launch({ executablePath: findOneOf(PROGRAM), args: ARGS, ...options });
}

/** Keeps all that a page should not do: errors, violations of its policy, and requests to elsewhere. */
class Offenses {
  list = [];
  /** What the page has asked for: the paths. */
  requests = [];
  #origin;
  #allowed;

  constructor(page, url, { allows }) {
    this.#origin = new URL(url).origin;
    this.#allowed = allows;
    page.on('pageerror', ({ message }) => this.#add(message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.#add(message.text());
    });
    page.on('request', (request) => this.#check(new URL(request.url())));
  }

  #check({ origin, protocol, pathname, href }) {
    if (protocol === 'data:') return;
    if (origin === this.#origin) this.requests.push(pathname);
    else this.#add(`asks for ${href}`);
  }

  #add(text) {
    if (!this.#allowed?.test(text)) this.list.push(text);
  }
}

/**
 * Opens a page in a browser context of its own. After the test there must have been no error on its console, no
 * violation of its policy, and no request to elsewhere.
 *
 * @param {import('playwright-core').Browser} browser
 * @param {object} [options] for the context; `viewport` is DESKTOP unless it says otherwise
 * @param {object} [options.status] what `/status` answers instead of the server; or a function that makes it
 * @param {RegExp} [options.allows] errors on the console that are expected
 * @param {(page: object) => Promise} [options.before] what to do before the page is loaded
 */
async function openPage(t, browser, url, { status, allows, before, ...options } = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  const offenses = new Offenses(page, url, { allows });
  t.teardown(async () => {
    await context.close();
    if (offenses.list.length > 0) throw new Error(`the page has: ${offenses.list.join('\n')}`);
  });
  page.status = status;
  if (status) await page.route('**/status', (route) => answer(route, page.status));
  await before?.(page);
  await page.goto(url);
  return Object.assign(page, { offenses, ...queries(page) });
}

function answer(route, status) {
  if (status === null) return route.abort('connectionrefused');
  const json = typeof status === 'function' ? status() : status;
  return route.fulfill({ json });
}

/** What specs ask of the status page. */
function queries(page) {
  const text = async (selector) => (await page.locator(selector).first().textContent()).trim();
  const queries = {
    text,
    state: () => text('#state'),
    /** The texts of the cells of a slot's row, by column. */
    slot: (number) =>
      page.locator('#slots tbody tr:not(.nothing)').evaluateAll((rows, wanted) => {
        const row = rows.find((it) => it.cells[0].textContent === `${wanted}`);
        const cells = [...(row?.cells ?? [])].map((it) => [
          it.dataset.label,
          it.textContent.trim(),
        ]);
        return Object.fromEntries(cells);
      }, number),
    /** Newest first. */
    events: () => page.locator('#events li > span').allTextContents(),
    async until(what, condition) {
      let last;
      const isSo = async () => {
        last = await what();
        return condition(last);
      };
      if (await becomesTrue(isSo, LIMIT)) return last;
      throw new Error(`it does not come to this: ${condition}; ${JSON.stringify(last)}`);
    },
  };
  return {
    ...queries,
    untilState: (wanted) => queries.until(queries.state, (state) => state === wanted),
  };
}

module.exports = { DESKTOP, launchBrowser, openPage };
