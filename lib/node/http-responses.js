'use strict';

// How the response to an HTTP/1 request comes to say `Connection: close`.

const { nextTick } = require('../real-timers.js');

const HEAD_END = '\r\n\r\n';
const FIRST_FINAL = 200;

/**
 * How many requests the parser has passed on without coming to an end, by socket. As long as it parses what
 * it has received, there are no ticks, except as it passes on a part of a body.
 */
const parsed = new WeakMap();

/** The parser has passed on a request. */
function countRequest({ socket }) {
  const count = parsed.get(socket) ?? 0;
  if (count === 0) nextTick(() => parsed.delete(socket));
  parsed.set(socket, count + 1);
}

/**
 * Says `Connection: close` in the head of a response if `decides()` returns true when the head is made:
 * earlier than that, other requests may follow. Such a response is the last that its connection can carry.
 *
 * @param {() => boolean} decides whether to, as far as the connection is concerned
 */
function closeAfter(request, response, decides) {
  const own = Object.hasOwn(response, 'writeHead') ? response.writeHead : undefined;
  const { socket } = request;
  response.writeHead = function writeLastHead(...args) {
    const mayClose = isFinal(args) && !response.headersSent && isNext(response, socket);
    const closes = mayClose && isLast(request) && decides();
    // Express gives a response another prototype when the request has begun.
    const writeHead = own ?? Object.getPrototypeOf(response).writeHead;
    return Reflect.apply(writeHead, response, closes ? withClose(response, args) : args);
  };
}

function isFinal([status]) {
  return Number(status) >= FIRST_FINAL;
}

/** Whether the head is sent now, rather than after the answers to earlier requests. */
function isNext(response, socket) {
  return response.socket !== null || socket._httpMessage?.writableEnded === true;
}

/** Whether nothing has come after the newest request of a socket, as far as it has been received. */
function isLast(request) {
  const { socket } = request;
  const count = parsed.get(socket);
  if (count === undefined) return request.complete || !hasBody(request);
  // The parser passes on each head as soon as it has read it, and may have to go on.
  const bytes = socket.parser?.getCurrentBuffer?.();
  return bytes !== undefined && !hasBody(request) && endsWithHead(bytes, count);
}

/** Whether the bytes consist of this many heads, as far as they can be told apart. */
function endsWithHead(bytes, count) {
  const text = bytes.toString('latin1');
  // The end of a head came in two parts, or a client uses other ends of lines.
  if (/^\r|(?:^|[^\r])\n/.test(text)) return false;
  const heads = text.split(HEAD_END);
  return heads.length - 1 === count && heads.at(-1) === '';
}

/** As the client has said: middleware removes headers. */
function hasBody({ rawHeaders }) {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    if (name === 'transfer-encoding') return true;
    if (name === 'content-length' && Number(rawHeaders[i + 1]) !== 0) return true;
  }
  return false;
}

/** The arguments for `writeHead()`, with `Connection: close` in place of what the program says. */
function withClose(response, [status, ...rest]) {
  const reason = typeof rest[0] === 'string' ? [rest[0]] : [];
  const headers = reason.length > 0 ? rest[1] : (rest[1] ?? rest[0]);
  if (headers === undefined || headers === null) {
    response.setHeader('Connection', 'close');
    return [status, ...reason];
  }
  return [status, ...reason, replaced(headers)];
}

function replaced(headers) {
  if (!Array.isArray(headers)) return fromEntries(withoutConnection(Object.entries(headers)));
  if (Array.isArray(headers[0])) return [...withoutConnection(headers), ['Connection', 'close']];
  // Node refuses it.
  if (headers.length % 2 !== 0) return headers;
  const pairs = [];
  for (let i = 0; i < headers.length; i += 2) pairs.push([headers[i], headers[i + 1]]);
  return [...withoutConnection(pairs).flat(1), 'Connection', 'close'];
}

function fromEntries(entries) {
  return { ...Object.fromEntries(entries), Connection: 'close' };
}

function withoutConnection(pairs) {
  return pairs.filter(([name]) => String(name).toLowerCase() !== 'connection');
}

module.exports = { closeAfter, countRequest };
