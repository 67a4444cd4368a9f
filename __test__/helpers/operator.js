'use strict';

const { once } = require('node:events');
const { writeFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { text } = require('./client');
const { startSupervised } = require('./supervised');
const { temporaryDirectory } = require('./temporary');

const NAME = 'spec';

/**
 * Sends one request on a connection of its own.
 *
 * @param {object} target `{ socketPath }` or `{ host, port }`
 * @param {string} url
 * @param {object} [options] of `http.request()`, and the `body`: text, or what is to be sent as JSON
 * @returns {Promise<{ status: number, headers: object, body: string, json: () => unknown }>}
 */
async function request(target, url, { body, ...options } = {}) {
  const sent = typeof body === 'object' ? JSON.stringify(body) : body;
  const client = http.request({ agent: false, ...target, path: url, ...options });
  client.end(sent);
  const [response] = await once(client, 'response');
  const received = await text(response);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: received,
    json: () => JSON.parse(received),
  };
}

/** What asks for metrics as OpenMetrics. */
const OPEN_METRICS = { headers: { accept: 'application/openmetrics-text; version=1.0.0' } };

const post = (target, url, body) => request(target, url, { method: 'POST', body });

/** A supervised program with a control socket, and an admin endpoint on any port. */
async function startOperated(t, { options, env, ...how } = {}) {
  const runtime = temporaryDirectory(t);
  const app = await startSupervised(t, {
    options: { name: NAME, admin: 0, ...options },
    env: { XDG_RUNTIME_DIR: runtime, ...env },
    ...how,
  });
  const socketPath = path.join(runtime, 'rs-cluster', `${NAME}.sock`);
  return Object.assign(app, { runtime, control: { socketPath } });
}

/** Where the admin endpoint of such a program listens. */
async function adminOf(app) {
  const { admin } = (await request(app.control, '/status')).json();
  const { hostname: host, port } = new URL(`http://${admin}`);
  return { host, port };
}

/** Blocks the event loop of the primary. Resolves to a function that ends that. */
async function blockPrimary(app) {
  const file = path.join(app.runtime, 'unblock');
  const unblocked = app.perform('blockUntil', file);
  unblocked.catch(() => {}); // if the test fails, the program does not go on
  await app.line({ blocked: 'primary' });
  return async () => {
    writeFileSync(file, '');
    await unblocked;
  };
}

module.exports = { NAME, OPEN_METRICS, adminOf, blockPrimary, post, request, startOperated };
