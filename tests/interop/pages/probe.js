// Runs in the page before its own scripts: keeps every peer connection, and listens to what the
// remote side sends by itself, so that a test does not rely on the page's own measurements.
(() => {
  /** Text messages of WebSockets that are kept. */
  const RECEIVED_MAX = 200;

  const settings = globalThis.ringwayProbeSettings ?? {};
  const connections = [];
  let context = null;
  let analyser = null;
  let remoteSound = null;

  const listenTo = (track) => {
    const stream = new MediaStream([track]);
    remoteSound = stream;
    // Chromium pulls a remote track only while an element plays it.
    const element = new Audio();
    element.srcObject = stream;
    element.muted = true;
    element.play().catch((error) => console.warn(`probe: ${error.message}`));
    context ??= new AudioContext();
    context.resume();
    analyser = context.createAnalyser();
    analyser.fftSize = 16_384;
    analyser.smoothingTimeConstant = 0;
    const source = context.createMediaStreamSource(stream);
    source.connect(analyser);
    const silent = context.createGain();
    silent.gain.value = 0;
    analyser.connect(silent).connect(context.destination);
    listenTo.kept = [...(listenTo.kept ?? []), element, source];
  };

  const RealConnection = globalThis.RTCPeerConnection;
  if (RealConnection) {
    globalThis.RTCPeerConnection = class extends RealConnection {
      constructor(...parameters) {
        super(...parameters);
        connections.push(this);
        this.addEventListener('track', ({ track }) => {
          if (track.kind === 'audio') listenTo(track);
        });
      }
    };
  }

  const sockets = [];
  const received = [];
  globalThis.WebSocket = class extends globalThis.WebSocket {
    constructor(...parameters) {
      super(...parameters);
      sockets.push(this);
      this.addEventListener('message', ({ data }) => {
        received.push(String(data));
        received.splice(0, received.length - RECEIVED_MAX);
      });
    }
  };

  const devices = navigator.mediaDevices;
  if (devices) {
    const realGetUserMedia = devices.getUserMedia.bind(devices);
    devices.getUserMedia = async (constraints) => {
      // Noise suppression takes a steady tone for noise, echo cancellation our own echo for an echo.
      const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      const asked = constraints?.audio;
      const audio = asked && { ...(typeof asked === 'object' ? asked : {}), ...plain };
      const stream = await realGetUserMedia({ ...constraints, ...(asked ? { audio } : {}) });
      if (settings.toneHz && asked) {
        context ??= new AudioContext();
        await context.resume();
        const oscillator = context.createOscillator();
        oscillator.frequency.value = settings.toneHz;
        const destination = context.createMediaStreamDestination();
        const gain = context.createGain();
        gain.gain.value = 0.5;
        oscillator.connect(gain).connect(destination);
        oscillator.start();
        for (const track of stream.getAudioTracks()) {
          stream.removeTrack(track);
          track.stop();
        }
        stream.addTrack(destination.stream.getAudioTracks()[0]);
      }
      return stream;
    };
  }

  const goertzel = (samples, rateHz, frequencyHz) => {
    const coefficient = 2 * Math.cos((2 * Math.PI * frequencyHz) / rateHz);
    let [previous, before, energy] = [0, 0, 0];
    for (const sample of samples) {
      [previous, before] = [sample + coefficient * previous - before, previous];
      energy += sample * sample;
    }
    const power = previous ** 2 + before ** 2 - coefficient * previous * before;
    return {
      share: energy > 0 ? (2 * power) / (samples.length * energy) : 0,
      levelDb: 10 * Math.log10(energy / samples.length + 1e-12),
    };
  };

  // Firefox starts no AudioContext on a machine without a sound card, but records all the same.
  const record = async (stream, milliseconds) => {
    const recorder = new MediaRecorder(stream);
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const stopped = new Promise((resolve) => {
      recorder.onstop = resolve;
    });
    recorder.start();
    setTimeout(() => recorder.stop(), milliseconds);
    await stopped;
    const recorded = await new Blob(parts).arrayBuffer();
    const decoder = new OfflineAudioContext(1, 48_000, 48_000);
    const sound = (await decoder.decodeAudioData(recorded)).getChannelData(0);
    // The recording begins in the middle of a frame; its end is steady.
    return { samples: sound.subarray(sound.length / 2), rateHz: decoder.sampleRate };
  };

  globalThis.ringwayProbe = {
    connections,
    /** What came in on the page's WebSockets, oldest first. */
    received,
    /** Sends a text message on the newest WebSocket, past the page's own SIP stack. */
    sendOnSocket: (message) => sockets.at(-1).send(message),
    /** Share of the tone in the last third of a second of the remote sound, and the level. */
    async heard(frequencyHz) {
      if (!analyser) return { share: 0, levelDb: -120, context: context?.state ?? 'none' };
      if (context.state !== 'running') {
        const { samples, rateHz } = await record(remoteSound, 700);
        return { ...goertzel(samples, rateHz, frequencyHz), context: context.state };
      }
      const samples = new Float32Array(analyser.fftSize);
      analyser.getFloatTimeDomainData(samples);
      return { ...goertzel(samples, context.sampleRate, frequencyHz), context: context.state };
    },
    /** The interesting parts of getStats() of the newest connection. */
    async statistics() {
      const connection = connections.at(-1);
      if (!connection) return null;
      const found = { inbound: [], outbound: [], told: [], heard: [], pair: null, transport: null };
      for (const report of (await connection.getStats()).values()) {
        if (report.type === 'inbound-rtp') {
          const { kind, packetsReceived, packetsLost, framesDecoded, jitter } = report;
          found.inbound.push({ kind, packetsReceived, packetsLost, framesDecoded, jitter });
        } else if (report.type === 'outbound-rtp') {
          const { kind, packetsSent, framesEncoded } = report;
          found.outbound.push({ kind, packetsSent, framesEncoded });
        } else if (report.type === 'remote-inbound-rtp') {
          // What the other side's RTCP reports say of what this side sends …
          const { kind, packetsLost, jitter, roundTripTime, roundTripTimeMeasurements } = report;
          found.told.push({ kind, packetsLost, jitter, roundTripTime, roundTripTimeMeasurements });
        } else if (report.type === 'remote-outbound-rtp') {
          // … and of what it sends itself.
          const { kind, packetsSent, reportsSent, remoteTimestamp } = report;
          found.heard.push({ kind, packetsSent, reportsSent, remoteTimestamp });
        } else if (report.type === 'candidate-pair' && report.state === 'succeeded') {
          found.pair = report.state;
        } else if (report.type === 'transport') {
          found.transport = {
            dtls: report.dtlsState,
            srtp: report.srtpCipher,
            tls: report.tlsVersion,
          };
        }
      }
      found.connection = connection.connectionState;
      found.ice = connection.iceConnectionState;
      return found;
    },
  };
})();
