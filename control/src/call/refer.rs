//! Transfer: REFER and its NOTIFYs pass between the legs (RFC 3515, 4488), and what names a dialog
//! on one side is made to name it on the other (`Replaces`, RFC 3891).

use std::ops::Range;

use super::dialog::sequence;
use super::exchange::Place;
use super::leg::Side;
use super::outgoing::plain_address;
use super::setup::Target;
use super::{Call, CallId, Calls, Party};
use crate::engine::context::{BROWSER_SIDE_HOST, Context};
use crate::engine::input::Peer;
use crate::limits::REFERS_PER_CALL_MAX;
use crate::sip::header::header_param;
use crate::sip::uri::decode;
use crate::sip::{HeaderName, Message, NameAddr, Uri};
use crate::trunk::numbers;

/// A REFER that was passed on: its NOTIFYs may name it by its sequence number (RFC 3515 section
/// 2.4.6), which differs between the legs.
#[derive(Clone, Debug)]
pub(crate) struct Refer {
    from: Party,
    theirs: u32,
    /// More than one number where it may have been sent again with credentials.
    ours: Range<u32>,
}

/// A `Replaces` that names a dialog of ours, as the peer of the other leg knows it.
#[derive(Debug)]
pub(crate) struct Replaced {
    call: CallId,
    /// The leg that the other side of the named dialog is.
    other: Party,
    /// The same, in the names of that leg.
    pub(super) value: String,
    early_only: bool,
}

impl Calls {
    /// The leg here of the dialog that a `Replaces` within Refer-To names: the tags are taken in
    /// either order, as JsSIP writes those of its incoming calls the other way round.
    pub(super) fn find_named(&self, value: &str) -> Option<Place> {
        let call_id = value.split(';').next()?.trim();
        let tag = |name| header_param(value, name).filter(|tag| !tag.is_empty());
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        let is_it = |ours: &str, theirs: &str| {
            let key = (call_id.to_owned(), ours.to_owned());
            let place = *self.by_dialog.get(&key)?;
            let leg = self.calls.get(&place.0)?.leg(place.1)?;
            (leg.dialog.remote_tag.as_deref() == Some(theirs)).then_some(place)
        };
        is_it(to_tag, from_tag).or_else(|| is_it(from_tag, to_tag))
    }

    /// Finds the dialog that a `Replaces` of a peer names.
    pub(super) fn find_replaced(&self, value: &str) -> Option<Replaced> {
        let call_id = value.split(';').next()?.trim();
        let tag = |name| header_param(value, name).filter(|tag| !tag.is_empty());
        let (to_tag, from_tag) = (tag("to-tag")?, tag("from-tag")?);
        // The tag of who gets it is that of the leg here.
        let key = (call_id.to_owned(), to_tag.to_owned());
        let (id, party) = *self.by_dialog.get(&key)?;
        let call = self.calls.get(&id)?;
        if call.leg(party)?.dialog.remote_tag.as_deref() != Some(from_tag) {
            return None;
        }
        let other = &call.leg(party.other())?.dialog;
        let early_only = header_param(value, "early-only").is_some();
        let mut mapped = format!(
            "{};to-tag={};from-tag={}",
            other.call_id,
            other.remote_tag.as_deref()?,
            other.local_tag
        );
        if early_only {
            mapped.push_str(";early-only");
        }
        Some(Replaced {
            call: id,
            other: party.other(),
            value: mapped,
            early_only,
        })
    }

    /// Where the peer of a replaced dialog's other side is: side, peer and Request-URI. The
    /// status of the refusal if it cannot be replaced any more (RFC 3891 section 3).
    pub(super) fn place_of(&self, replaced: &Replaced) -> Result<(Side, Peer, String), u16> {
        let call = self.calls.get(&replaced.call).ok_or(481_u16)?;
        if replaced.early_only && call.answered_at.is_some() {
            return Err(486);
        }
        let leg = call.leg(replaced.other).ok_or(481_u16)?;
        if call.state == super::state::State::Ending {
            return Err(603);
        }
        Ok((leg.side, leg.peer, leg.dialog.remote_target.clone()))
    }

    /// An INVITE that replaces a dialog of ours (RFC 3891) goes to who is in it, and names it as
    /// that side knows it. What names none of ours is the carrier's, unless it comes from there:
    /// 481.
    pub(super) fn place_replacing(
        &self,
        caller: Side,
        invite: &mut Message,
        target: &mut Target,
    ) -> Result<(), u16> {
        let values: Vec<&str> = invite.headers(HeaderName::Replaces).collect();
        let value = match values.as_slice() {
            [] => return Ok(()),
            [one] => *one,
            _ => return Err(400),
        };
        let Some(replaced) = self.find_replaced(value) else {
            return match caller {
                Side::Trunk(_) => Err(481),
                Side::Browser => Ok(()),
            };
        };
        let (side, peer, request_uri) = self.place_of(&replaced)?;
        let Target::Leg(outgoing) = target else {
            return Err(481);
        };
        if outgoing.side.profile() != side.profile() {
            // It goes through the carrier, which knows the dialog by these names.
            return Ok(());
        }
        if side == Side::Browser {
            outgoing.peer = peer;
            outgoing.request_uri = request_uri;
        }
        invite.set(HeaderName::Replaces, replaced.value);
        Ok(())
    }

