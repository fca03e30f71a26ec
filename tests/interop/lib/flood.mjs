// A client that does too much of everything, bounded: run in the attacker's network as
//   node flood.mjs HOST PORT LOCAL_ADDRESS
// It prints how often it was answered in which way, as one JSON object, and ends by itself.

import tls from 'node:tls';
import WebSocket from 'ws';

const [host, port, localAddress] = process.argv.slice(2);

const CONNECTIONS = 100;
const MESSAGES = 300;
const GUESSES = 30;
const PATIENCE_MS = 5_000;

const counts = { handshakes: {}, messages: {}, guesses: {}, closes: {} };
const count = (kind, what) => {
  counts[kind][what] = (counts[kind][what] ?? 0) + 1;
};

/** Opens a WebSocket; `null` if it is refused. */
function open() {
  return new Promise((resolve) => {
    const createConnection = () =>
      tls.connect({ host, port: Number(port), localAddress, rejectUnauthorized: false });
    const socket = new WebSocket(`wss://${host}:${port}/ws`, ['sip'], { createConnection });
    const end = (what, result) => {
      count('handshakes', what);
      resolve(result);
    };
    socket.once('open', () => end('101', socket));
    socket.once('unexpected-response', (_, response) => {
      end(String(response.statusCode), null);
      response.destroy();
    });
    socket.once('error', () => end('error', null));
    socket.on('error', () => {});
    socket.on('close', (code) => count('closes', String(code)));
  });
}

const lines = (...all) => [...all, 'Content-Length: 0', '', ''].join('\r\n');

const common = (method, number, user) => [
  `Via: SIP/2.0/WSS flood.invalid;branch=z9hG4bK${method}${number}`,
  'Max-Forwards: 69',
  `To: <sip:${user}@lines.test>`,
  `From: <sip:${user}@lines.test>;tag=flood${number}`,
  `Call-ID: flood-${method}-${number}`,
  `CSeq: 1 ${method}`,
];

const options = (number) =>
  lines('OPTIONS sip:lines.test SIP/2.0', ...common('OPTIONS', number, 'flood'));

const guess = (number) =>
  lines(
    'REGISTER sip:lines.test SIP/2.0',
    ...common('REGISTER', number, '1001'),
    `Contact: <sip:1001@flood.invalid;transport=ws>`,
    `Authorization: Digest username="1001", realm="lines.test", nonce="${number}", ` +
      `uri="sip:lines.test", response="${'0'.repeat(32)}", algorithm=MD5`,
  );

/** Sends all at once; waits until each is answered, or until nothing comes any more. */
function send(socket, messages, kind) {
  return new Promise((resolve) => {
    let left = messages.length;
    const timer = setTimeout(resolve, PATIENCE_MS);
    socket.on('message', (data) => {
      count(kind, String(data).slice(8, 11));
      left -= 1;
      if (left > 0) return;
      clearTimeout(timer);
      resolve();
    });
    for (const message of messages) socket.send(message);
  });
}

const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, open));
const [first, second, third] = sockets.filter(Boolean);
if (first) await send(first, Array.from({ length: MESSAGES }, (_, n) => options(n)), 'messages');
if (second) await send(second, Array.from({ length: GUESSES }, (_, n) => guess(n)), 'guesses');
if (third) third.send('this is no SIP');
await new Promise((resolve) => setTimeout(resolve, 200));
console.log(JSON.stringify(counts));
process.exit(0);
