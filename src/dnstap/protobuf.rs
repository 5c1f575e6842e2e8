//! Protocol Buffers, as far as dnstap needs them: <https://protobuf.dev/programming-guides/encoding/>.

/// What is no message: cut, or a number or field that can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no dnstap message: {0}")]
pub struct Malformed(pub(super) &'static str);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'m> {
    /// A number of variable length.
    Number(u64),
    /// 32 bits.
    Fixed(u32),
    /// Octets, a text or a message.
    Octets(&'m [u8]),
    /// Of a type that no field here has.
    Other,
}

/// The fields of a message, one by one.
pub(super) struct Fields<'m> {
    rest: &'m [u8],
}

impl<'m> Fields<'m> {
    pub(super) fn of(message: &'m [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field: its number and value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'m>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.octets(8).map(|_wide| Value::Other)?,
            2 => {
                let length =
                    usize::try_from(self.number()?).map_err(|_wide| Malformed("a length beyond all measure"))?;
                Value::Octets(self.octets(length)?)
            }
            5 => {
                let octets = self.octets(4)?;
                Value::Fixed(octets.iter().rev().fold(0, |value, octet| value << 8 | u32::from(*octet)))
            }
            _ => return Err(Malformed("a field of no known type")),
        };
        match tag >> 3 {
            0 => Err(Malformed("a field without a number")),
            number => Ok(Some((number, value))),
        }
    }

    fn octets(&mut self, length: usize) -> Result<&'m [u8], Malformed> {
        let (octets, rest) = self.rest.split_at_checked(length).ok_or(Malformed("it ends within a field"))?;
        self.rest = rest;
        Ok(octets)
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for place in 0..10 {
            let [octet] = self.octets(1)? else { break };
            let bits = u64::from(octet & 0x7F);
            // The tenth octet has one bit.
            if place == 9 && bits > 1 {
                break;
            }
            number |= bits << (7 * place);
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number of more than 64 bits"))
    }
}

/// Appends a number of variable length.
pub(super) fn number(field: u64, value: u64, to: &mut Vec<u8>) {
    variable(field << 3, to);
    variable(value, to);
}

/// Appends 32 bits.
pub(super) fn fixed(field: u64, value: u32, to: &mut Vec<u8>) {
    variable(field << 3 | 5, to);
    to.extend_from_slice(&value.to_le_bytes());
}

/// Appends octets.
pub(super) fn octets(field: u64, value: &[u8], to: &mut Vec<u8>) {
    variable(field << 3 | 2, to);
    variable(value.len() as u64, to);
    to.extend_from_slice(value);
}

fn variable(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7F {
        to.push(0x80 | u8::try_from(value & 0x7F).unwrap_or_default());
        value >>= 7;
    }
    to.push(u8::try_from(value).unwrap_or_default());
}
