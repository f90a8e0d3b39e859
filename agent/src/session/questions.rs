//! When the agent asked for what a lease answers.
//!
//! A lease counts from its question and not from its arrival: it may have waited on the way for as long as the stream stood. Questions are
//! numbered in each session, the lease names the newest that the controller had heard, so a lease that comes late, or twice, counts from
//! where it did before.

use std::collections::VecDeque;

use patchwave_common::domain::Lease;

/// Questions that are remembered. One is put when a directive is ready, when a session begins and when a lease came late, so few are open;
/// what answers a forgotten one counts as run out.
const MAX_QUESTIONS: usize = 64;
/// The hello, which carries the question with the directive's history.
const HELLO: u64 = 1;

/// The questions of one session.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Number and boot time in milliseconds, oldest first.
    asked: VecDeque<(u64, u64)>,
    newest: u64,
}

impl Questions {
    /// Those of a session whose hello is said at this boot time.
    pub(super) fn of_session(hello_ms: u64) -> Self {
        Self { asked: VecDeque::from([(HELLO, hello_ms)]), newest: HELLO }
    }

    /// A question is put; its number.
    pub(super) fn ask(&mut self, now_ms: u64) -> u64 {
        self.newest = self.newest.max(HELLO) + 1;
        if self.asked.len() == MAX_QUESTIONS {
            self.asked.pop_front();
        }
        self.asked.push_back((self.newest, now_ms));
        self.newest
    }

    /// The boot time from which a lease counts, in milliseconds; 0, which is long ago, where it answers nothing that was asked.
    pub(super) fn answered_by(&mut self, lease: &Lease) -> u64 {
        let asked = if lease.answers == 0 {
            // A controller of release 0.1 gives one lease for each question, in their order.
            self.asked.pop_front()
        } else {
            self.asked.iter().find(|(number, _)| *number == lease.answers).copied()
        };
        asked.map_or(0, |(_, asked_ms)| asked_ms)
    }
}

#[cfg(test)]
mod tests {
    use patchwave_common::domain::Generation;

    use super::*;

    fn lease(answers: u64) -> Lease {
        Lease { generation: Generation { epoch: 1, counter: 1 }, valid_ms: 60_000, answers }
    }

    #[test]
    fn a_lease_counts_from_the_question_that_it_names_however_often_it_comes() {
        let mut questions = Questions::of_session(1_000);
        assert_eq!((questions.ask(2_000), questions.ask(3_000)), (2, 3));
        let counted = [3, 2, 2, 1, 1].map(|number| questions.answered_by(&lease(number)));
        assert_eq!(counted, [3_000, 2_000, 2_000, 1_000, 1_000]);
    }

    #[test]
    fn a_lease_for_what_was_never_asked_or_forgotten_counts_from_long_ago() {
        let mut questions = Questions::of_session(1_000);
        for second in 2..100 {
            questions.ask(second * 1_000);
        }
        assert_eq!([1, 100, u64::MAX].map(|number| questions.answered_by(&lease(number))), [0, 0, 0]);
        assert_eq!(questions.answered_by(&lease(99)), 99_000);
        assert_eq!(Questions::default().answered_by(&lease(0)), 0);
    }

    #[test]
    fn leases_of_a_controller_that_numbers_nothing_answer_the_questions_in_their_order() {
        let mut questions = Questions::of_session(1_000);
        questions.ask(2_000);
        assert_eq!([0, 0, 0].map(|number| questions.answered_by(&lease(number))), [1_000, 2_000, 0]);
    }
}
