'use strict';

const errors = require('../errors.js');
const { checkObject } = require('./checks.js');
const { noRecipe } = require('./failures.js');

/** @throws `ERR_INVALID_ARG_TYPE` for options of `reload()` */
function checkReload(options) {
  checkObject('options', options);
  const { env, signal } = options;
  if (env !== undefined) checkObject('options.env', env);
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw errors.invalidArgType('options.signal', 'an instance of AbortSignal', signal);
  }
}

/**
 * Reloads once: makes the recipe of this moment, and lets the engine replace the workers.
 *
 * @param {object} parts `engine`, `recipes`, `host` and `operations` of the supervisor
 * @param {{ env?: object }} options
 */
async function reload({ engine, recipes, host, operations }, { env }) {
  let recipe;
  host.restoreFiles();
  try {
    recipe = recipes.make(env);
  } catch (error) {
    const failed = noRecipe(error);
    engine.noReload(failed.message);
    throw failed;
  }
  host.startsBy(recipe);
  const result = await operations.begin((token) => {
    const refusal = engine.reload(token, recipe.engine);
    if (refusal) throw noRecipe(errors.errnoException(refusal.errno, refusal.syscall));
  });
  recipes.commit(env);
  return result;
}

module.exports = { checkReload, reload };
