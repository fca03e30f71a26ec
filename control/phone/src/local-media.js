// The microphone and the camera, and what to do where there is none.

/** The person or the browser's policy refused the microphone: a call would be one-sided by surprise. */
export class MicrophoneDenied extends Error {}

/**
 * Opens the microphone and, if wanted, the camera. Missing devices do not stop a call: the stream
 * then lacks that track (or is null), and `notices` says so.
 *
 * @returns {Promise<{stream: MediaStream|null, notices: string[]}>}
 * @throws {MicrophoneDenied}
 */
export async function openLocalMedia({ video }) {
  if (!navigator.mediaDevices) {
    return {
      stream: null,
      notices: ['Microphone off: the browser allows it only over https or on localhost.'],
    };
  }
  const notices = [];
  const tracks = [];
  if (video) {
    // One question for both devices where possible.
    const both = await request({ audio: true, video: true });
    if (both.stream) return { stream: both.stream, notices };
  }
  const microphone = await request({ audio: true });
  if (microphone.stream) tracks.push(...microphone.stream.getTracks());
  else if (isDenial(microphone.error)) throw new MicrophoneDenied(microphone.error.message);
  else notices.push('No microphone found: you can listen, but not speak.');

  if (video) {
    const camera = await request({ video: true });
    if (camera.stream) tracks.push(...camera.stream.getTracks());
    else if (isDenial(camera.error)) notices.push('The camera is blocked: you see, but are not seen.');
    else notices.push('No camera found: you see, but are not seen.');
  }
  return { stream: tracks.length > 0 ? new MediaStream(tracks) : null, notices };
}

async function request(constraints) {
  try {
    return { stream: await navigator.mediaDevices.getUserMedia(constraints), error: null };
  } catch (error) {
    return { stream: null, error };
  }
}

function isDenial(error) {
  return error.name === 'NotAllowedError' || error.name === 'SecurityError';
}

/** The same devices for a call that follows; each is closed by itself. */
export function copyLocalMedia(stream) {
  return stream && new MediaStream(stream.getTracks().map((track) => track.clone()));
}

/** Releases the devices, so that the browser's recording sign goes out. */
export function closeLocalMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
