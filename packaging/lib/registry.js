'use strict';

const { createHash } = require('node:crypto');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');

/**
 * Starts an npm registry that has only these packages. A package without a tarball can be looked up, but not
 * installed.
 *
 * @param {{ manifest: object, tarball?: string }[]} packages
 * @returns {Promise<{ url: string, close: () => void }>}
 */
async function startRegistry(packages) {
  const byName = new Map(packages.map((it) => [it.manifest.name, it]));
  const server = http.createServer((request, response) => {
    const [, name, file] = decodeURIComponent(request.url).split('/');
    const found = byName.get(name);
    if (file !== undefined && found?.tarball !== undefined) {
      response.end(readFileSync(found.tarball));
    } else if (file === undefined && found !== undefined) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(describe(found, url)));
    } else {
      response.writeHead(404).end('{}');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, close };
}

/** The document that npm calls a packument. */
function describe({ manifest, tarball }, url) {
  const { name, version } = manifest;
  const hash = tarball && createHash('sha512').update(readFileSync(tarball)).digest('base64');
  const dist = { tarball: `${url}/${name}/${version}.tgz`, integrity: hash && `sha512-${hash}` };
  return {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist } },
    // Yarn ignores versions that are too new.
    time: { [version]: '2000-01-01T00:00:00.000Z' },
  };
}

module.exports = { startRegistry };
