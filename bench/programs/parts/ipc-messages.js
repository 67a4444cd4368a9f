'use strict';

function text(length) {
  return 'abcdefghijklmnop'.repeat(length / 16);
}

/** The messages, by their names in tables. */
module.exports = {
  '64 B': text(64),
  object: { id: 4711, name: 'a small object', ok: true, list: [1, 2, 3] },
  '16 KiB': text(16 * 1024),
  '1 MiB': text(1024 ** 2),
};
