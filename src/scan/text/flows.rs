//! Connections as routers and watchers log them, which DNS never sees: the kernel's lines of nftables and iptables, and `conn.log` of
//! Zeek.
//!
//! ```text
//! Nov 28 10:00:00 gw kernel: embargo-fallback IN=lan OUT=wan MAC=… SRC=192.0.2.7 DST=8.8.8.8 LEN=60 … PROTO=UDP SPT=5353 DPT=53 LEN=40
//! ```
//! A connection is told as a query for the name of the address that it goes to, with where it goes: only of those to the fallback
//! resolvers of a ban something is recorded.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use super::super::entry::{Entry, Fault, Told};
use super::super::times::Times;
use super::{Columns, Context, address, words};
use crate::local::reverse;
use crate::wire::{LowerName, Transport, qtype};

const WANTED: [&str; 6] = ["ts", "id.orig_h", "id.resp_h", "id.resp_p", "proto", "query"];
const TS: usize = 0;
const CLIENT: usize = 1;
const SERVER: usize = 2;
const PORT: usize = 3;
const PROTO: usize = 4;
const QUERY: usize = 5;

/// The columns that a line of `conn.log` names, if it does: those of `dns.log` are another log.
pub(in crate::scan) fn columns(line: &[u8]) -> Option<Arc<Columns>> {
    let names = line.strip_prefix(super::zeek_head())?.split(|&octet| octet == b'\t');
    let columns = Columns::new(names, &WANTED);
    (columns.has(SERVER) && columns.has(PORT) && !columns.has(QUERY)).then(|| Arc::new(columns))
}

/// A line of `conn.log`, in columns or as JSON.
pub(super) fn zeek(line: &[u8], context: &Context) -> Told {
    match line.first() {
        Some(b'#') => return Ok(None),
        Some(b'{') => return json(line, &context.times),
        _ => (),
    }
    let columns = context.columns.as_ref().ok_or(Fault::Form("no line that begins with #fields is above it"))?;
    let fields = columns.fields(line, b'\t')?;
    let at = context.times.epoch(fields.get(TS)).or_else(|fault| match context.times.iso(fields.get(TS)) {
        Ok((at, _rest)) => Ok(at),
        Err(_neither) => Err(fault),
    })?;
    let server = SocketAddr::new(address(fields.get(SERVER))?, port(fields.get(PORT))?);
    transport(fields.get(PROTO)).map(|over| flow(at, over, server).by(address(fields.get(CLIENT)))).transpose()
}

fn json(line: &[u8], times: &Times) -> Told {
    let object: Value = serde_json::from_slice(line).map_err(|_error| Fault::Form("no JSON object"))?;
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    // `dns.log` and others of Zeek have these fields, too; only this one says how a connection ended.
    let (Some(number), true) = (object.get("id.resp_p").and_then(Value::as_u64), object.get("conn_state").is_some())
    else {
        return Ok(None);
    };
    let at = match object.get("ts") {
        Some(Value::Number(number)) => times.epoch(number.to_string().as_bytes())?,
        Some(Value::String(text)) => times.iso(text.as_bytes())?.0,
        _ => return Err(Fault::Missing("time")),
    };
    let number = u16::try_from(number).map_err(|_beyond| Fault::Unread("the port"))?;
    let server = SocketAddr::new(address(text("id.resp_h").as_bytes())?, number);
    let client = address(text("id.orig_h").as_bytes());
    transport(text("proto").as_bytes()).map(|over| flow(at, over, server).by(client)).transpose()
}

/// A line of the kernel about a packet.
pub(super) fn kernel(line: &[u8], times: &Times) -> Told {
    let value = |key: &[u8]| words(line).find_map(|word| word.strip_prefix(key)?.strip_prefix(b"="));
    let (Some(client), Some(server), Some(proto)) = (value(b"SRC"), value(b"DST"), value(b"PROTO")) else {
        return Ok(None);
    };
    // What has no ports is no connection to a resolver.
    let (Some(over), Some(number)) = (transport(proto), value(b"DPT")) else { return Ok(None) };
    let server = SocketAddr::new(address(server)?, port(number)?);
    let (at, _rest) = times.leading(line)?;
    flow(at, over, server).by(address(client)).map(Some)
}

