//! The ids that one socket has given, and which question each is for.

use super::port::QUESTIONS_MAX;

/// Places of the table: at most half are ever taken, so a search ends soon.
const PLACES: usize = 2 * QUESTIONS_MAX;
/// No id is here.
const EMPTY: u16 = u16::MAX;
/// The id that is here was given, and its question is closed.
const CLOSED: u16 = u16::MAX - 1;

/// A table from id to question. An id stays in it when its question is closed: a socket never gives the same one twice, so
/// that a late answer can't be taken for the answer to another question.
pub(super) struct Ids {
    /// Id and question. The ids are random, so they are their own hash.
    places: Box<[(u16, u16); PLACES]>,
}

impl Ids {
    /// No id is given.
    pub(super) fn new() -> Self {
        Self { places: Box::new([(0, EMPTY); PLACES]) }
    }

    /// Gives an id to a question; `false` if this socket gave it before.
    #[must_use]
    pub(super) fn give(&mut self, id: u16, question: u16) -> bool {
        let place = &mut self.places[self.place(id)];
        let free = place.1 == EMPTY;
        if free {
            *place = (id, question);
        }
        free
    }

    /// The open question that has this id.
    pub(super) fn question(&self, id: u16) -> Option<u16> {
        let (_id, question) = self.places[self.place(id)];
        (question < CLOSED).then_some(question)
    }

    /// The question with this id is closed.
    pub(super) fn close(&mut self, id: u16) {
        let place = &mut self.places[self.place(id)];
        if place.1 != EMPTY {
            place.1 = CLOSED;
        }
    }

    /// Every open question.
    pub(super) fn open(&self) -> impl Iterator<Item = u16> {
        self.places.iter().map(|(_id, question)| *question).filter(|question| *question < CLOSED)
    }

    /// Where an id is, or would be.
    fn place(&self, id: u16) -> usize {
        let mut at = usize::from(id) % PLACES;
        // Half of the places are empty at least.
        while self.places[at].1 != EMPTY && self.places[at].0 != id {
            at = (at + 1) % PLACES;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_finds_its_question_until_that_is_closed_and_is_never_given_again() {
        let mut ids = Ids::new();
        // All of these want the same place.
        let same: Vec<u16> = (0..64).map(|n| 7 + n * u16::try_from(PLACES).unwrap()).collect();
        for (question, &id) in (0..).zip(&same) {
            assert!(ids.give(id, question));
        }
        ids.close(same[1]);
        assert_eq!([0, 1, 2].map(|n| ids.question(same[n])), [Some(0), None, Some(2)]);
        assert!(!ids.give(same[1], 9) && !ids.give(same[2], 9));
        assert_eq!(ids.question(8), None);
        ids.close(8);
        assert_eq!(ids.open().count(), 63);
    }
}
