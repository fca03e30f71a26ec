//! Contexts on their way to another process: a fixed layout in network byte order, with a version
//! in front, wiped on both sides.
//!
//! | Bytes | What |
//! |---|---|
//! | 4, 1 | `RSRT`, version |
//! | 1, 1, 1 | direction, suite, whether RTCP is encrypted |
//! | 2, 2, 8 | replay window, sources at most, lifetime (0: none) |
//! | 1 + n | master key identifier |
//! | as the suite says | master key, master salt |
//! | 8, 8 | RTP and RTCP packets under the key |
//! | table | RTP sources |
//! | table | RTCP sources; only of a receiver |
//!
//! A table is 8 bytes of packets, 2 bytes of sources, and for each source SSRC (4), started (1),
//! packets left to a signalled reset (2), highest index (8), last use (8) and the replay list.

use std::fmt;

use zeroize::Zeroizing;

use super::sources::{Source, Sources};
use super::{ImportError, SrtpOptions, replay};
use crate::keys::{MasterKey, Mki, SrtpProfile};
use crate::limits::{RTCP_PACKETS_PER_KEY_MAX, RTP_PACKETS_PER_KEY_MAX};

const MAGIC: [u8; 4] = *b"RSRT";
const VERSION: u8 = 1;
/// Bytes of everything before the tables, without key, salt and identifier.
const HEAD_BYTES: usize = 4 + 1 + 3 + 12 + 1 + 16;
const SOURCE_BYTES: usize = 4 + 1 + 2 + 8 + 8;

/// An exported context, keys and all. Wiped on drop; whoever sends it elsewhere does so encrypted.
pub struct SrtpState(Zeroizing<Vec<u8>>);

impl SrtpState {
    /// The bytes for `import`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SrtpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpState({} bytes)", self.0.len())
    }
}

/// Which way the packets of a context go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Direction {
    Sender = 1,
    Receiver = 2,
}

/// What a context consists of, apart from its tables.
pub(super) struct Head {
    pub(super) direction: Direction,
    pub(super) master: MasterKey,
    pub(super) options: SrtpOptions,
    pub(super) rtp_packets: u64,
    pub(super) rtcp_packets: u64,
}

pub(super) fn write(head: &Head, tables: &[&Sources]) -> SrtpState {
    let words = replay::words_for(head.options.replay_window_packets);
    let table_bytes = |table: &&Sources| 10 + table.used().len() * (SOURCE_BYTES + words * 8);
    let material = head.master.key().len() + head.master.salt().len() + head.master.mki().len();
    let bytes = HEAD_BYTES + material + tables.iter().map(table_bytes).sum::<usize>();
    // All at once: a vector that grows leaves copies of the keys behind.
    let mut out = Zeroizing::new(Vec::with_capacity(bytes));
    out.extend(MAGIC);
    out.extend([
        VERSION,
        head.direction as u8,
        head.master.profile().code(),
        u8::from(head.options.encrypt_rtcp),
    ]);
    out.extend(head.options.replay_window_packets.to_be_bytes());
    out.extend(head.options.sources_max.to_be_bytes());
    out.extend(head.options.lifetime_packets.unwrap_or(0).to_be_bytes());
    out.push(u8::try_from(head.master.mki().len()).unwrap_or_default());
    out.extend(head.master.mki());
    out.extend(head.master.key());
    out.extend(head.master.salt());
    out.extend(head.rtp_packets.to_be_bytes());
    out.extend(head.rtcp_packets.to_be_bytes());
    for table in tables {
        write_table(&mut out, table);
    }
    debug_assert_eq!(out.len(), bytes, "the vector did not grow");
    SrtpState(out)
}

