'use strict';

const { countersOf, parseMetrics } = require('./open-metrics');
const { OPEN_METRICS, request } = require('./operator');

/**
 * Scrapes all the time, and keeps what went down, or away.
 *
 * @param {object} admin where the admin endpoint listens
 * @returns `found`: how many `scrapes` there were, and the series that were `wrong`; and `stop()`
 */
function startScraping(t, admin) {
  const found = { scrapes: 0, wrong: [] };
  let before = new Map();
  let isOver = false;
  t.teardown(() => {
    isOver = true;
  });
  const scrape = async () => {
    const { body } = await request(admin, '/metrics', OPEN_METRICS);
    const counters = countersOf(parseMetrics(body));
    for (const [key, value] of before) {
      if (!(counters.get(key) >= value)) found.wrong.push([key, value, counters.get(key)]);
    }
    before = counters;
    found.scrapes += 1;
  };
  const scraping = (async () => {
    while (!isOver) await scrape();
  })();
  scraping.catch(() => {}); // `stop()` rejects
  return {
    found,
    async stop() {
      isOver = true;
      await scraping;
    },
  };
}

module.exports = { startScraping };
