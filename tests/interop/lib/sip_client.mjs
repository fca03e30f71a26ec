// A browser's SIP stack without a browser: what it sends is written out, what it gets is kept.

import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import WebSocket from 'ws';
import { header } from './capture.mjs';
import { forward } from './forward.mjs';
import { DOMAIN } from './kamailio.mjs';
import { ADDRESS } from './namespaces.mjs';
import { eventually } from './scope.mjs';

const md5 = (text) => createHash('md5').update(text).digest('hex');
const token = () => randomBytes(6).toString('hex');

/** Opens a WebSocket to the gateway, at this port, for this user. */
export async function sipClient(scope, namespace, user, password, domain = DOMAIN, port = 8443) {
  const inside = await forward(scope, namespace, ADDRESS.edgeToBrowser, port);
  // The certificate is self-signed; nothing else could listen in that namespace.
  const createConnection = () =>
    tls.connect({ socket: net.connect(inside.path), rejectUnauthorized: false });
  const url = `wss://${ADDRESS.edgeToBrowser}:${port}/ws`;
  const socket = new WebSocket(url, ['sip'], { createConnection });
  scope.defer(() => socket.terminate());
  await new Promise((resolve, reject) => {
    socket.on('open', resolve);
    socket.on('error', reject);
  });
  return new SipClient(scope, socket, { user, password, domain });
}

class SipClient {
  constructor(scope, socket, { user, password, domain }) {
    Object.assign(this, { socket, user, password, domain });
    this.host = `${token()}.invalid`;
    this.uri = `sip:${user}@${domain}`;
    this.contact = `<sip:${user}-tab@${this.host};transport=ws>`;
    this.instance = `"<urn:uuid:00000000-0000-4000-8000-${token()}>"`;
    this.received = [];
    const log = scope.log(`sip-${user}`);
    socket.on('message', (data) => {
      log(`<<<\n${data}`);
      this.received.push(String(data));
    });
    this.log = log;
  }

  send(lines, body = '') {
    const text = [...lines, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
    this.log(`>>>\n${text}`);
    this.socket.send(text);
  }

  /** The first message that begins so and, if given, has this Call-ID; it is taken away. */
  async take(start, callId) {
    const is = (text) =>
      text.startsWith(start) && (!callId || header(text, 'Call-ID')[0] === callId);
    await eventually(`${this.user} gets ${start}`, () => this.received.some(is));
    const [message] = this.received.splice(this.received.findIndex(is), 1);
    return message;
  }

  /** Sends a request, answers a challenge with MD5, and gives the final response. */
  async request(method, uri, extra = [], body = '', dialog = {}) {
    const callId = dialog.callId ?? token();
    const from = dialog.from ?? `<${this.uri}>;tag=${token()}`;
    const to = dialog.to ?? `<${uri}>`;
    let cseq = dialog.cseq ?? 1;
    const send = (credentials = []) =>
      this.send(
        [
          `${method} ${uri} SIP/2.0`,
          `Via: SIP/2.0/WSS ${this.host};branch=z9hG4bK${token()}`,
          'Max-Forwards: 69',
          `To: ${to}`,
          `From: ${from}`,
          `Call-ID: ${callId}`,
          `CSeq: ${cseq} ${method}`,
          ...extra,
          ...credentials,
        ],
        body,
      );
    send();
    let response = await this.take('SIP/2.0 ', callId);
    const challenge = header(response, 'WWW-Authenticate');
    if (response.startsWith('SIP/2.0 401')) {
      this.challenges = challenge;
      cseq += 1;
      send([`Authorization: ${this.#answer(challenge[0], method, uri)}`]);
      response = await this.take('SIP/2.0 ', callId);
    }
    return { response, callId, from, cseq };
  }

  /** Sends the ACK for a 2xx. */
  acknowledge(target, { callId, from, to, cseq }) {
    this.send([
      `ACK ${target} SIP/2.0`,
      `Via: SIP/2.0/WSS ${this.host};branch=z9hG4bK${token()}`,
      'Max-Forwards: 69',
      `To: ${to}`,
      `From: ${from}`,
      `Call-ID: ${callId}`,
      `CSeq: ${cseq} ACK`,
    ]);
  }

  /** Registers with instance and flow number, as outbound clients do. */
  register() {
    const contact = `${this.contact};reg-id=1;+sip.instance=${this.instance};expires=300`;
    const extra = [`Contact: ${contact}`, 'Supported: path, outbound'];
    return this.request('REGISTER', `sip:${this.domain}`, extra, '', { to: `<${this.uri}>` });
  }

  /** Answers a request; `extra` are further header lines. */
  answer(request, status, extra = []) {
    const copy = (name) => header(request, name).map((value) => `${name}: ${value}`);
    const to = header(request, 'To')[0];
    const tagged = /;tag=/.test(to) ? to : `${to};tag=${token()}`;
    this.send([
      `SIP/2.0 ${status}`,
      ...copy('Via'),
      `To: ${tagged}`,
      ...copy('From'),
      ...copy('Call-ID'),
      ...copy('CSeq'),
      ...copy('Record-Route'),
      ...extra,
    ]);
    return tagged;
  }

  #answer(challenge, method, uri) {
    const get = (name) => challenge.match(new RegExp(`${name}="([^"]*)"`))[1];
    const [realm, nonce, cnonce] = [get('realm'), get('nonce'), token()];
    const secret = md5(`${this.user}:${realm}:${this.password}`);
    const response = md5(`${secret}:${nonce}:00000001:${cnonce}:auth:${md5(`${method}:${uri}`)}`);
    return (
      `Digest username="${this.user}", realm="${realm}", nonce="${nonce}", uri="${uri}", ` +
      `response="${response}", algorithm=MD5, cnonce="${cnonce}", qop=auth, nc=00000001`
    );
  }
}
