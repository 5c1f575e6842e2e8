//! One talk with one primary, over TCP or TLS (RFC 9103): what version it has, what has changed, or all of it. It blocks, so it belongs on a thread of
//! its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::incoming::{Answer, Incoming};
use super::message::question;
use super::outgoing::seconds;
use super::soa::Soa;
use crate::clock::Clock;
use crate::priority::make_way;
use crate::time::Mono;
use crate::tls::{Encrypted, Trust};
use crate::wire::tsig::{Key, Signer, TsigError, Verifier};
use crate::wire::{HEADER, LowerName, Malformed, Name, Section, be16, qtype, rcode, read_record};

/// A primary must be reached, and say something, within this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A zone that comes from elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Transferred {
    /// Its name.
    pub zone: Name,
    /// Who has it, in the order in which they are asked.
    pub primaries: Vec<SocketAddr>,
    /// How the primaries are known, all by one name; `None`: they are asked in clear.
    pub tls: Option<Encryption>,
    /// What both sides sign by; `None`: nothing is signed.
    pub key: Option<Arc<Key>>,
    /// Octets of the file at most.
    pub size_max_bytes: u64,
    /// It must have come within this.
    pub time_max: Duration,
}

/// A talk that nobody else hears.
#[derive(Clone, Debug, PartialEq)]
pub struct Encryption {
    /// The name in the certificate of a primary.
    pub name: Arc<str>,
    /// Whom it must be vouched for by.
    pub trust: Trust,
}

/// A version that is there.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its SOA record.
    pub soa: Soa,
    path: PathBuf,
}

/// What came of a talk.
#[derive(Debug)]
pub enum Came {
    /// What is there is the newest.
    Current(Soa),
    /// The whole zone is written.
    Whole {
        /// The SOA record.
        soa: Soa,
        /// Why what has changed was not taken, if it was asked for.
        instead: Option<Fault>,
    },
    /// What is there is written, with what has changed.
    Changed {
        /// The SOA record.
        soa: Soa,
        /// Records that are new.
        added: usize,
        /// Records that are gone.
        deleted: usize,
    },
}

impl Held {
    /// The version in a file that an earlier talk wrote.
    pub fn read(path: &Path) -> Option<Self> {
        let mut first = String::new();
        let file = File::open(path).ok()?;
        BufReader::new(file.take(1 << 12)).read_line(&mut first).ok()?;
        Some(Self { soa: Soa::parse(first.trim_end())?, path: path.to_owned() })
    }

    /// The lines of its records.
    fn records(&self) -> io::Result<impl BufRead + use<>> {
        let mut records = BufReader::new(File::open(&self.path)?);
        records.skip_until(b'\n')?;
        Ok(records)
    }
}

/// Fetches what is newer than `held` from one primary into a file that `make` makes, which is of no use after an error. `make` is
/// called again where the changes do not fit and the whole zone is asked for.
///
/// # Errors
/// [`Fault`].
pub fn fetch<W: Write>(
    wanted: &Transferred,
    primary: SocketAddr,
    held: Option<&Held>,
    clock: &Clock,
    mut make: impl FnMut() -> io::Result<W>,
) -> Result<(Came, Option<W>), Fault> {
    let talk = Talk { wanted, primary, clock, end: clock.now().mono.plus(wanted.time_max) };
    let soa = talk.connect()?.soa()?;
    let Some(held) = held else { return talk.whole(None, &mut make) };
    if soa.serial == held.soa.serial {
        return Ok((Came::Current(soa), None));
    }
    if !soa.is_after(held.soa.serial) {
        return Err(Fault::Older { soa: Box::new(soa), held: held.soa.serial });
    }
    match talk.changes(held, &mut make) {
        Err(fault) if fault.is_of_changes() => {
            tracing::info!(zone = %talk.zone(), %primary, %fault, "The changes of a zone can't be taken; the whole zone is asked for.");
            talk.whole(Some(fault), &mut make)
        }
        other => other,
    }
}

