// Looks at a result of `ringway-bench media`: every row is whole and says that packets went through
// without loss at a rate worth the name, and the steps behind it were really checked.
//   node tests/check_bench.mjs RESULT.json CALLS [TARGET,...]

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** Far below what any machine forwards; a data plane that drops everything stays under it. */
const LOSSFREE_PPS_LEAST = 1_000;
/** Of a row, in this order, and nothing else. */
const FIELDS = [
  'target', 'direction', 'suite', 'payload_bytes', 'calls', 'workers',
  'lossfree_pps_median', 'lossfree_pps_min', 'lossfree_pps_max',
  'goodput_2x_ratio', 'goodput_4x_ratio', 'latency_us_p50', 'latency_us_p99',
  'cpu_ns_per_packet', 'generator_bound',
];

const [file, calls, targets = 'ringway'] = process.argv.slice(2);
const rows = JSON.parse(readFileSync(file, 'utf8'));
assert.ok(Array.isArray(rows), 'the result is no array of rows');
assert.deepEqual(rows.map((row) => row.target), targets.split(','), 'one row per target');
for (const row of rows) {
  const {
    lossfree_pps_min: least,
    lossfree_pps_median: median,
    lossfree_pps_max: most,
    latency_us_p50: typical,
    latency_us_p99: late,
  } = row;
  const what = JSON.stringify(row);
  assert.deepEqual(Object.keys(row), FIELDS, what);
  assert.equal(row.calls, Number(calls), what);
  assert.ok(least >= LOSSFREE_PPS_LEAST, `lossfree_pps_min in ${what}`);
  assert.ok(least <= median && median <= most, `order of the rates in ${what}`);
  assert.ok(typical > 0 && typical <= late, `order of the latencies in ${what}`);
  assert.ok(row.cpu_ns_per_packet > 0, `cpu_ns_per_packet in ${what}`);
  for (const goodput of [row.goodput_2x_ratio, row.goodput_4x_ratio]) {
    assert.ok(goodput === null || (goodput >= 0 && goodput < 4), `goodput in ${what}`);
  }
  console.log(`${row.target} ${row.direction}: ${Math.round(median)} packets/s without loss`);
}

const about = JSON.parse(readFileSync(file.replace(/\.json$/, '.about.json'), 'utf8'));
for (const { target } of rows) {
  const steps = about.steps.filter((step) => step.target === target);
  assert.ok(steps.length > 3, `too few steps of ${target}`);
  const whole = steps.filter((step) => step.loss < 0.001);
  assert.ok(whole.length > 0 && whole.every((step) => step.verified > 0), `${target} unverified`);
}
for (const field of ['date', 'command', 'commit', 'kernel', 'cpu', 'core_map', 'network']) {
  assert.ok(about.environment[field], `environment.${field} is empty`);
}
