'use strict';

// How messages become what the IPC channel carries, by `settings.serialization`, and back: texts in JSON, JSON with
// attachments (attachments.js), or bytes of V8's serializer.

// Taken now, because Node's own channels do not use what a program puts in their place either.
const { parse, stringify } = JSON;

/** The bytes of a message's length, before the message. */
const LENGTH = 4;

let loaded;

/**
 * Loaded with the first message that needs it: it and Node's 'v8' are large, and most clusters use neither.
 */
function v8Serializer() {
  loaded ??= require('./v8-serializer.js');
  return loaded;
}

/** Only channels that are `'advanced'` need it. */
function attached() {
  return require('./attachments.js');
}

function toJson(message) {
  return stringify(message) ?? 'null';
}

/** The function that makes a string or a Buffer of a message. */
function encoderOf(mode) {
  if (mode === 'json') return toJson;
  const attachmentsOf = require('./json-safe.js');
  // V8's serializer costs several times as much as JSON, where both give the same.
  return (message) => {
    const attachments = attachmentsOf(message);
    if (attachments === undefined) return v8Serializer().toBytes(message);
    return attachments.length === 0 ? toJson(message) : attached().toBytes(message, attachments);
  };
}

/** The messages of `text`, which is an array of them, or the only one itself. */
function fromTexts(text, count) {
  if (count === 1) return [parse(text)];
  const messages = parse(text);
  if (messages.length !== count) throw new SyntaxError('a message is several values');
  return messages;
}

/** The messages of `many`, each aligned and after its length. */
function fromManyBytes(many) {
  const { align } = attached();
  const messages = [];
  for (let start = align(LENGTH); start <= many.length; ) {
    const end = start + many.readUInt32LE(start - LENGTH);
    messages.push(fromBytes(many.subarray(start, end)));
    start = align(end + LENGTH);
  }
  return messages;
}

function fromBytes(message) {
  if (attached().isMarked(message)) return attached().fromBytes(message);
  return v8Serializer().fromBytes(message);
}

module.exports = { encoderOf, fromBytes, fromManyBytes, fromTexts };
