'use strict';

// What all commands have in common that speak to a primary.

const Client = require('./client.js');
const { findControl } = require('./find-control.js');
const { seconds } = require('./values.js');

const CLIENT_OPTIONS = [
  { name: 'name', value: 'NAME', is: 'primary', help: 'which primary, if several run' },
  { name: 'control', value: 'PATH', is: 'file', help: 'its control socket' },
  { name: 'timeout', value: 'S', parse: seconds, help: 'give up after so many seconds' },
  { name: 'json', boolean: true, help: 'print JSON, also of errors' },
];

async function connect(values) {
  return new Client(await findControl(values));
}

module.exports = { CLIENT_OPTIONS, connect };
