'use strict';

const { CLIENT_OPTIONS, connect } = require('../client-options.js');
const { EXIT } = require('../errors.js');
const { styleFor, widthOf } = require('../style.js');
const { time } = require('../values.js');

/** A plain number is seconds, as for `watch -n`. */
function interval(name, text) {
  return Math.max(100, time(name, /^\d+(?:\.\d+)?$/.test(text) ? `${text}s` : text));
}

module.exports = {
  name: 'status',
  summary: 'show the workers, slot by slot',
  usage: '[--watch] [options]',
  description:
    'Shows the primary, and for each slot its worker. MEM is resident memory, CPU the\n' +
    'processor time of the worker (with --watch a share of one processor), OPEN and\n' +
    'WAIT the connections that it has and that wait for it, CONNS all of the slot.\n' +
    'Exits with 1 if every slot has failed.',
  options: [
    { name: 'watch', boolean: true, help: 'draw it again and again; q or Ctrl-C ends that' },
    { name: 'interval', value: 'S', parse: interval, help: 'seconds between two (default: 1)' },
    ...CLIENT_OPTIONS,
  ],
  examples: ['rs-cluster status --watch', "rs-cluster status --json | jq '.slots[].pid'"],
  async run(values) {
    const client = await connect(values);
    if (values.watch) {
      const { watch } = require('../watch.js');
      return watch(client, values);
    }
    const status = await client.status(values.timeout);
    if (values.json) process.stdout.write(`${JSON.stringify(status)}\n`);
    else {
      const { statusLines } = require('../status-view.js');
      const how = { style: styleFor(process.stdout), width: widthOf(process.stdout) };
      process.stdout.write(`${statusLines(status, how).join('\n')}\n`);
    }
    return status.state === 'failed' ? EXIT.failed : EXIT.done;
  },
};