/// What is to be had of whom, and until when.
struct Talk<'t> {
    wanted: &'t Transferred,
    primary: SocketAddr,
    clock: &'t Clock,
    end: Mono,
}

impl Talk<'_> {
    fn zone(&self) -> LowerName {
        LowerName::from(&self.wanted.zone)
    }

    fn connect(&self) -> Result<Line<'_>, Fault> {
        let stream = TcpStream::connect_timeout(&self.primary, PATIENCE)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let way = match &self.wanted.tls {
            None => Channel::Clear(stream),
            Some(Encryption { name, trust }) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                let client = trust.client(true, &[]).map_err(io::Error::other)?;
                Channel::Encrypted(client.block(name, stream)?.into())
            }
        };
        Ok(Line { talk: self, stream: BufReader::new(way) })
    }

    fn whole<W: Write>(
        &self,
        instead: Option<Fault>,
        make: &mut impl FnMut() -> io::Result<W>,
    ) -> Result<(Came, Option<W>), Fault> {
        let mut file = BufWriter::new(Limited { out: make()?, left: self.wanted.size_max_bytes });
        match self.connect()?.transfer(None, &mut file)? {
            Answer::Whole(soa) => Ok((Came::Whole { soa, instead }, Some(finished(file)?))),
            Answer::Current(_) | Answer::Changes(..) => Err(Fault::Foreign("changes in place of the zone")),
        }
    }

    fn changes<W: Write>(
        &self,
        held: &Held,
        make: &mut impl FnMut() -> io::Result<W>,
    ) -> Result<(Came, Option<W>), Fault> {
        let mut file = BufWriter::new(Limited { out: make()?, left: self.wanted.size_max_bytes });
        match self.connect()?.transfer(Some(held), &mut file)? {
            Answer::Current(soa) => Ok((Came::Current(soa), None)),
            Answer::Whole(soa) => Ok((Came::Whole { soa, instead: None }, Some(finished(file)?))),
            Answer::Changes(soa, changes) => {
                let (added, deleted) = changes.counts();
                writeln!(file, "{soa}")?;
                changes.apply(held.records()?, &mut file)?;
                Ok((Came::Changed { soa, added, deleted }, Some(finished(file)?)))
            }
        }
    }
}

/// A connection to a primary.
struct Line<'t> {
    talk: &'t Talk<'t>,
    stream: BufReader<Channel>,
}

/// What it is made of.
enum Channel {
    Clear(TcpStream),
    Encrypted(Box<Encrypted>),
}

impl Channel {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Clear(stream) => stream,
            Self::Encrypted(stream) => stream.tcp(),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(into),
            Self::Encrypted(stream) => stream.read(into),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.write(octets),
            Self::Encrypted(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.flush(),
            Self::Encrypted(stream) => stream.flush(),
        }
    }
}

impl<'t> Line<'t> {
    /// The SOA record that the primary has.
    fn soa(&mut self) -> Result<Soa, Fault> {
        let zone = self.talk.zone();
        let (id, mut verifier) = self.ask(qtype::SOA, None)?;
        let message = self.next(0)?;
        self.verify(verifier.as_mut(), &message)?;
        if message.len() < HEADER || message[..2] != id.to_be_bytes() || message[2] & 0xFA != 0x80 {
            return Err(Fault::Foreign("not the response to what was asked"));
        }
        if u16::from(message[3] & 0x0F) != rcode::NOERROR {
            return Err(Fault::Rcode(u16::from(message[3] & 0x0F)));
        }
        let mut at = HEADER;
        for _ in 0..be16(&message, 4)? {
            at = LowerName::pass_compressed(&message, at)? + 4;
        }
        for _ in 0..be16(&message, 6)? {
            let record = read_record(&message, at, Section::Answer)?;
            at = record.rdata.end;
            let (owner, _end) = LowerName::read_compressed(&message, record.start)?;
            if record.rtype == qtype::SOA && owner == zone {
                return Ok(Soa::read(&message, &record)?);
            }
        }
        Err(Fault::Foreign("no SOA record: the primary does not have the zone"))
    }

