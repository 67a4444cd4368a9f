'use strict';

// When the alerts of deploy/prometheus/alerts.yml fire, and when they do not. A sample is taken every 15 s; `1x40` is
// 1 and 40 times 1 more, `0+5x40` adds 5 each time.

/** A counter that goes up once, between 2 and 3 minutes. */
const ONCE = '0x10 1x40';
const BUCKET = 'rs_cluster_listener_handover_seconds_bucket{instance="a",listener="0.0.0.0:80"';
const FAST = { [`${BUCKET},le="0.05"}`]: '0+100x80', [`${BUCKET},le="+Inf"}`]: '0+100x80' };
const SLOW = {
  [`${BUCKET},le="0.05"}`]: '0+90x80',
  [`${BUCKET},le="0.1"}`]: '0+90x80',
  [`${BUCKET},le="0.5"}`]: '0+100x80',
  [`${BUCKET},le="+Inf"}`]: '0+100x80',
};
const growing = (bytes) => ({
  'rs_cluster_slot_resident_memory_bytes{slot="0"}': `50000000+${bytes}x1000`,
  'rs_cluster_slot_uptime_seconds{slot="0"}': '0+15x1000',
});
const ready = (count, isStopping) => ({
  'rs_cluster_workers_ready{instance="a"}': `${count}x40`,
  'rs_cluster_state{instance="a",state="stopping"}': `${isStopping}x40`,
});
const workers = (count) => ({
  rs_cluster_workers_ready: `${count}x60`,
  rs_cluster_workers_desired: '2x60',
});

const [fires, silent] = [true, false];

/** The alert, whether it fires, when in words, at which time, and the values of series. */
const TESTS = [
  ['Gone', fires, 'nothing is scraped', '6m', { up: '0x40' }],
  ['Gone', silent, 'a primary is scraped', '6m', { rs_cluster_ready: '1x40' }],
  ['NoReadyWorker', fires, 'no worker is ready', '1m', ready(0, 0)],
  ['NoReadyWorker', silent, 'the primary stops', '1m', ready(0, 1)],
  ['NotReady', fires, 'a primary is not ready for a minute', '2m', { rs_cluster_ready: '0x40' }],
  ['NotReady', silent, 'it is ready in time', '2m', { rs_cluster_ready: '0x3 1x40' }],
  ['WorkersMissing', fires, 'a worker is missing', '6m', workers(1)],
  ['WorkersMissing', silent, 'all workers are ready', '6m', workers(2)],
  ['CrashLoop', fires, 'starts fail', '1m', { 'rs_cluster_slot_failures{slot="1"}': '3x40' }],
  [
    'CrashLoop',
    fires,
    'a slot has failed',
    '1m',
    { 'rs_cluster_slot_state{slot="1",state="failed"}': '1x40' },
  ],
  ['CrashLoop', silent, 'a start fails', '1m', { 'rs_cluster_slot_failures{slot="1"}': '1x40' }],
  ['StalledWorker', fires, 'a worker is blocked', '1m', { rs_cluster_slot_stalled: '1x40' }],
  ['StalledWorker', silent, 'it goes on', '1m', { rs_cluster_slot_stalled: '1 0x40' }],
  ['WorkerHung', fires, 'one is replaced', '5m', { rs_cluster_workers_hung_total: ONCE }],
  ['WorkerHung', silent, 'none is', '5m', { rs_cluster_workers_hung_total: '1x40' }],
  ['SlowHandover', fires, 'one in ten waits for long', '15m', SLOW],
  ['SlowHandover', silent, 'none waits for long', '15m', FAST],
  ['ConnectionsCut', fires, 'one is cut', '5m', { rs_cluster_connections_cut_total: ONCE }],
  ['ConnectionsCut', silent, 'none is', '5m', { rs_cluster_connections_cut_total: '1x40' }],
  [
    'ReloadFailed',
    fires,
    'a reload has failed',
    '5m',
    { 'rs_cluster_reloads_total{outcome="failed"}': ONCE },
  ],
  [
    'ReloadFailed',
    silent,
    'a reload has succeeded',
    '5m',
    { 'rs_cluster_reloads_total{outcome="succeeded"}': ONCE },
  ],
  ['MemoryGrowth', fires, 'memory grows by 240 MB an hour', '4h', growing(1_000_000)],
  ['MemoryGrowth', silent, 'memory grows by 2 MB an hour', '4h', growing(10_000)],
  ['Held', fires, 'a hold is forgotten', '65m', { rs_cluster_held: '1x300' }],
  ['Held', silent, 'a hold ends', '65m', { rs_cluster_held: '1x100 0x200' }],
];

const ALERT_TESTS = TESTS.map(([name, doesFire, when, at, series]) => ({
  alert: `RsCluster${name}`,
  fires: doesFire,
  when,
  at,
  series,
}));

module.exports = { ALERT_TESTS };
