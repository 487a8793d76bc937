//! What was done and what was answered, in the order in which it happened.

use std::cell::RefCell;
use std::fmt;

use crate::workload::Operation;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A pull's image; nothing where its id is none that was ever pushed.
    Pulled(Option<u8>),
    /// Done: a removal, a change by another client, a collection.
    Done,
    /// Another client's change had nothing to change.
    Nothing,
    /// A status: the image.
    Status(Option<u8>),
    /// A list: the images.
    Listed(Vec<u8>),
    /// It failed; the reason.
    Failed(String),
    /// The caller went away, or the daemon did.
    GivenUp,
    /// It had not returned within its simulated time.
    Late,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Pulled(Some(image)) => write!(f, "image{}", image + 1),
            Answer::Pulled(None) => write!(f, "an unknown image"),
            Answer::Done => write!(f, "done"),
            Answer::Nothing => write!(f, "nothing to do"),
            Answer::Status(Some(image)) => write!(f, "it is image{}", image + 1),
            Answer::Status(None) => write!(f, "it is not there"),
            Answer::Listed(images) => {
                write!(f, "listed {:?}", images.iter().map(|image| image + 1).collect::<Vec<_>>())
            }
            Answer::Failed(reason) => write!(f, "failed: {reason}"),
            Answer::GivenUp => write!(f, "given up"),
            Answer::Late => write!(f, "not returned in its time"),
        }
    }
}

/// One operation with its times: numbers that grow with every beginning and every end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who did it.
    pub client: usize,
    /// What.
    pub operation: Operation,
    /// When it began.
    pub began: u32,
    /// When it ended.
    pub ended: u32,
    /// How.
    pub answer: Answer,
}

/// A history that grows.
#[derive(Debug, Default)]
pub(crate) struct History(RefCell<(u32, Vec<Event>)>);

impl History {
    /// Notes that an operation begins; answers its number.
    pub(crate) fn begin(&self, client: usize, operation: &Operation) -> usize {
        let (clock, events) = &mut *self.0.borrow_mut();
        *clock += 1;
        let operation = operation.clone();
        events.push(Event { client, operation, began: *clock, ended: u32::MAX, answer: Answer::GivenUp });
        events.len() - 1
    }

    /// Notes that operation `number` ends.
    pub(crate) fn end(&self, number: usize, answer: Answer) {
        let (clock, events) = &mut *self.0.borrow_mut();
        *clock += 1;
        if let Some(event) = events.get_mut(number) {
            event.ended = *clock;
            event.answer = answer;
        }
    }

    /// All of it.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.0.borrow().1.clone()
    }
}
