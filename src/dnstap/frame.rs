//! Frame Streams, the framing of dnstap: <https://farsightsec.github.io/fstrm/>.
//!
//! Data is a length and its octets. A length of zero escapes a control frame: its own length, its type, and fields. A writer that
//! speaks to a reader in both directions says READY, hears ACCEPT, says START, and at the end STOP, to which it hears FINISH. In
//! a file, and one way, there are START and STOP alone.

/// What dnstap is called in control frames.
pub const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// Octets of data at most: two DNS messages of the largest size, and what is said of them.
pub const FRAME_MAX: usize = 192 << 10;
/// Octets of a control frame at most.
const CONTROL_MAX: usize = 512;
/// The one field of control frames.
const FIELD_CONTENT_TYPE: u32 = 1;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame<'f> {
    /// What is transported.
    Data(&'f [u8]),
    /// A word between reader and writer, and the content types it names.
    Control(Control, Vec<&'f [u8]>),
}

/// What readers and writers say to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The reader takes these types.
    Accept,
    /// Data of this type begins.
    Start,
    /// There is no more.
    Stop,
    /// The writer has these types.
    Ready,
    /// The reader has everything.
    Finish,
}

/// What is no frame: nothing behind it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any.
    #[error("a frame of {0} octets, which is more than any has")]
    TooLong(usize),
    /// A control frame that says nothing.
    #[error("a control frame that can't be")]
    Control,
}

impl Control {
    fn number(self) -> u32 {
        match self {
            Self::Accept => 1,
            Self::Start => 2,
            Self::Stop => 3,
            Self::Ready => 4,
            Self::Finish => 5,
        }
    }
}

/// The frame that these octets begin with, and how many of them it has. `None`: it is not all there yet.
///
/// # Errors
/// [`FrameError`] when they begin with none.
pub fn read_frame(octets: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((length, rest)) = word(octets) else { return Ok(None) };
    if length > 0 {
        if length > FRAME_MAX {
            return Err(FrameError::TooLong(length));
        }
        return Ok(rest.get(..length).map(|data| (Frame::Data(data), 4 + length)));
    }
    let Some((length, rest)) = word(rest) else { return Ok(None) };
    if length > CONTROL_MAX {
        return Err(FrameError::TooLong(length));
    }
    match rest.get(..length) {
        Some(control) => Ok(Some((control_frame(control)?, 8 + length))),
        None => Ok(None),
    }
}

fn control_frame(octets: &[u8]) -> Result<Frame<'_>, FrameError> {
    let (number, mut rest) = word(octets).ok_or(FrameError::Control)?;
    let all = [Control::Accept, Control::Start, Control::Stop, Control::Ready, Control::Finish];
    let control = all.into_iter().find(|control| control.number() as usize == number).ok_or(FrameError::Control)?;
    let mut types = Vec::new();
    while !rest.is_empty() {
        let (field, after) = word(rest).ok_or(FrameError::Control)?;
        let (length, after) = word(after).ok_or(FrameError::Control)?;
        let (content, after) = after.split_at_checked(length).ok_or(FrameError::Control)?;
        if field != FIELD_CONTENT_TYPE as usize {
            return Err(FrameError::Control);
        }
        types.push(content);
        rest = after;
    }
    Ok(Frame::Control(control, types))
}

/// A number of 32 bits, and what is behind it.
fn word(octets: &[u8]) -> Option<(usize, &[u8])> {
    let (word, rest) = octets.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_be_bytes(*word)).ok()?, rest))
}

/// Appends data.
pub fn write_data(data: &[u8], to: &mut Vec<u8>) {
    // More than a frame holds is nobody's message.
    to.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(data);
}

/// Appends a word, with the type of dnstap where one belongs to it.
pub fn write_control(control: Control, to: &mut Vec<u8>) {
    let content = match control {
        Control::Accept | Control::Start | Control::Ready => Some(CONTENT_TYPE),
        Control::Stop | Control::Finish => None,
    };
    let length = 4 + content.map_or(0, |content| 8 + content.len());
    for word in [0, u32::try_from(length).unwrap_or_default(), control.number()] {
        to.extend_from_slice(&word.to_be_bytes());
    }
    if let Some(content) = content {
        to.extend_from_slice(&FIELD_CONTENT_TYPE.to_be_bytes());
        write_data(content, to);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_read_as_they_were_written_once_they_are_whole() {
        let mut octets = Vec::new();
        write_control(Control::Ready, &mut octets);
        write_data(b"abc", &mut octets);
        write_control(Control::Stop, &mut octets);
        let expected = [
            Frame::Control(Control::Ready, vec![CONTENT_TYPE]),
            Frame::Data(b"abc"),
            Frame::Control(Control::Stop, vec![]),
        ];
        let mut rest = &octets[..];
        for frame in expected {
            let (read, length) = read_frame(rest).unwrap().unwrap();
            assert_eq!(read, frame);
            for cut in 0..length {
                assert_eq!(read_frame(&rest[..cut]), Ok(None), "{cut}");
            }
            rest = &rest[length..];
        }
        assert_eq!(rest, b"");
    }

    #[test]
    fn octets_are_those_of_the_specification() {
        let mut octets = Vec::new();
        write_control(Control::Start, &mut octets);
        assert_eq!(octets, b"\0\0\0\0\0\0\0\x22\0\0\0\x02\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap");
    }

    #[test]
    fn what_is_no_frame_is_told() {
        for (octets, expected) in [
            (&b"\x7f\xff\xff\xff"[..], FrameError::TooLong(0x7FFF_FFFF)),
            (b"\0\0\0\0\0\x01\0\0", FrameError::TooLong(0x1_0000)),
            (b"\0\0\0\0\0\0\0\0", FrameError::Control),
            (b"\0\0\0\0\0\0\0\x04\0\0\0\x09", FrameError::Control),
            (b"\0\0\0\0\0\0\0\x08\0\0\0\x02\0\0\0\x01", FrameError::Control),
            (b"\0\0\0\0\0\0\0\x0c\0\0\0\x02\0\0\0\x02\0\0\0\0", FrameError::Control),
        ] {
            assert_eq!(read_frame(octets), Err(expected), "{octets:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn rubbish_is_read_without_a_fault_and_never_beyond_its_end(octets: Vec<u8>) {
            if let Ok(Some((_frame, length))) = read_frame(&octets) {
                prop_assert!(length <= octets.len() && length >= 5);
            }
        }
    }
}
