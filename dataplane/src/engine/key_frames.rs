//! Requests for key frames: each sender of video is asked at most once in a while, and whenever a
//! receiver becomes ready, which has missed the first pictures.

use std::cmp::Reverse;
use std::time::Instant;

use super::Engine;
use super::digits::{Due, Task};
use super::flow::Flow;
use crate::limits::KEY_FRAME_INTERVAL;
use crate::link::{Feedback, FlowId, Media};
use crate::wire::rtcp::CompoundWriter;

/// What the sender of a flow's video is asked.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyFrames {
    /// When it was asked last.
    asked_at: Option<Instant>,
    /// It is to be asked again, with the next report at the latest.
    is_wanted: bool,
    /// The engine looks at it when the interval is over.
    pub(super) is_awaited: bool,
    /// Of the next full intra request of ours.
    sequence: u8,
}

impl KeyFrames {
    /// It was not asked just now.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.asked_at
            .is_none_or(|at| now.saturating_duration_since(at) >= KEY_FRAME_INTERVAL)
    }

    /// It is asked now.
    pub(super) fn asked(&mut self, now: Instant) {
        self.asked_at = Some(now);
        self.is_wanted = false;
    }

    /// Writes the request behind a report, if there is to be one; true if it is there.
    pub(super) fn write(
        &mut self,
        now: Instant,
        takes: Feedback,
        (own_ssrc, source): (u32, Option<u32>),
        writer: &mut CompoundWriter<'_>,
    ) -> bool {
        let Some(source) = source.filter(|_| self.is_wanted && self.may_ask(now)) else {
            return false;
        };
        if takes.contains(Feedback::PICTURE_LOSS) {
            writer.picture_loss(own_ssrc, source);
        } else {
            self.sequence = self.sequence.wrapping_add(1);
            writer.full_intra(own_ssrc, source, self.sequence);
        }
        true
    }
}

impl Flow {
    /// Requests for key frames that the sender of its video has agreed to take.
    pub(super) fn key_frame_feedback(&self) -> Option<Feedback> {
        let takes = self.medium(Media::Video).known_route()?.feedback;
        let kinds = [Feedback::PICTURE_LOSS, Feedback::FULL_INTRA];
        kinds
            .iter()
            .any(|kind| takes.contains(*kind))
            .then_some(takes)
    }

    /// It can be sent to: pictures that come for it are not lost.
    fn is_ready(&self) -> bool {
        !self.is_browser() || self.contexts.is_some()
    }
}

impl Engine {
    /// Asks the sender of a flow's video for a key frame as soon as it may be asked. What has sent
    /// nothing yet begins with one.
    pub(super) fn want_key_frame(&mut self, now: Instant, id: FlowId) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        if !flow.media_started || flow.key_frame_feedback().is_none() {
            return;
        }
        let Some(key_frames) = flow.key_frames_mut() else {
            return;
        };
        key_frames.is_wanted = true;
        if !key_frames.is_awaited {
            key_frames.is_awaited = true;
            let free_at = key_frames.asked_at.map(|at| at + KEY_FRAME_INTERVAL);
            self.digits_due.push(Reverse(Due {
                at: free_at.map_or(now, |at| at.max(now)),
                flow: id,
                task: Task::AskKeyFrame,
            }));
        }
    }

    /// The flow's peer gets pictures from now on.
    pub(super) fn receiver_is_ready(&mut self, now: Instant, id: FlowId) {
        let receiver = self.table.get(id).filter(|flow| flow.is_ready());
        if let Some(sender) = receiver.and_then(|flow| flow.medium(Media::Video).sender) {
            self.want_key_frame(now, sender);
        }
    }

    /// The interval is over: the request leaves with a report.
    pub(super) fn ask_key_frame(&mut self, id: FlowId) {
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let Some(key_frames) = flow.key_frames_mut() else {
            return;
        };
        key_frames.is_awaited = false;
        if key_frames.is_wanted && !flow.report_is_due {
            flow.report_is_due = true;
            self.reports_due.push_back(id.slot);
        }
    }
}
