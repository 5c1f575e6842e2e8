//! The way to a receiver, whatever it is.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::config::{Over, SinkKind, Socket, WebhookSink};
use super::error::SendError;
use super::files::Files;
use super::messages::Messages;
use super::reach::{Connection, datagrams};
use super::{talk, webhook};
use crate::priority::beside;
use crate::time::Timestamp;
use crate::upstream::Questions;

/// Datagrams sent at once, and the pause behind them: a receiver's buffer holds some hundred.
const BURST: usize = 64;
const BREATH: Duration = Duration::from_millis(1);

/// What became of messages that a receiver has answered, or that the system has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It has them, or will.
    Taken,
    /// It has read them and wants no such thing, by this status.
    Refused(u16),
}

/// The way to the receiver, if it is open.
pub(super) enum Line {
    Closed,
    File(Files),
    Datagrams(UdpSocket),
    Stream(Connection),
    /// With Frame Streams on it.
    Frames(Connection),
    /// A connection for each message.
    Webhook(WebhookSink, Arc<dyn Questions>),
}

impl Line {
    /// Opens the way to a receiver.
    pub(super) async fn open(kind: &SinkKind, asked: &Arc<dyn Questions>) -> Result<Self, SendError> {
        let questions = &**asked;
        Ok(match kind {
            SinkKind::File(file) => Self::File(Files::new(file.clone())),
            SinkKind::Syslog(syslog) => match &syslog.over {
                Over::Udp => Self::Datagrams(datagrams(questions, &syslog.to).await?),
                Over::Tcp => Self::Stream(Connection::open(questions, &syslog.to, None).await?),
                Over::Tls(trust) => Self::Stream(Connection::open(questions, &syslog.to, Some(trust)).await?),
            },
            SinkKind::Webhook(webhook) => Self::Webhook(webhook.clone(), Arc::clone(asked)),
            SinkKind::Dnstap(dnstap) => {
                let mut connection = match &dnstap.to {
                    Socket::Unix(path) => Connection::open_unix(path).await?,
                    Socket::Tcp(place) => Connection::open(questions, place, None).await?,
                    Socket::Tls(place, trust) => Connection::open(questions, place, Some(trust)).await?,
                };
                talk::begin(&mut connection).await?;
                Self::Frames(connection)
            }
        })
    }

    /// Gives the messages to the receiver, or to the system for it.
    pub(super) async fn send(&mut self, messages: Messages, now: Timestamp) -> Result<Given, SendError> {
        if let Self::Webhook(sink, questions) = self {
            return webhook::post(sink, &**questions, &messages, now).await;
        }
        self.give(messages, now).await.map(|()| Given::Taken)
    }

    async fn give(&mut self, messages: Messages, now: Timestamp) -> Result<(), SendError> {
        match self {
            Self::Closed | Self::Webhook(..) => Err(SendError::Closed),
            Self::File(_) => self.write(messages.octets, now).await,
            Self::Stream(connection) | Self::Frames(connection) => connection.send(&messages.octets).await,
            Self::Datagrams(socket) => {
                let mut begin = 0;
                for (number, &end) in messages.ends.iter().enumerate() {
                    if number % BURST == BURST - 1 {
                        sleep(BREATH).await;
                    }
                    socket.send(&messages.octets[begin..end]).await?;
                    begin = end;
                }
                Ok(())
            }
        }
    }

    async fn write(&mut self, lines: Vec<u8>, now: Timestamp) -> Result<(), SendError> {
        let Self::File(mut files) = std::mem::replace(self, Self::Closed) else { return Err(SendError::Closed) };
        let (files, written) = beside(move || {
            let written = files.write(&lines, now);
            (files, written)
        })
        .await?;
        *self = Self::File(files);
        Ok(written?)
    }

    /// Whether it shows only later what was taken.
    pub(super) fn settles(&self) -> bool {
        matches!(self, Self::Stream(_) | Self::Frames(_))
    }

    /// Whether the receiver's system has everything.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Stream(connection) | Self::Frames(connection) => connection.is_taken(),
            Self::Closed | Self::File(_) | Self::Datagrams(_) | Self::Webhook(..) => true,
        }
    }

    /// Returns when the way has ended.
    pub(super) async fn ended(&mut self) {
        match self {
            Self::Stream(connection) | Self::Frames(connection) => connection.ended().await,
            Self::Closed | Self::File(_) | Self::Datagrams(_) | Self::Webhook(..) => pending().await,
        }
    }

    /// Ends it in order.
    pub(super) async fn close(self) {
        match self {
            Self::Stream(connection) => connection.close().await,
            Self::Frames(mut connection) => {
                talk::end(&mut connection).await;
                connection.close().await;
            }
            Self::Closed | Self::File(_) | Self::Datagrams(_) | Self::Webhook(..) => (),
        }
    }
}
