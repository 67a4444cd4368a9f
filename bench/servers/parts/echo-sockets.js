'use strict';

// A WebSocket server (RFC 6455) of a few lines, for short text messages, which it sends back. Each message is
// the id of a request.

const { createHash } = require('node:crypto');

const KEY = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 1;
const CLOSE = 8;
const GOING_AWAY = Buffer.from([0x03, 0xe9]);

const frame = (kind, payload) =>
  Buffer.concat([Buffer.from([0x80 | kind, payload.length]), payload]);

/** The first frame of a client, and what follows it; undefined if it has not come as a whole. */
function parse(input) {
  if (input.length < 6) return undefined;
  const length = input[1] & 0x7f;
  if (input.length < 6 + length) return undefined;
  const mask = input.subarray(2, 6);
  const payload = Buffer.from(input.subarray(6, 6 + length).map((byte, i) => byte ^ mask[i % 4]));
  return { kind: input[0] & 0x0f, payload, rest: input.subarray(6 + length) };
}

class EchoSockets {
  #open = new Set();
  #ids;

  constructor(ids) {
    this.#ids = ids;
  }

  /** A listener for the event 'upgrade' of an HTTP server. */
  upgrade = ({ headers }, socket, head) => {
    const accept = createHash('sha1')
      .update(headers['sec-websocket-key'] + KEY)
      .digest('base64');
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    this.#note(headers['x-id'] ?? '-');
    this.#serve(socket, head);
  };

  /** Tells every client that this worker goes. */
  close() {
    for (const socket of this.#open) socket.write(frame(CLOSE, GOING_AWAY));
  }

  #note(id) {
    this.#ids.note('b', `${id} ${process.pid}`);
    this.#ids.note('f', id);
  }

  #echo(socket, payload) {
    this.#note(payload.toString());
    socket.write(frame(TEXT, payload));
  }

  #serve(socket, head) {
    let input = Buffer.alloc(0);
    const read = (bytes) => {
      input = Buffer.concat([input, bytes]);
      for (let found = parse(input); found; found = parse(input)) {
        input = found.rest;
        if (found.kind === TEXT) this.#echo(socket, found.payload);
        // Either this is the answer to a close frame, or it must be answered by one.
        else if (found.kind === CLOSE) socket.end(frame(CLOSE, found.payload));
      }
    };
    this.#open.add(socket);
    socket.on('data', read);
    socket.on('end', () => socket.end());
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => this.#open.delete(socket));
    if (head.length > 0) read(head);
  }
}

module.exports = { EchoSockets };
