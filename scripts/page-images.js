'use strict';

// npm run page:images: draws the pictures of the status page in docs/images, in Chromium. A primary runs for this and
// serves the page; the status is made up, and the same each time. The font is Inter if it is installed (fonts-inter).

const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const cluster = require('..');
const { launchBrowser } = require('../__test__/helpers/deploy/browser.js');
const { freePort } = require('../__test__/helpers/free-port.js');
const { makeReloadingStatus } = require('../__test__/helpers/deploy/page-status.js');
const { runCommand } = require('../tools/command.js');

const IMAGES = path.join(__dirname, '..', 'docs', 'images');
const FILES = { light: 'status-page.png', dark: 'status-page-dark.png' };
const VIEWPORT = { width: 1200, height: 806 };
const STEP = 1_000;
const FONTS = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  ${['system-ui', 'sans', 'sans-serif'].map(preferInter).join('\n  ')}
</fontconfig>
`;

function preferInter(family) {
  return `<match target="pattern">
    <test name="family"><string>${family}</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
  </match>`;
}

/** Draws the page after a few polls, which rates need. */
async function draw(browser, url, colorScheme) {
  const page = await browser.newPage({ viewport: VIEWPORT, colorScheme });
  let elapsed = 0;
  await page.route('**/status', (route) => {
    elapsed += STEP;
    return route.fulfill({ json: makeReloadingStatus({ elapsed }) });
  });
  await page.goto(url);
  await page.locator('#total-cpu', { hasText: '%' }).waitFor();
  await page.screenshot({ path: path.join(IMAGES, FILES[colorScheme]) });
  await page.close();
}

async function main() {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'rs-cluster-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const fonts = path.join(directory, 'fonts.conf');
  writeFileSync(fonts, FONTS);
  const admin = await freePort();
  const supervisor = cluster.supervise({ exec: __filename, workers: 1, admin, control: false });
  const browser = await launchBrowser({ env: { ...process.env, FONTCONFIG_FILE: fonts } });
  for (const scheme of Object.keys(FILES))
    await draw(browser, `http://127.0.0.1:${admin}/`, scheme);
  await browser.close();
  await supervisor.stop();
  return 0;
}

if (cluster.isPrimary) runCommand(main);
else http.createServer().listen(0);
