//! The queries of a load, written out once, so that to send one is to copy it.

/// What stands for a label that is different in every query.
const FRESH: &str = "########";
/// Where the first label's octets begin in a message.
const FIRST_LABEL: usize = 13;

/// Queries in the order of their file, round and round.
#[derive(Debug)]
pub(crate) struct Questions {
    messages: Vec<Message>,
    next: usize,
    /// What the next name never asked before has for a label.
    fresh: u32,
}

#[derive(Debug)]
struct Message {
    octets: Vec<u8>,
    fresh: bool,
}

impl Questions {
    /// One query of type A for each line of `names`, from line number `first` on. A name that begins with `########.` has
    /// eight hexadecimal digits there, which count up. `None` without a name, or with one that is none.
    pub(crate) fn new(names: &str, edns: bool, first: u32) -> Option<Self> {
        let messages: Vec<Message> = names.lines().map(|name| message(name, edns)).collect::<Option<_>>()?;
        let next = usize::try_from(first).ok()?.checked_rem(messages.len())?;
        Some(Self { messages, next, fresh: first })
    }

    /// Writes the next query with this id over `room`; returns its size.
    pub(crate) fn write(&mut self, id: u16, room: &mut [u8]) -> usize {
        let message = &self.messages[self.next];
        self.next = (self.next + 1) % self.messages.len();
        let size = message.octets.len();
        room[..size].copy_from_slice(&message.octets);
        room[..2].copy_from_slice(&id.to_be_bytes());
        if message.fresh {
            for (place, octet) in room[FIRST_LABEL..FIRST_LABEL + FRESH.len()].iter_mut().enumerate() {
                *octet = b"0123456789abcdef"[(self.fresh >> (28 - 4 * place) & 15) as usize];
            }
            self.fresh = self.fresh.wrapping_add(1);
        }
        size
    }
}

fn message(name: &str, edns: bool) -> Option<Message> {
    let mut octets = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        octets.push(length);
        octets.extend_from_slice(label.as_bytes());
    }
    octets.extend_from_slice(&[0, 0, 1, 0, 1]);
    if edns {
        octets.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    let fits = octets.len() <= crate::datagrams::OCTETS;
    fits.then(|| Message { octets, fresh: name.starts_with(FRESH) })
}
