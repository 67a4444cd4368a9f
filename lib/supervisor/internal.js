'use strict';

const errors = require('../errors.js');
const { checkBoolean, checkInteger } = require('./checks.js');

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What the command line asks of supervision, and `cluster.supervise()` does not offer. */
const DEFAULTS = {
  /** Whether each line that workers write gets their slot in front. */
  prefix: false,
  /** Whether no address is really bound, so that the program can be tried beside the one that serves. */
  rehearse: false,
  /** Whether to reap processes that are not workers, as process 1 has to. */
  reapOrphans: false,
  /** Variables that tell each worker its slot: `{ name, offset }`, whose value is the slot plus the offset. */
  slotEnv: [],
};

/**
 * Checks what the command line asks for, and adds the defaults.
 *
 * @param {object} [given]
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` or `ERR_OUT_OF_RANGE`
 */
function checkInternal(given = {}) {
  const { slotEnv, ...switches } = { ...DEFAULTS, ...given };
  for (const [name, value] of Object.entries(switches)) checkBoolean(`internal.${name}`, value);
  for (const [index, { name, offset = 0 }] of slotEnv.entries()) {
    const place = `internal.slotEnv[${index}]`;
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw errors.invalidArgValue(`${place}.name`, name, 'must be the name of a variable');
    }
    checkInteger(`${place}.offset`, offset, Number.MIN_SAFE_INTEGER);
  }
  return { ...switches, slotEnv: slotEnv.map(({ name, offset = 0 }) => ({ name, offset })) };
}

module.exports = checkInternal;
