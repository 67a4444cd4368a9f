'use strict';

// A unit of systemd that binds addresses for a service: systemd.socket(5).

const { isIP } = require('node:net');

const LAST_PORT = 65535;
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/;
/** What systemd would take apart, or for something else. */
const ODD = /[\s%"'\\]/;

/**
 * The text of a unit by which systemd listens for the service of the same name, before that runs, and while it does
 * not.
 *
 * @param {string} name of the service
 * @param {string[]} addresses a port, `host:port`, a path, or an abstract name after `@`
 * @throws {RangeError} for anything else
 */
function socketUnit(name, addresses) {
  for (const address of addresses) check(address);
  const lines = addresses.map((address) => `ListenStream=${address}\n`).join('');
  return `[Unit]
Description=Sockets of ${name}

[Socket]
${lines}
[Install]
WantedBy=sockets.target
`;
}

function check(address) {
  if (!isAddress(address)) {
    const wanted = 'a port, an address such as 127.0.0.1:80 or [::1]:80, a path, or @name';
    throw new RangeError(`${JSON.stringify(address)} is not ${wanted}`);
  }
}

function isAddress(address) {
  if (address.startsWith('/') || address.startsWith('@')) {
    return address.length > 1 && !ODD.test(address);
  }
  if (/^\d+$/.test(address)) return isPort(address);
  const [, ipv6, ipv4, port] = HOST_AND_PORT.exec(address) ?? [];
  return isPort(port) && (ipv6 === undefined ? isIP(ipv4 ?? '') === 4 : isIP(ipv6) === 6);
}

const isPort = (port) => Number(port) >= 1 && Number(port) <= LAST_PORT;

module.exports = socketUnit;
