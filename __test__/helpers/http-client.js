'use strict';

const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');

const HEAD_END = '\r\n\r\n';

/** One connection to an HTTP/1 server, byte by byte as the test wants it. */
class HttpClient {
  /** Everything that has come and has not been read. */
  received = '';
  /** Whether the server has ended the connection. */
  hasEnded = false;
  /** The code of the error of the connection, if any. */
  error;
  #socket;

  constructor(socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      this.received += data;
      socket.emit('news');
    });
    socket.on('end', () => {
      this.hasEnded = true;
      socket.emit('news');
    });
    socket.on('error', ({ code }) => {
      this.error = code;
    });
    socket.on('close', () => {
      this.hasEnded = true;
      socket.emit('news');
    });
  }

  /** How many bytes have been sent in all. */
  get sent() {
    return this.#socket.bytesWritten;
  }

  write(text) {
    this.#socket.write(text, 'latin1');
    return this;
  }

  /** Sends a request, without waiting for the answer. */
  send(url, headers = {}, body = '', method = body === '' ? 'GET' : 'POST') {
    return this.write(toRequest(url, headers, body, method));
  }

  /** Sends a request, and reads the answer. */
  ask(...args) {
    return this.send(...args).answer();
  }

  /** The next answer: `{status, reason, headers, connection, body, json}`. */
  async answer() {
    for (;;) {
      const answer = this.#take();
      if (answer !== undefined) return answer;
      if (this.hasEnded) throw new Error(`ended before an answer: ${this.error ?? 'FIN'}`);
      await once(this.#socket, 'news');
    }
  }

  /** Waits until the server has ended the connection. */
  async end() {
    while (!this.hasEnded) await once(this.#socket, 'news');
  }

  /** Waits until this text has come, and forgets what came before. */
  async text(expected) {
    while (!this.received.includes(expected)) {
      if (this.hasEnded) throw new Error(`ended before ${expected}: ${this.error ?? 'FIN'}`);
      await once(this.#socket, 'news');
    }
    this.received = this.received.slice(this.received.indexOf(expected) + expected.length);
  }

  /** Waits until so many bytes have come. */
  async bytes(count) {
    while (this.received.length < count) {
      if (this.hasEnded) throw new Error(`ended after ${this.received.length} bytes`);
      await once(this.#socket, 'news');
    }
  }

  destroy() {
    this.#socket.destroy();
  }

  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  #take() {
    const end = this.received.indexOf(HEAD_END);
    if (end === -1) return undefined;
    const [first, ...lines] = this.received.slice(0, end).split('\r\n');
    const [, status, reason] = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(first);
    const headers = lines.map((line) => line.split(': '));
    const valuesOf = (wanted) =>
      headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
    const rest = this.received.slice(end + HEAD_END.length);
    const read = valuesOf('transfer-encoding').length > 0 ? chunked(rest) : sized(rest, valuesOf);
    if (read === undefined) return undefined;
    this.received = read.rest;
    const { body } = read;
    return {
      status: Number(status),
      reason,
      headers,
      connection: valuesOf('connection').join(),
      body,
      get json() {
        return JSON.parse(body);
      },
    };
  }
}

function sized(rest, valuesOf) {
  const length = Number(valuesOf('content-length')[0] ?? 0);
  if (rest.length < length) return undefined;
  return { body: rest.slice(0, length), rest: rest.slice(length) };
}

function chunked(rest) {
  const end = rest.indexOf('0\r\n\r\n');
  if (end === -1) return undefined;
  const body = rest
    .slice(0, end)
    .replace(/^[\da-f]+\r\n/gm, '')
    .replaceAll('\r\n', '');
  return { body, rest: rest.slice(end + 5) };
}

function toRequest(url, headers, body, method) {
  const lines = Object.entries({ Host: 'x', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  if (body !== '') lines.push(`Content-Length: ${body.length}`);
  return `${method} ${url} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Connects, with TLS if `secure`. Where `halfOpen`, the client leaves its side open as the server ends. */
async function connect(target, { secure = false, halfOpen = false } = {}) {
  const options = { ...target, allowHalfOpen: halfOpen, rejectUnauthorized: false };
  const socket = secure ? tls.connect(options) : net.connect(options);
  const client = new HttpClient(socket);
  await once(socket, secure ? 'secureConnect' : 'connect');
  return client;
}

module.exports = { connect, toRequest };