/// A connection, still without who made it.
struct Flow {
    at: crate::time::Timestamp,
    over: Transport,
    server: SocketAddr,
}

fn flow(at: crate::time::Timestamp, over: Transport, server: SocketAddr) -> Flow {
    Flow { at, over, server }
}

impl Flow {
    fn by(self, client: Result<IpAddr, Fault>) -> Result<Entry, Fault> {
        let Self { at, over, server } = self;
        let server = SocketAddr::new(server.ip().to_canonical(), server.port());
        let entry = Entry::new(at, client?, LowerName::from(&reverse(server.ip())), qtype::PTR);
        Ok(Entry { to: Some(server), transport: Some(over), ..entry })
    }
}

fn port(text: &[u8]) -> Result<u16, Fault> {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Unread("the port"))
}

/// What carries it, if that can be DNS.
fn transport(word: &[u8]) -> Option<Transport> {
    match word {
        b"UDP" | b"udp" => Some(Transport::Udp),
        b"TCP" | b"tcp" => Some(Transport::Tcp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::{Read, check, fault};
    use crate::scan::Format;

    const KERNEL: &str = "IN=lan OUT=wan MAC=aa:bb SRC=192.0.2.7 DST=8.8.8.8 LEN=60 TOS=0x00 TTL=63 ID=1";
    const CONN: &str = "#separator \\x09\n#path\tconn\n\
                        #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tconn_state\n";

    fn read(name: &'static str, transport: &'static str) -> Read<'static> {
        Read { at: "2026-11-28T10:00:00.000Z", client: "192.0.2.7", name, qtype: "PTR", transport, verified: false }
    }

    #[test]
    fn lines_of_the_kernel_tell_who_went_where() {
        for head in [
            "Nov 28 10:00:00 gw kernel: [1234.567890] embargo-fallback ",
            "2026-11-28T10:00:00+00:00 gw kernel: embargo-fallback ",
        ] {
            let line = format!("{head}{KERNEL} PROTO=UDP SPT=5353 DPT=53 LEN=40");
            check(Format::Nftables, &line, Some(read("8.8.8.8.in-addr.arpa", "udp")));
        }
        let icmp = format!("Nov 28 10:00:00 gw kernel: x {KERNEL} PROTO=ICMP TYPE=8 CODE=0");
        check(Format::Nftables, &icmp, None);
        check(Format::Nftables, "Nov 28 10:00:00 gw kernel: eth0: link up", None);
        fault(Format::Nftables, "Nov 28 10:00:00 gw kernel: x SRC=192.0.2.7 DST=gone PROTO=TCP SPT=1 DPT=53");
        fault(Format::Nftables, "no time SRC=192.0.2.7 DST=8.8.8.8 PROTO=TCP SPT=1 DPT=53");
    }

    #[test]
    fn connections_of_zeek_are_read_in_columns_and_as_json() {
        let row = "1795860000.000000\tC1\t192.0.2.7\t5353\t2001:4860:4860::8888\t853\ttcp\t-\tSF";
        let name = "8.8.8.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa";
        check(Format::ZeekConn, &format!("{CONN}{row}"), Some(read(name, "tcp")));
        check(Format::ZeekConn, &format!("{CONN}{}", row.replace("tcp", "icmp")), None);
        fault(Format::ZeekConn, &format!("{CONN}{}", row.replace("853", "x")));
        let json = r#"{"ts":1795860000.0,"id.orig_h":"192.0.2.7","id.orig_p":1,"id.resp_h":"8.8.8.8","id.resp_p":53,"proto":"udp","conn_state":"SF"}"#;
        check(Format::ZeekConn, json, Some(read("8.8.8.8.in-addr.arpa", "udp")));
        // Lookups are another log.
        check(Format::ZeekConn, &json.replace("conn_state", "query"), None);
    }
}
