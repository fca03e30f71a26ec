// The call's statistics, read from RTCPeerConnection.getStats once a second.

const INTERVAL_MS = 1000;

/** Measures one RTCPeerConnection until stopped. */
export class Statistics {
  #connection;
  #onUpdate;
  #timer;
  #latest = null;
  #bytesBefore = new Map();

  /** @param {(statistics: object) => void} onUpdate called after each reading */
  constructor(connection, onUpdate) {
    this.#connection = connection;
    this.#onUpdate = onUpdate;
    this.#timer = setInterval(() => this.#read(), INTERVAL_MS);
    this.#read();
  }

  /** The last reading; null before the first. */
  latest() {
    return this.#latest;
  }

  stop() {
    clearInterval(this.#timer);
  }

  async #read() {
    if (this.#connection.signalingState === 'closed') return;
    const reports = [...(await this.#connection.getStats()).values()];
    const byId = new Map(reports.map((report) => [report.id, report]));
    this.#latest = {
      ice: this.#connection.iceConnectionState,
      dtls: dtlsState(this.#connection, reports),
      cipher: transportOf(reports)?.srtpCipher ?? null,
      hasCandidates: reports.some(({ type }) => type === 'local-candidate'),
      audio: this.#media('audio', reports, byId),
      video: this.#media('video', reports, byId),
    };
    this.#onUpdate(this.#latest);
  }

  #media(kind, reports, byId) {
    const ofKind = (type) => reports.find((report) => report.type === type && report.kind === kind);
    const received = ofKind('inbound-rtp');
    const sent = ofKind('outbound-rtp');
    if (!received && !sent) return null;
    const heardByPeer = ofKind('remote-inbound-rtp');
    return {
      codecReceived: codecName(byId.get(received?.codecId)),
      codecSent: codecName(byId.get(sent?.codecId)),
      packetsReceived: received?.packetsReceived ?? 0,
      packetsSent: sent?.packetsSent ?? 0,
      packetsLost: received?.packetsLost ?? 0,
      packetsLostByPeer: heardByPeer?.packetsLost ?? null,
      jitterMilliseconds: milliseconds(received?.jitter),
      roundTripMilliseconds: milliseconds(heardByPeer?.roundTripTime ?? roundTrip(reports)),
      bitrateReceived: this.#bitrate(received, 'bytesReceived'),
      bitrateSent: this.#bitrate(sent, 'bytesSent'),
      levelReceived: received?.audioLevel ?? null,
      frameWidth: received?.frameWidth ?? null,
      frameHeight: received?.frameHeight ?? null,
      framesDecoded: received?.framesDecoded ?? null,
    };
  }

  /** Bits per second since the last reading; null at the first. */
  #bitrate(report, counter) {
    if (!report) return null;
    const before = this.#bytesBefore.get(report.id);
    this.#bytesBefore.set(report.id, { bytes: report[counter], at: report.timestamp });
    if (!before || report.timestamp <= before.at) return null;
    return Math.round(((report[counter] - before.bytes) * 8000) / (report.timestamp - before.at));
  }
}

function transportOf(reports) {
  return reports.find((report) => report.type === 'transport');
}

// Firefox has no "transport" report; the senders' and receivers' transports tell the same.
function dtlsState(connection, reports) {
  const ends = [...connection.getReceivers(), ...connection.getSenders()];
  const transport = ends.map((end) => end.transport).find(Boolean);
  return transport?.state ?? transportOf(reports)?.dtlsState ?? 'new';
}

function roundTrip(reports) {
  const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated);
  return pair?.currentRoundTripTime;
}

function codecName(codec) {
  if (!codec) return null;
  const name = codec.mimeType.split('/')[1];
  // The clock of G.722 is 8000 although it samples at 16000 (RFC 3551 section 4.5.2): leave it out.
  return name.toUpperCase() === 'G722' ? 'G722' : `${name}/${codec.clockRate}`;
}

function milliseconds(seconds) {
  return seconds === undefined ? null : Math.round(seconds * 10000) / 10;
}
