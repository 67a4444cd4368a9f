'use strict';

// The program that `rs-cluster-load traffic` talks to, of any kind of server. It answers with the id of the
// request, the worker's pid and the length of the request's body:
//
//   /                        at once
//   /slow?pieces=P&every=M   and then P numbered lines, one every M ms, and "end"
//   /events?pieces=P&every=M the same as server-sent events; without P until `leave()`
//   /early                   before the body has come, so the length is 0
//   an upgrade               echoes WebSocket messages, until `leave()`

const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const https = require('node:https');
const path = require('node:path');
const { EchoSockets } = require('./echo-sockets.js');
const { openIdLog } = require('./id-log.js');

const KEYS = path.join(__dirname, '../../../__test__/fixtures/shared/keys');

function secure() {
  const read = (name) => fs.readFileSync(path.join(KEYS, `${name}.pem`));
  return { key: read('key'), cert: read('cert') };
}

const KINDS = {
  http: (answer) => http.createServer(answer),
  https: (answer) => https.createServer(secure(), answer),
  h2c: (answer) => http2.createServer(answer),
  h2: (answer) => http2.createSecureServer(secure(), answer),
};

/** Sends the pieces; an answer whose client is gone ends its timer. */
function sendPieces(response, { first, pieces, every, format, endless }) {
  let next = 0;
  response.write(format(first));
  const timer = setInterval(() => {
    if (next < pieces) response.write(format(next++));
    else finish();
  }, every);
  const finish = () => {
    clearInterval(timer);
    endless.delete(finish);
    response.end(format('end'));
  };
  response.once('close', () => {
    clearInterval(timer);
    endless.delete(finish);
  });
  if (pieces !== Infinity) return;
  // A client may ask again on its connection when the worker has told it to go.
  if (endless.hasLeft) finish();
  else endless.add(finish);
}

/**
 * Makes servers of one worker.
 *
 * @param {object} [options]
 * @param {string} [options.log] the file for the ids, see id-log.js
 */
function trafficProgram({ log } = {}) {
  const ids = openIdLog(log);
  const sockets = new EchoSockets(ids);
  const endless = Object.assign(new Set(), { hasLeft: false });

  const pieces = (response, url, first, type, format) => {
    const query = new URLSearchParams(url.slice(url.indexOf('?')));
    response.setHeader('Content-Type', type);
    sendPieces(response, {
      first,
      pieces: Number(query.get('pieces') ?? Infinity),
      every: Number(query.get('every')),
      format,
      endless,
    });
  };

  const answer = (request, response) => {
    const { url, method } = request;
    const id = request.headers['x-id'] ?? '-';
    const text = (length) => `${id} ${process.pid} ${length}`;
    let length = 0;
    ids.follow(id, response);
    if (url.startsWith('/slow')) {
      pieces(response, url, text(0), 'text/plain', (line) => `${line}\n`);
    } else if (url.startsWith('/events')) {
      pieces(response, url, text(0), 'text/event-stream', (event) => `data: ${event}\n\n`);
    } else if (method === 'GET' || url.startsWith('/early')) {
      response.end(`${text(0)}\n`);
    } else {
      request.on('data', (chunk) => {
        length += chunk.length;
      });
      request.on('end', () => response.end(`${text(length)}\n`));
    }
  };

  return {
    answer,
    upgrade: sockets.upgrade,
    /** A server of a kind: 'http', 'https', 'h2c' or 'h2'. */
    create: (kind) => KINDS[kind](answer).on('upgrade', sockets.upgrade),
    /** Ends what has no end by itself: WebSockets and endless events. */
    leave() {
      sockets.close();
      endless.hasLeft = true;
      for (const finish of endless) finish();
    },
  };
}

module.exports = { trafficProgram };
