// How a call's peer connection is set up, and what an offer asks for.

/** The gateway is ICE-lite and learns our address from our checks: our candidates may be few. */
const GATHERING_LIMIT_MS = 500;

const PEER_CONNECTION = { iceServers: [], bundlePolicy: 'max-bundle', rtcpMuxPolicy: 'require' };

// Port 0 refuses a medium, unless it is bundled with another one (RFC 8843 section 6).
export function offersVideo(invite) {
  const media = (invite.body ?? '').split(/^m=/m).slice(1);
  return media.some((description) => /^video [1-9]/.test(description)
    || (description.startsWith('video ') && /^a=bundle-only/m.test(description)));
}

// Without a stream JsSIP would open the devices itself, and fail where there are none.
export function answerOptions(stream) {
  const open = stream !== null;
  return {
    mediaStream: stream,
    mediaConstraints: { audio: open, video: open },
    pcConfig: PEER_CONNECTION,
  };
}

/** Hears and sees the other side even where this side lacks a device. */
export function callOptions(stream, video) {
  return {
    ...answerOptions(stream),
    rtcOfferConstraints: { offerToReceiveAudio: true, offerToReceiveVideo: video },
  };
}

export function limitGathering(connection) {
  if (connection.iceGatheringState !== 'gathering') return;
  setTimeout(() => {
    // What the browser says itself when gathering is over, only earlier: JsSIP then goes on.
    if (connection.iceGatheringState === 'gathering') {
      connection.dispatchEvent(new RTCPeerConnectionIceEvent('icecandidate', { candidate: null }));
    }
  }, GATHERING_LIMIT_MS);
}

/** Whether the other side is to send sound at all: on hold it is not. Unknown counts as yes. */
export function expectsSound(connection) {
  const audio = connection.getTransceivers?.()
    .find(({ receiver }) => receiver.track.kind === 'audio');
  const direction = audio?.currentDirection;
  return !direction || direction.includes('recv');
}

/** Where the gateway wants media, as its answer says: "192.0.2.7:20000", or null. */
export function mediaTarget(connection) {
  const candidate = /^a=candidate:\S+ 1 udp \d+ (\S+) (\d+)/im
    .exec(connection.remoteDescription?.sdp ?? '');
  if (!candidate) return null;
  const [, host, port] = candidate;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
