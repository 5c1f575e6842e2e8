//! The ban and the record in front of another server's handler, served by hickory-server itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use embargo::journal::{Filter, Store};
use embargo::serve::{Embargo, Wrapped};
use embargo::wire::{qtype, rcode};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::proto::op::Metadata;
use hickory_server::proto::rr::rdata::{A, CNAME};
use hickory_server::proto::rr::{Name, RData, Record};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use crate::harness::{Guarded, Question, Response, read_frame, write_frame};

/// Answers every name with authority; names that begin with `alias` lead to a banned one.
struct Host;

#[async_trait]
impl RequestHandler for Host {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut responder: R) -> ResponseInfo {
        let info = request.request_info().unwrap();
        let name = Name::from(info.query.name().clone());
        let mut records = vec![Record::from_rdata(name.clone(), 60, RData::A(A::new(192, 0, 2, 1)))];
        if name.to_ascii().starts_with("alias") {
            let target = Name::from_ascii("a.geo.example.").unwrap();
            records = vec![Record::from_rdata(name, 60, RData::CNAME(CNAME(target)))];
        }
        let mut metadata = Metadata::response_from_request(info.metadata);
        metadata.authoritative = true;
        let response =
            MessageResponseBuilder::from_message_request(request).build(metadata, records.iter(), [], [], []);
        responder.send_response(response).await.unwrap()
    }
}

#[tokio::test]
async fn a_server_of_hickory_enforces_and_records_through_the_same_handler() {
    let guarded = Guarded::new();
    let mut hickory = Server::new(Embargo::new(Arc::clone(&guarded.guard), Wrapped::new(Host)));
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (udp_address, tcp_address) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    hickory.register_socket(udp);
    hickory.register_listener(tcp, Duration::from_secs(5), 16);

    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(udp_address).await.unwrap();
    let ask = async |name: &str| {
        client.send(&Question::new(name, qtype::A).edns(1232).octets()).await.unwrap();
        let mut buffer = vec![0; 2048];
        let size = client.recv(&mut buffer).await.unwrap();
        Response::read(buffer[..size].to_vec())
    };
    let banned = ask("a.geo.example").await;
    assert_eq!((banned.rcode(), banned.soa().is_some()), (rcode::NXDOMAIN, true));
    assert_eq!(banned.ede().map(|ede| ede.0), Some(15));
    let free = ask("other.example").await;
    assert_eq!((free.rcode(), free.answers().len(), free.flags() & 0x0400), (rcode::NOERROR, 1, 0x0400), "AA stays");
    let led = ask("alias.example").await;
    assert_eq!((led.rcode(), led.answers().len()), (rcode::NXDOMAIN, 1));
    let mut stream = TcpStream::connect(tcp_address).await.unwrap();
    write_frame(&mut stream, &Question::new("geo.example", qtype::TXT).octets()).await;
    assert_eq!(Response::read(read_frame(&mut stream).await.unwrap()).rcode(), rcode::NXDOMAIN);

    // A name server is asked without RD; whether it answers is its own affair.
    client.send(&Question::new("other.example", qtype::A).no_recursion().octets()).await.unwrap();
    let mut buffer = vec![0; 512];
    let size = client.recv(&mut buffer).await.unwrap();
    let plain = Response::read(buffer[..size].to_vec());
    assert_eq!((plain.rcode(), plain.answers().len()), (rcode::NOERROR, 1));

    let writer = Arc::clone(&guarded.journal);
    tokio::task::spawn_blocking(move || writer.close(Duration::from_secs(10))).await.unwrap().unwrap();
    let rows = Store::open_read_only(&guarded.state_dir()).unwrap().attempts(&Filter::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 3);
    let page = guarded.metrics.render();
    let counted = |name| crate::harness::sum(&page, name, &[]);
    assert_eq!((counted("dns_requests_total"), counted("dns_responses_total")), (5, 5));
}
