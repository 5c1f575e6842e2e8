//! What is said to a receiver of dnstap before and after the data, in both directions (Frame Streams).

use super::error::SendError;
use super::reach::Connection;
use crate::dnstap::{CONTENT_TYPE, Control, Frame, read_frame, write_control};

/// Octets that a receiver may say until it has said what it has to.
const SAID_MAX: usize = 4 << 10;

/// Offers dnstap, hears that it is wanted, and begins.
pub(super) async fn begin(connection: &mut Connection) -> Result<(), SendError> {
    say(connection, Control::Ready).await?;
    hear(connection, Control::Accept).await?;
    say(connection, Control::Start).await
}

/// Says that there is no more, and waits until the receiver has everything. One that does not say so is left: what it was sent
/// is as good as taken once its system has it.
pub(super) async fn end(connection: &mut Connection) {
    if say(connection, Control::Stop).await.is_ok()
        && let Err(error) = hear(connection, Control::Finish).await
    {
        tracing::debug!(%error, "A receiver of dnstap did not say that it has everything.");
    }
}

async fn say(connection: &mut Connection, control: Control) -> Result<(), SendError> {
    let mut octets = Vec::new();
    write_control(control, &mut octets);
    connection.send(&octets).await
}

async fn hear(connection: &mut Connection, expected: Control) -> Result<(), SendError> {
    let (mut said, mut length) = ([0; SAID_MAX], 0);
    loop {
        let frame = read_frame(&said[..length]).map_err(|error| SendError::Refused(error.to_string()))?;
        match frame {
            None if length == SAID_MAX => return Err(SendError::Refused("it talks without an end".to_owned())),
            None => (),
            Some((Frame::Control(control, types), _length)) if control == expected => {
                // It may leave out types that it has no choice of.
                let takes = expected != Control::Accept || types.is_empty() || types.contains(&CONTENT_TYPE);
                let other = || SendError::Refused("it wants other content".to_owned());
                return if takes { Ok(()) } else { Err(other()) };
            }
            Some((Frame::Control(control, _types), _length)) => {
                return Err(SendError::Refused(format!("it said {control:?} instead of {expected:?}")));
            }
            Some((Frame::Data(_data), _length)) => return Err(SendError::Refused("it sends data itself".to_owned())),
        }
        match connection.hear(&mut said[length..]).await? {
            0 => return Err(SendError::Closed),
            heard => length += heard,
        }
    }
}
