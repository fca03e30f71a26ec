// Looks at a result of `ringway-bench srtp`: every suite, operation and size was measured for every
// subject, and a context takes no more memory than promised. Times are only checked for order.
//   node tests/check_srtp_bench.mjs RESULT.json

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const FIELDS = [
  'subject', 'suite', 'op', 'payload_bytes',
  'ns_per_packet_median', 'ns_per_packet_min', 'ns_per_packet_max',
];
const SUITES = [
  'SRTP_AES128_CM_HMAC_SHA1_80', 'SRTP_AES128_CM_HMAC_SHA1_32',
  'AES_192_CM_HMAC_SHA1_80', 'AES_192_CM_HMAC_SHA1_32',
  'AES_256_CM_HMAC_SHA1_80', 'AES_256_CM_HMAC_SHA1_32',
  'SRTP_AEAD_AES_128_GCM', 'SRTP_AEAD_AES_256_GCM',
];
const SIZES = [20, 160, 480, 1200];
/** Of a context with one source, all that it has on the heap included. */
const CONTEXT_BYTES_MOST = (suite) => (suite.includes('GCM') ? 1536 : 1024);

const rows = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const times = rows.filter((row) => 'op' in row);
const seen = new Set();
for (const row of times) {
  const what = JSON.stringify(row);
  assert.deepEqual(Object.keys(row), FIELDS, what);
  const { ns_per_packet_min: least, ns_per_packet_median: median, ns_per_packet_max: most } = row;
  assert.ok(least > 0 && least <= median && median <= most, what);
  seen.add([row.subject, row.suite, row.op, row.payload_bytes].join(' '));
}
for (const suite of SUITES) {
  for (const size of SIZES) {
    for (const subject of ['ringway', 'libsrtp2', 'bare']) {
      for (const op of ['protect', 'unprotect']) {
        assert.ok(seen.has(`${subject} ${suite} ${op} ${size}`), `${subject} ${suite} ${op} ${size}`);
      }
    }
    assert.ok(seen.has(`ringway ${suite} refuse_forged ${size}`), `refuse_forged ${suite} ${size}`);
  }
  assert.ok(seen.has(`ringway ${suite} set_up_pair 0`), `set_up_pair ${suite}`);
  const contexts = rows.filter(
    (row) => row.context && row.subject === 'ringway' && row.suite === suite && row.sources === 1,
  );
  assert.deepEqual(contexts.map((row) => row.context).sort(), ['receiver', 'sender'], suite);
  for (const row of contexts) {
    const bytes = row.inline_bytes + row.heap_bytes;
    assert.ok(row.heap_bytes > 0 && bytes <= CONTEXT_BYTES_MOST(suite), JSON.stringify(row));
  }
}
console.log(`${times.length} rows of ${SUITES.length} suites`);
