'use strict';

const http = require('node:http');
const { mkdirSync } = require('node:fs');
const path = require('node:path');

const HISTORY = { interval: 1000, accepted: [120, 130], p50: [11, 12], p99: [40, null] };
const COUNTS = {
  accepted: 1500,
  handedOver: 1500,
  reclaimed: 0,
  rescued: 1,
  returned: 0,
  moved: 2,
};

/** What a primary with two workers says of itself. */
function statusOf(changes = {}) {
  const now = Date.now();
  return {
    name: 'shop',
    pid: process.pid,
    version: '0.1.0',
    node: process.version,
    state: 'ready',
    generation: 3,
    held: false,
    workers: 2,
    uptime: 7_980_000,
    started: now - 7_980_000,
    now,
    control: '/run/shop/shop.sock',
    admin: '127.0.0.1:9100',
    ready: true,
    slots: [slotOf(0), slotOf(1, { stalled: true })],
    draining: [],
    blocked: [],
    listeners: [
      {
        ...COUNTS,
        address: '127.0.0.1:8000',
        workers: [5, 6],
        waiting: 0,
        parked: 3,
        handoverTimes: [],
      },
    ],
    totals: { ...COUNTS, restarts: 2, cut: 0, reloads: 2, reloadsFailed: 0 },
    events: [],
    history: HISTORY,
    ...changes,
  };
}

function slotOf(slot, changes = {}) {
  return {
    slot,
    state: 'ready',
    worker: slot + 5,
    pid: 4000 + slot,
    generation: 3,
    uptime: 125_000,
    failures: 0,
    restarts: slot,
    nextStart: null,
    memory: 47_400_000,
    cpu: 5_230,
    stalled: false,
    open: 12,
    waiting: 0,
    accepted: 0,
    handedOver: 750,
    total: { ...COUNTS, accepted: 50, handedOver: 700 },
    ...changes,
  };
}

/**
 * Answers in place of a primary, for what a real one does not say at will.
 *
 * @param {string} file the path of its socket
 * @param {(request: { method: string, url: string, body: unknown }, response: object) => void} [answer] returns
 *   true if it has dealt with the request
 * @returns {Promise<{ requests: object[], close: () => void }>}
 */
async function startControlServer(t, file, answer = () => false) {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const requests = [];
  const server = http.createServer(async (request, response) => {
    const { method, url } = request;
    let text = '';
    for await (const part of request.setEncoding('utf8')) text += part;
    const asked = { method, url, body: text === '' ? undefined : JSON.parse(text) };
    requests.push(asked);
    if (answer(asked, response)) return;
    sendJson(response, 200, url === '/status' ? statusOf() : { value: null });
  });
  await new Promise((resolve) => server.listen(file, resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  t.teardown(close);
  return { requests, close };
}

function sendJson(response, statusCode, value) {
  response.writeHead(statusCode, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

module.exports = { sendJson, slotOf, startControlServer, statusOf };