fn write_table(out: &mut Vec<u8>, table: &Sources) {
    let used = table.used();
    out.extend(table.packets().to_be_bytes());
    out.extend(u16::try_from(used.len()).unwrap_or(u16::MAX).to_be_bytes());
    for (slot, source) in used.iter().enumerate() {
        out.extend(source.ssrc);
        out.push(u8::from(source.started));
        out.extend(source.reset_packets.to_be_bytes());
        out.extend(source.highest.to_be_bytes());
        out.extend(source.used_at.to_be_bytes());
        let seen = table.seen(slot).iter();
        out.extend(seen.flat_map(|word| word.to_be_bytes()));
    }
}

/// Reads what [`write`] wrote, piece by piece.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(state: &'a [u8]) -> Self {
        Self { rest: state }
    }

    pub(super) fn head(&mut self, direction: Direction) -> Result<Head, ImportError> {
        if self.array()? != MAGIC {
            return Err(ImportError::Malformed);
        }
        let [version] = self.array()?;
        if version != VERSION {
            return Err(ImportError::UnknownVersion);
        }
        let [way, suite, encrypt_rtcp] = self.array()?;
        if way != direction as u8 {
            return Err(ImportError::WrongDirection);
        }
        let profile = SrtpProfile::from_code(suite).ok_or(ImportError::UnknownSuite)?;
        let options = SrtpOptions {
            encrypt_rtcp: flag(encrypt_rtcp)?,
            replay_window_packets: u16::from_be_bytes(self.array()?),
            sources_max: u16::from_be_bytes(self.array()?),
            lifetime_packets: Some(self.u64()?).filter(|packets| *packets > 0),
        };
        options.check().map_err(|_| ImportError::BadValue)?;
        let [mki_bytes] = self.array()?;
        let mki = match mki_bytes {
            0 => Mki::NONE,
            bytes => Mki::new(self.take(bytes.into())?).map_err(|_| ImportError::BadValue)?,
        };
        let key = self.take(profile.key_bytes())?;
        let salt = self.take(profile.salt_bytes())?;
        let master = MasterKey::new(profile, key, salt).map_err(|_| ImportError::BadValue)?;
        Ok(Head {
            direction,
            master: master.with_mki(mki),
            options,
            rtp_packets: self.u64()?,
            rtcp_packets: self.u64()?,
        })
    }

    /// Fills an empty table whose indices are below `index_max`.
    pub(super) fn table(&mut self, table: &mut Sources, index_max: u64) -> Result<(), ImportError> {
        let packets = self.u64()?;
        let sources = u16::from_be_bytes(self.array()?);
        table.restore_packets(packets);
        let words = table.seen(0).len();
        for _ in 0..sources {
            let source = Source {
                ssrc: self.array()?,
                started: flag(u8::from_be_bytes(self.array()?))?,
                reset_packets: u16::from_be_bytes(self.array()?),
                highest: self.u64()?,
                used_at: self.u64()?,
            };
            // Without a packet only the rollover counter is known.
            let whole = source.started || source.highest.trailing_zeros() >= 16;
            if source.highest >= index_max || source.used_at > packets || !whole {
                return Err(ImportError::BadValue);
            }
            let (seen, _) = self.take(words * 8)?.as_chunks::<8>();
            if !table.restore(source, seen.iter().map(|word| u64::from_be_bytes(*word))) {
                return Err(ImportError::BadValue);
            }
        }
        Ok(())
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), ImportError> {
        match self.rest {
            [] => Ok(()),
            _ => Err(ImportError::Malformed),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], ImportError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or(ImportError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], ImportError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(ImportError::Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u64(&mut self) -> Result<u64, ImportError> {
        Ok(u64::from_be_bytes(self.array()?))
    }
}

fn flag(byte: u8) -> Result<bool, ImportError> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ImportError::BadValue),
    }
}

/// Every index of RTP is below this.
pub(super) const RTP_INDEX_MAX: u64 = RTP_PACKETS_PER_KEY_MAX;
/// Every index of RTCP is below this.
pub(super) const RTCP_INDEX_MAX: u64 = RTCP_PACKETS_PER_KEY_MAX as u64;
