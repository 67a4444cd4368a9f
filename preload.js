'use strict';

// The first code to run in every worker: fork() puts it before the user's execArgv. It takes what
// is ours out of what the worker and its children can see, and attaches the lanes.

const VARIABLE = 'RS_CLUSTER_LANES';

const flag = process.execArgv.indexOf(__filename);
if (flag > 0) process.execArgv.splice(flag - 1, 2);

const lanes = process.env[VARIABLE];
if (lanes !== undefined) {
  delete process.env[VARIABLE];
  require('./lib/child')(lanes.split(',').map(Number));
}
