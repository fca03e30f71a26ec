// What really crossed a wire: tcpdump into a file, and a reader for UDP in it.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './process.mjs';

/** Bytes of the pcap file header and of each record's header (draft-ietf-opsawg-pcap). */
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_HEADER_BYTES = 14;

/**
 * UDP datagrams of a pcap file with Ethernet frames. The last record may be half written.
 * Fragments of a datagram are counted, not joined: nothing here should ever be fragmented.
 */
export function readUdp(file) {
  const pcap = readFileSync(file);
  const datagrams = [];
  let at = FILE_HEADER_BYTES;
  while (at + RECORD_HEADER_BYTES <= pcap.length) {
    const seconds = pcap.readUInt32LE(at) + pcap.readUInt32LE(at + 4) / 1e6;
    const length = pcap.readUInt32LE(at + 8);
    const frame = pcap.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
    if (frame.length < length) break;
    at += RECORD_HEADER_BYTES + length;
    if (frame.length < ETHERNET_HEADER_BYTES + 28 || frame.readUInt16BE(12) !== 0x0800) continue;
    const packet = frame.subarray(ETHERNET_HEADER_BYTES);
    if (packet[9] !== 17) continue;
    const fragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
    const udp = packet.subarray(4 * (packet[0] & 0x0f));
    const address = (offset) => [...packet.subarray(offset, offset + 4)].join('.');
    datagrams.push({
      seconds,
      fragment,
      from: `${address(12)}:${udp.readUInt16BE(0)}`,
      to: `${address(16)}:${udp.readUInt16BE(2)}`,
      payload: udp.subarray(8, fragment ? undefined : udp.readUInt16BE(4)),
    });
  }
  return datagrams;
}

/** One capture. Make it with {@link capture}. */
class Capture {
  constructor(child, file) {
    this.child = child;
    this.file = file;
  }

  datagrams() {
    return existsSync(this.file) ? readUdp(this.file) : [];
  }

  /** SIP messages whose start line begins with `start`, as text, with their datagram. */
  sip(start) {
    return this.datagrams()
      .filter(({ payload }) => payload.toString('latin1', 0, start.length) === start)
      .map((datagram) => ({ ...datagram, text: datagram.payload.toString('utf8') }));
  }

  /** RTP packets of a payload type (RFC 3550 section 5.1), sent to `to` if that is given. */
  rtp(payloadType, to) {
    return this.datagrams()
      .filter(({ payload }) => payload.length >= 12 && payload[0] >> 6 === 2)
      .filter(({ payload }) => (payload[1] & 0x7f) === payloadType)
      .filter((datagram) => !to || datagram.to.startsWith(to))
      .map((datagram) => {
        const { payload } = datagram;
        const headerBytes = 12 + 4 * (payload[0] & 0x0f);
        return {
          ...datagram,
          marker: payload[1] >> 7 === 1,
          sequence: payload.readUInt16BE(2),
          timestamp: payload.readUInt32BE(4),
          ssrc: payload.readUInt32BE(8),
          body: payload.subarray(headerBytes),
        };
      });
  }

  /** Digits sent as telephone-event (RFC 4733 section 2.3): one per event timestamp. */
  digits(payloadType, to) {
    const byTimestamp = new Map();
    for (const { timestamp, body } of this.rtp(payloadType, to)) {
      if (body.length >= 4) byTimestamp.set(timestamp, '0123456789*#ABCD'[body[0]] ?? '?');
    }
    return [...byTimestamp.values()].join('');
  }
}

/** Captures UDP on `device` of the namespace until the test is over. */
export async function capture(scope, namespace, device) {
  const file = join(scope.directory, `${device}.pcap`);
  const child = start({
    namespace,
    name: 'tcpdump',
    command: 'tcpdump',
    args: [
      '-i',
      device,
      '-n',
      '-s',
      '0',
      '-U',
      '-Z',
      'root',
      '--immediate-mode',
      '-w',
      file,
      'udp',
    ],
    logFile: scope.logFile('tcpdump'),
  });
  scope.defer(() => child.stop('SIGINT'));
  await child.waitForLine(/listening on/);
  return new Capture(child, file);
}

/** One header field of a SIP message as a list of values. */
export function header(text, name) {
  const head = text.split('\r\n\r\n', 1)[0];
  const prefix = `${name.toLowerCase()}:`;
  return head
    .split('\r\n')
    .slice(1)
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim());
}

/** The payload type that a session description gives to an encoding, such as `telephone-event`. */
export function payloadTypeOf(text, encoding) {
  const match = text.match(new RegExp(`^a=rtpmap:(\\d+) ${encoding}/`, 'm'));
  if (!match) throw new Error(`no ${encoding} in\n${text}`);
  return Number(match[1]);
}
