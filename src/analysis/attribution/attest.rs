//! Inference held against the kernel's own word.

use super::case::Case;
use super::rules;
use crate::analysis::trace::ResetWord;
use crate::model::{Cause, FailureClass};

/// A cause, and whether the kernel's trace confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) cause: Cause,
    pub(crate) is_attested: bool,
}

/// What inference can only guess, as a server ends: in which of three ways a connection was thrown away, if it can at all.
const GUESSED: [Cause; 4] = [Cause::Ambiguous, Cause::AcceptQueueReset, Cause::AcceptedUnread, Cause::KilledInFlight];

/// What becomes of a case whose evidence is of another machine: what is so wherever in its half-width that machine's clock
/// is. A fact that a span shows is shown by every longer one, and one that it refutes by every shorter one: what holds in
/// the span that may be meant, and in the one that is meant for certain, holds in all between. The third is in the middle.
pub(crate) fn judge_on_any_clock(case: &Case<'_>) -> Judged {
    let half_width_ns = case.timeline.half_width_ns();
    if half_width_ns == 0 {
        return judge(case);
    }
    let [certain, middle, possible] = [-half_width_ns, 0, half_width_ns].map(|slack| judge(&case.with_slack(slack)));
    if certain.cause != possible.cause || middle.cause != possible.cause {
        return Judged { cause: Cause::Ambiguous, is_attested: false };
    }
    Judged { is_attested: certain.is_attested && middle.is_attested && possible.is_attested, ..possible }
}

/// What becomes of a case: a word that confirms the inferred cause attests it, one that leaves no other choice
/// stands in where no more than a guess could be inferred, and one that contradicts leaves it ambiguous.
pub(crate) fn judge(case: &Case<'_>) -> Judged {
    let inferred = rules::infer(case);
    let unattested = Judged { cause: inferred, is_attested: false };
    let Some(word) = case.word else { return unattested };
    if case.key.class.is_wrong() {
        // An answer came; how the connection ended is not why it was wrong.
        return unattested;
    }
    let Meaning { confirms, agrees_with } = meaning(case, word);
    if confirms.contains(&inferred) {
        Judged { cause: inferred, is_attested: true }
    } else if agrees_with.contains(&inferred) {
        unattested
    } else if let ([only], true) = (confirms, GUESSED.contains(&inferred)) {
        Judged { cause: *only, is_attested: true }
    } else {
        Judged { cause: Cause::Ambiguous, is_attested: false }
    }
}

/// What a word says of a cause.
struct Meaning {
    /// Causes that it is the mark of.
    confirms: &'static [Cause],
    /// Causes that it fits, though it says nothing of what makes them what they are.
    agrees_with: &'static [Cause],
}

fn meaning(case: &Case<'_>, word: ResetWord) -> Meaning {
    use Cause::{
        AcceptQueueReset, AcceptedUnread, KeepAliveRace, KilledInFlight, NoListener, SocketUnitDown, StartLimit,
        TriggerLimit,
    };
    let (confirms, agrees_with): (&[Cause], &[Cause]) = match (word, case.key.reused) {
        // Nobody listened; that a limit or a dead unit is behind it is the manager's word, not the kernel's.
        (ResetWord::NoSocket, _) if case.is(&[FailureClass::Refused]) => {
            (&[NoListener], &[StartLimit, TriggerLimit, SocketUnitDown])
        }
        // The listener went before the handshake had ended: its half-open connections are its queue, too.
        (ResetWord::NoSocket, false) if case.listener_was_lost() => {
            (&[AcceptQueueReset], &[AcceptedUnread, KilledInFlight])
        }
        (ResetWord::NoSocket, false) => (&[], &[AcceptQueueReset, AcceptedUnread, KilledInFlight]),
        (ResetWord::QueueClosed, false) => (&[AcceptQueueReset], &[]),
        // A server that stops closes its listener and its idle connections in one go.
        (ResetWord::WroteAfterClose | ResetWord::ClosedUnread, true) => (&[KeepAliveRace], &[]),
        // The server had it thrown away, read or not, or was gone.
        (ResetWord::NoSocket | ResetWord::QueueClosed | ResetWord::Aborted, true) => {
            (&[], &[KeepAliveRace, KilledInFlight])
        }
        (ResetWord::ClosedUnread | ResetWord::WroteAfterClose, false) => (&[AcceptedUnread], &[]),
        (ResetWord::Aborted, false) => (&[], &[KilledInFlight, AcceptedUnread]),
    };
    Meaning { confirms, agrees_with }
}
