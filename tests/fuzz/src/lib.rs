//! What the fuzz targets do with an input. The conformance tests do the same with the corpus.

pub mod dtls;
pub mod sip;
pub mod websocket;

use crypto::keys::{MasterKey, Mki, SrtpProfile};
use crypto::limits::SRTP_OVERHEAD_BYTES_MAX;
use crypto::sdes::CryptoLine;
use crypto::srtp::{SrtpError, SrtpOptions, SrtpReceiver, SrtpSender};

/// Steps of one input, so that a long one does not take long.
const STEPS_MAX: usize = 256;

/// A conversation in SRTP: see [`unprotect`].
pub fn unprotect_rtp(input: &[u8]) {
    unprotect::<Rtp>(input);
}

/// A conversation in SRTCP: see [`unprotect`].
pub fn unprotect_rtcp(input: &[u8]) {
    unprotect::<Rtcp>(input);
}

/// An `a=crypto` line: what is read can be written, and reads as the same.
pub fn sdes_line(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(line) = CryptoLine::parse(text) else {
        return;
    };
    SrtpReceiver::new(&line.key).expect("the key fits its suite");
    let written = line.to_line().expect("the suite has a name");
    let again = CryptoLine::parse(&written).expect("our own line");
    assert_eq!(again.tag, line.tag);
    assert_eq!(again.lifetime_packets, line.lifetime_packets);
    assert_eq!(again.window_size_hint, line.window_size_hint);
    assert_eq!(again.key.mki(), line.key.mki());
    assert_eq!(again.to_line().as_deref(), Some(&*written));
}

/// RTP or RTCP.
trait Kind {
    fn protect(
        sender: &mut SrtpSender,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError>;
    fn unprotect(receiver: &mut SrtpReceiver, packet: &mut [u8]) -> Result<usize, SrtpError>;
}

struct Rtp;

impl Kind for Rtp {
    fn protect(
        sender: &mut SrtpSender,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        sender.protect_rtp(buffer, length)
    }

    fn unprotect(receiver: &mut SrtpReceiver, packet: &mut [u8]) -> Result<usize, SrtpError> {
        receiver.unprotect_rtp(packet)
    }
}

struct Rtcp;

impl Kind for Rtcp {
    fn protect(
        sender: &mut SrtpSender,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        sender.protect_rtcp(buffer, length)
    }

    fn unprotect(receiver: &mut SrtpReceiver, packet: &mut [u8]) -> Result<usize, SrtpError> {
        receiver.unprotect_rtcp(packet)
    }
}

/// The first byte of the input chooses the suite, the second the options. Then come steps: what to
/// do, the length of a packet in units of 4 bytes, the packet.
///
/// | Step | What | What must hold |
/// |---|---|---|
/// | 0 | the receiver gets the bytes as they are | refused without a trace, or authentic |
/// | 1 | the sender protects them, the receiver gets that | the bytes come back |
/// | 2 | likewise, but a flipped bit comes first | that is refused without a trace |
/// | 3 | the receiver gets the last datagram once more | refused without a trace |
/// | 4 | both sides are exported and imported | they go on |
fn unprotect<K: Kind>(input: &[u8]) {
    let Some(([suite, choices], mut rest)) = input.split_first_chunk() else {
        return;
    };
    let (mut sender, mut receiver) = contexts(*suite, *choices);
    let mut last = None;
    for _ in 0..STEPS_MAX {
        let Some(([step, words], more)) = rest.split_first_chunk() else {
            return;
        };
        let length = more.len().min(4 * usize::from(*words));
        let (packet, more) = more.split_at(length);
        rest = more;
        match step % 5 {
            0 => {
                if deliver::<K>(&mut receiver, packet).is_some() {
                    // Authentic, though not from our sender: it knows less now than the receiver.
                    return;
                }
            }
            choice @ (1 | 2) => {
                let Some(datagram) = protected::<K>(&mut sender, packet) else {
                    continue;
                };
                if choice == 2 {
                    let bit = usize::from(*words) * 37 % (8 * datagram.len());
                    let mut damaged = datagram.clone();
                    damaged[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(deliver::<K>(&mut receiver, &damaged), None, "bit {bit}");
                }
                let received = deliver::<K>(&mut receiver, &datagram);
                assert_eq!(received.as_deref(), Some(packet));
                last = Some(datagram);
            }
            3 => {
                if let Some(datagram) = &last {
                    assert_eq!(deliver::<K>(&mut receiver, datagram), None, "replayed");
                }
            }
            _ => {
                let (kept, state) = (sender.export(), receiver.export());
                sender = SrtpSender::import(kept.as_bytes()).expect("our own export");
                receiver = SrtpReceiver::import(state.as_bytes()).expect("our own export");
                assert_eq!(receiver.export().as_bytes(), state.as_bytes());
            }
        }
    }
}

fn contexts(suite: u8, choices: u8) -> (SrtpSender, SrtpReceiver) {
    let profile = SrtpProfile::ALL[usize::from(suite) % SrtpProfile::ALL.len()];
    let key = vec![0xA7; profile.key_bytes()];
    let salt = vec![0x3C; profile.salt_bytes()];
    let mut master = MasterKey::new(profile, &key, &salt).expect("the lengths of the suite");
    if choices & 0x10 != 0 {
        master = master.with_mki(Mki::new(&[0xEE; 4]).expect("not too long"));
    }
    let options = SrtpOptions {
        replay_window_packets: [64, 100, 128, 32_768][usize::from(choices & 3)],
        sources_max: [1, 2, 3, 8][usize::from(choices >> 2 & 3)],
        encrypt_rtcp: choices & 0x20 == 0,
        lifetime_packets: None,
    };
    let sender = SrtpSender::with_options(&master, options).expect("options in range");
    let receiver = SrtpReceiver::with_options(&master, options).expect("options in range");
    (sender, receiver)
}

fn protected<K: Kind>(sender: &mut SrtpSender, packet: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + SRTP_OVERHEAD_BYTES_MAX, 0);
    let before = sender.export();
    match K::protect(sender, &mut buffer, packet.len()) {
        Ok(length) => {
            buffer.truncate(length);
            Some(buffer)
        }
        Err(error) => {
            let after = sender.export();
            assert_eq!(after.as_bytes(), before.as_bytes(), "{error} left a trace");
            None
        }
    }
}

/// What the receiver makes of a datagram. A refused one must leave no trace.
fn deliver<K: Kind>(receiver: &mut SrtpReceiver, datagram: &[u8]) -> Option<Vec<u8>> {
    let mut packet = datagram.to_vec();
    let before = receiver.export();
    match K::unprotect(receiver, &mut packet) {
        Ok(length) => {
            packet.truncate(length);
            Some(packet)
        }
        Err(error) => {
            let after = receiver.export();
            assert_eq!(after.as_bytes(), before.as_bytes(), "{error} left a trace");
            None
        }
    }
}