    /// `Refer-To` as the other side can use it: without what only a browser means, and with the
    /// names of its own dialogs. `None` if it is no address.
    pub(super) fn map_refer_to(
        &self,
        context: &Context,
        (from, to): (Side, Side),
        value: &str,
    ) -> Option<String> {
        let mut address = NameAddr::parse(value)?;
        if address.uri.headers.is_empty() {
            name_number(context, (from, to), &mut address.uri);
        }
        address.uri.params.remove("transport");
        let mut target = None;
        for (name, value) in &mut address.uri.headers {
            if !name.eq_ignore_ascii_case("Replaces") {
                continue;
            }
            let Some(replaced) = decode(value).and_then(|value| self.find_replaced(&value)) else {
                continue;
            };
            let other = self.calls.get(&replaced.call)?.leg(replaced.other)?;
            target = NameAddr::parse(&other.dialog.remote).map(|remote| remote.uri);
            *value = escape(&replaced.value);
        }
        let uri = &mut address.uri;
        if uri.host.eq_ignore_ascii_case(BROWSER_SIDE_HOST)
            && let Some(target) = target
        {
            let headers = std::mem::take(&mut uri.headers);
            *uri = Uri { headers, ..target };
        }
        if let Side::Trunk(index) = to
            && let Some(trunk) = context.config.trunks.get(index)
            && context.config.lines.has_domain(&uri.host)
        {
            uri.host.clone_from(&trunk.domain);
            uri.port = None;
        }
        Some(address.to_string())
    }

    /// Puts into a REFER what passes.
    pub(super) fn pass_refer(
        &self,
        context: &Context,
        sides: (Side, Side),
        from: &Message,
        onward: &mut Message,
    ) -> Option<()> {
        let mut targets = from.headers(HeaderName::ReferTo);
        let refer_to = self.map_refer_to(context, sides, targets.next()?)?;
        // RFC 3515 section 2.4.1: exactly one.
        if targets.next().is_some() {
            return None;
        }
        onward.push(HeaderName::ReferTo, refer_to);
        pass_referred_by(from, onward);
        for value in from.headers(HeaderName::ReferSub) {
            onward.push(HeaderName::ReferSub, value);
        }
        if from.lists_token(HeaderName::Supported, "norefersub") {
            onward.push(HeaderName::Supported, "norefersub");
        }
        Some(())
    }
}

impl Call {
    /// Forgets a REFER that has begun no subscription: it was refused, or none was wanted (RFC
    /// 4488).
    pub(super) fn forget_refer(&mut self, from: Party, theirs: &Message) {
        let theirs = sequence(theirs);
        self.refers
            .retain(|refer| refer.from != from || Some(refer.theirs) != theirs);
    }

    /// Is a side told by the other one how a transfer goes?
    pub(super) fn is_told_of_transfers(&self) -> bool {
        !self.refers.is_empty()
    }

    /// Remembers a REFER that was passed on; the oldest makes room.
    pub(super) fn note_refer(&mut self, from: Party, theirs: &Message, ours: Range<u32>) {
        let Some(theirs) = sequence(theirs) else {
            return;
        };
        if self.refers.len() >= REFERS_PER_CALL_MAX {
            self.refers.remove(0);
        }
        self.refers.push(Refer { from, theirs, ours });
    }
}

/// Puts into a NOTIFY what passes, with the number of the REFER that it is about.
pub(super) fn pass_notify(refers: &[Refer], by: Party, from: &Message, onward: &mut Message) {
    for name in [HeaderName::Event, HeaderName::SubscriptionState] {
        let Some(value) = from.header(&name) else {
            continue;
        };
        let id = header_param(value, "id").and_then(|id| id.parse::<u32>().ok());
        let refer = refers.iter().find(|refer| {
            refer.from == by.other() && id.is_some_and(|id| refer.ours.contains(&id))
        });
        let is_refer = name == HeaderName::Event && value.starts_with("refer");
        match refer.filter(|_| is_refer) {
            Some(refer) => onward.push(&name, format!("refer;id={}", refer.theirs)),
            None => onward.push(&name, value),
        }
    }
}

/// Writes the number of who is to be called as the side writes it that is to call: it is dialled
/// there as a call from here would be.
pub(super) fn name_number(context: &Context, (from, to): (Side, Side), uri: &mut Uri) {
    let numbers = |index: usize| context.config.trunks.get(index).map(|trunk| &trunk.numbers);
    match (from, to) {
        (Side::Browser, Side::Trunk(index)) => {
            if let Some(config) = numbers(index) {
                numbers::to_trunk(config, uri);
            }
        }
        (Side::Trunk(index), Side::Browser) => {
            if let Some(config) = numbers(index) {
                numbers::from_trunk(config, uri);
            }
        }
        (Side::Browser, Side::Browser) | (Side::Trunk(_), Side::Trunk(_)) => {}
    }
}

/// Says who wanted the transfer (RFC 3892), unless the address is one of a browser's network.
pub(super) fn pass_referred_by(from: &Message, to: &mut Message) {
    let address = from
        .header(HeaderName::ReferredBy)
        .and_then(NameAddr::parse);
    if let Some(address) = address.filter(|address| !address.uri.host.ends_with(".invalid")) {
        to.push(HeaderName::ReferredBy, plain_address(&address, None));
    }
}

/// Escapes a header value for a URI (RFC 3261 section 19.1.1).
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