    /// Asks for the zone, or for what has changed since a version, and takes the answer.
    fn transfer(&mut self, held: Option<&Held>, whole: &mut impl Write) -> Result<Answer, Fault> {
        let zone = self.talk.zone();
        let qtype = if held.is_some() { qtype::IXFR } else { qtype::AXFR };
        let (id, mut verifier) = self.ask(qtype, held)?;
        let mut incoming = Incoming::new(&zone, id, held.map(|held| held.soa.serial));
        loop {
            let message = self.next(incoming.records())?;
            let size = self.verify(verifier.as_mut(), &message)?;
            let done = incoming.take(message.get(..size).unwrap_or(&message), whole).map_err(too_large)?;
            if done {
                // What stands behind the last signature could be anybody's.
                if verifier.is_some_and(|verifier| !verifier.is_settled()) {
                    return Err(Fault::Signature(TsigError::Unsigned));
                }
                return incoming.finish();
            }
            make_way();
        }
    }

    fn ask(&mut self, qtype: u16, held: Option<&Held>) -> Result<(u16, Option<Verifier<'t>>), Fault> {
        let id: u16 = rand::random();
        let mut message = question(id, 0, self.talk.wanted.zone.wire(), qtype);
        if let Some(held) = held {
            message[9] = 1;
            // Only its serial is looked at (RFC 1995 §3).
            message.extend_from_slice(b"\xC0\x0C\0\x06\0\x01\0\0\0\0\0\x16\0\0");
            message.extend_from_slice(&held.soa.serial.to_be_bytes());
            message.extend_from_slice(&[0; 16]);
        }
        let verifier = self.talk.wanted.key.as_ref().map(|key| {
            let mut signer = Signer::of_query(key);
            signer.sign(&mut message, seconds(self.talk.clock));
            Verifier::of_response(key, &signer.mac())
        });
        let mut framed = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
        framed.append(&mut message);
        self.stream.get_mut().write_all(&framed)?;
        self.stream.get_mut().flush()?;
        Ok((id, verifier))
    }

    fn verify(&self, verifier: Option<&mut Verifier<'_>>, message: &[u8]) -> Result<usize, Fault> {
        if message.len() < HEADER {
            return Err(Fault::Malformed(Malformed::Short));
        }
        let Some(verifier) = verifier else { return Ok(message.len()) };
        match verifier.check(message, seconds(self.talk.clock)) {
            Ok(size) => Ok(size),
            // Who does not have the zone may not have the key either, and says so without it.
            Err(TsigError::Unsigned) if message[3] & 0x0F != 0 => Err(Fault::Rcode(u16::from(message[3] & 0x0F))),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message.
    fn next(&mut self, records: u64) -> Result<Vec<u8>, Fault> {
        let mut size = [0; 2];
        self.read(&mut size, records)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(size))];
        self.read(&mut message, records)?;
        Ok(message)
    }

    fn read(&mut self, into: &mut [u8], records: u64) -> Result<(), Fault> {
        let left = self.talk.end.since(self.talk.clock.now().mono);
        if left.is_zero() {
            return Err(Fault::Slow { records });
        }
        self.stream.get_ref().tcp().set_read_timeout(Some(left.min(PATIENCE)))?;
        self.stream.read_exact(into).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Fault::Cut { records },
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Fault::Slow { records },
            _ => Fault::Io(error),
        })
    }
}

/// A file that may not grow without end.
struct Limited<W> {
    out: W,
    left: u64,
}

impl<W: Write> Write for Limited<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let size = octets.len() as u64;
        if size > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.out.write(octets)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn finished<W: Write>(file: BufWriter<Limited<W>>) -> Result<W, Fault> {
    file.into_inner().map(|limited| limited.out).map_err(|error| too_large(error.into_error().into()))
}

/// Tells a full file from a full disk.
fn too_large(fault: Fault) -> Fault {
    match fault {
        Fault::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Fault::TooLarge,
        other => other,
    }
}
