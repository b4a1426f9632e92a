//! What happened to a failure, in a line.

use hostler_core::triage::FailureEvent;
use jiff::Timestamp;

use super::describe::{Line, Mark};
use super::time;

/// Describes an event that was recorded at a moment.
pub(super) fn failure(event: &FailureEvent, recorded_at: Timestamp) -> Line {
    let within = |at: Timestamp| time::rough(time::between(recorded_at, at));
    match event {
        FailureEvent::Recorded { dead_letter, .. } => match &dead_letter.behind {
            Some(head) => Line::new(Mark::Other, format!("waits behind {head}")),
            None => Line::new(
                Mark::Failed,
                format!("{} failed on {}", dead_letter.message_type, dead_letter.queue),
            )
            .because(&dead_letter.reason),
        },
        FailureEvent::Recurred { reason, .. } => {
            Line::new(Mark::Failed, "the copy failed as well").because(reason)
        }
        FailureEvent::RetryScheduled { retry, at, .. } => {
            Line::new(Mark::Begun, format!("retry {retry} in {}", within(*at)))
        }
        FailureEvent::Quarantined { category, escalated, deadline_at, reason, .. } => {
            let escalated = if *escalated { ", escalated at once" } else { "" };
            let within = within(*deadline_at);
            Line::new(Mark::Failed, format!("quarantined as {category}, due in {within}{escalated}"))
                .because(reason)
        }
        FailureEvent::Overdue { category, .. } => {
            Line::new(Mark::Failed, format!("nobody has dealt with this {category} failure in time"))
        }
        FailureEvent::Edited { replaces, message_id, .. } => {
            let replaced = replaces.as_deref().unwrap_or("one without an id");
            Line::new(Mark::Begun, format!("has another body as message {message_id}, instead of {replaced}"))
        }
        FailureEvent::Resent { resend, why, .. } => {
            let line = Line::new(Mark::Begun, format!("copy {resend} put back on its queue"));
            why.iter().fold(line, |line, why| line.because(why))
        }
        FailureEvent::Resolved { .. } => Line::new(Mark::Done, "handled"),
        FailureEvent::Discarded { why, .. } => Line::new(Mark::Undone, "discarded").because(why),
        FailureEvent::Followed { follower, .. } => {
            Line::new(Mark::Other, format!("{follower} of the same key waits behind it"))
        }
        FailureEvent::Released { follower, .. } => {
            Line::new(Mark::Begun, format!("{follower} is released: it is handled next"))
        }
        FailureEvent::FollowerEnded { follower, .. } => {
            Line::new(Mark::Done, format!("{follower} is dealt with"))
        }
        FailureEvent::KeyReleased { .. } => Line::new(Mark::Done, "nothing waits behind it any more"),
    }
}
