//! Attempts as dnstap to a socket of this host, whose receiver is away, will have something else, or breaks off.

use std::path::Path;
use std::time::Duration;

use embargo::dnstap::{CONTENT_TYPE, Control, Dnstap, Frame, PolicyAction, read_frame, write_control};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::{PATIENCE, all_taken, server, try_names, until};

fn settings(socket: &Path) -> String {
    format!("[[sink]]\nid = \"tap\"\nkind = \"dnstap\"\nsocket = \"{}\"\n", socket.display())
}

/// What a receiver hears: words, and of messages what was done and how often.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Word(Control),
    Message(Option<PolicyAction>, u64),
}

/// One conversation, from the receiver's side.
struct Conversation {
    stream: UnixStream,
    octets: Vec<u8>,
}

impl Conversation {
    async fn accepted(listener: &UnixListener) -> Self {
        let (stream, _address) = tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
        Self { stream, octets: Vec::new() }
    }

    async fn say(&mut self, control: Control) {
        let mut octets = Vec::new();
        write_control(control, &mut octets);
        self.stream.write_all(&octets).await.unwrap();
    }

    async fn hear(&mut self) -> Option<Heard> {
        loop {
            if let Some((frame, length)) = read_frame(&self.octets).unwrap() {
                let heard = match frame {
                    Frame::Control(control, types) => {
                        assert!(types.iter().all(|content| *content == CONTENT_TYPE), "{types:?}");
                        Heard::Word(control)
                    }
                    Frame::Data(data) => message(data),
                };
                self.octets.drain(..length);
                return Some(heard);
            }
            if tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.octets)).await.unwrap().unwrap() == 0 {
                return None;
            }
        }
    }

    async fn begin(&mut self) {
        assert_eq!(self.hear().await, Some(Heard::Word(Control::Ready)));
        self.say(Control::Accept).await;
        assert_eq!(self.hear().await, Some(Heard::Word(Control::Start)));
    }
}

fn message(data: &[u8]) -> Heard {
    let dnstap = Dnstap::read(data).unwrap();
    let extra: serde_json::Value = serde_json::from_slice(dnstap.extra.unwrap()).unwrap();
    Heard::Message(dnstap.message.policy.unwrap().action, extra["count"].as_u64().unwrap())
}

#[tokio::test]
async fn a_receiver_at_a_socket_is_told_every_attempt_and_that_there_is_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = server(&settings(&socket)).await;
    let attempts = try_names(&server, 0..3).await;
    let mut conversation = Conversation::accepted(&listener).await;
    conversation.begin().await;
    let mut heard = 0;
    while heard < attempts {
        let Some(Heard::Message(action, count)) = conversation.hear().await else { panic!("no message") };
        assert_eq!(action, Some(PolicyAction::Nxdomain));
        heard += count;
    }
    all_taken(&server, attempts).await;
    let (stopped, ()) = tokio::join!(server.stop(), async {
        assert_eq!(conversation.hear().await, Some(Heard::Word(Control::Stop)));
        conversation.say(Control::Finish).await;
        assert_eq!(conversation.hear().await, None);
    });
    drop(stopped);
}

#[tokio::test]
async fn a_receiver_that_will_have_something_else_gets_nothing_until_it_takes_dnstap() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("tap.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = server(&settings(&socket)).await;
    let attempts = try_names(&server, 0..2).await;
    let mut first = Conversation::accepted(&listener).await;
    assert_eq!(first.hear().await, Some(Heard::Word(Control::Ready)));
    // It does not begin by taking, and it does not take this.
    first.stream.write_all(b"\0\0\0\0\0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x04pcap").await.unwrap();
    assert_eq!(first.hear().await, None);
    until("it is told", async || server.metric("sink_failures_total", &[]).await > 0).await;
    assert_eq!(server.metric("sink_up", &[]).await, 0);

    let mut second = Conversation::accepted(&listener).await;
    second.begin().await;
    let Some(Heard::Message(..)) = second.hear().await else { panic!("no message") };
    // What it did not read comes again over the next connection.
    drop(second);
    let mut third = Conversation::accepted(&listener).await;
    third.begin().await;
    let mut heard = 0;
    while heard < attempts {
        let Some(Heard::Message(_action, count)) = third.hear().await else { panic!("no message") };
        heard += count;
    }
    all_taken(&server, attempts).await;
    assert_eq!(heard, attempts);
    // It has time to say that it has everything, and no more than that.
    tokio::time::timeout(Duration::from_secs(20), server.stop()).await.unwrap();
}
