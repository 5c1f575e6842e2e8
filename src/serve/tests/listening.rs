//! What a listening server does under its own faults and when nobody has time, and what it counts meanwhile.

use super::*;

async fn over_tcp(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(message).await.unwrap();
}

async fn from_tcp(stream: &mut TcpStream) -> Vec<u8> {
    let mut message = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut message).await.unwrap();
    message
}

#[tokio::test]
async fn a_query_that_makes_the_server_panic_costs_itself_only_and_is_counted_once() {
    let world = World::new();
    let (running, udp, tcp) = world.listen(8);
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(udp).await.unwrap();
    let mut stream = TcpStream::connect(tcp).await.unwrap();

    client.send(&Ask::of("panic.example")).await.unwrap();
    client.send(&Ask::of("geo.example")).await.unwrap();
    let mut datagram = [0; 1232];
    tokio::time::timeout(PATIENCE, client.recv(&mut datagram)).await.unwrap().unwrap();
    over_tcp(&mut stream, &Ask::of("panic.example")).await;
    over_tcp(&mut stream, &Ask::of("geo.example")).await;
    let framed = tokio::time::timeout(PATIENCE, from_tcp(&mut stream)).await.unwrap();

    assert_eq!([datagram[3] & 15, framed[3] & 15].map(u16::from), [rcode::NXDOMAIN; 2]);
    running.drain(PATIENCE).await;
    assert_eq!(world.sum("embargo_dns_dropped_total", "fault"), 2);
    assert_eq!((world.sum("embargo_dns_requests_total", ""), world.sum("embargo_dns_responses_total", "")), (4, 2));
    assert_eq!(world.sum("embargo_dns_connections", ""), 0);
}

#[tokio::test]
async fn an_observed_lookup_is_recorded_also_when_nobody_has_time_to_answer_it() {
    let world = World::new();
    let (running, udp, tcp) = world.listen(0);
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(udp).await.unwrap();
    let mut stream = TcpStream::connect(tcp).await.unwrap();

    let mut datagram = [0; 1232];
    client.send(&Ask::of("deep.seen.example")).await.unwrap();
    tokio::time::timeout(PATIENCE, client.recv(&mut datagram)).await.unwrap().unwrap();
    over_tcp(&mut stream, &Ask::of("deep.seen.example")).await;
    let framed = tokio::time::timeout(PATIENCE, from_tcp(&mut stream)).await.unwrap();

    assert_eq!([datagram[3] & 15, framed[3] & 15].map(u16::from), [rcode::SERVFAIL; 2]);
    running.drain(PATIENCE).await;
    assert_eq!(world.sum("embargo_dns_shed_total", "room"), 2);
    assert_eq!(world.sum("embargo_dns_dropped_total", ""), 0);
    assert_eq!(world.sum("embargo_attempts_total", "observe"), 2);
}

#[tokio::test]
async fn a_stale_answer_is_given_when_nobody_has_time_to_ask() {
    let world = World::new();
    world.hands.advance(Duration::from_secs(3601));
    let (running, udp, tcp) = world.listen(0);
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(udp).await.unwrap();
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    let mut datagram = [0; 1232];

    client.send(&Ask::of("free.example")).await.unwrap();
    let size = tokio::time::timeout(PATIENCE, client.recv(&mut datagram)).await.unwrap().unwrap();
    over_tcp(&mut stream, &Ask::of("free.example")).await;
    let framed = tokio::time::timeout(PATIENCE, from_tcp(&mut stream)).await.unwrap();

    let ttl = |message: &[u8]| Layout::read(message).unwrap().records[0].ttl;
    assert_eq!((ttl(&datagram[..size]), ttl(&framed)), (30, 30));
    running.drain(PATIENCE).await;
    assert_eq!(world.sum("embargo_dns_responses_total", "stale"), 2);
    let asked = ["requests", "hits"].map(|name| world.sum(&format!("embargo_cache_{name}_total"), ""));
    assert_eq!(asked, [2, 2]);
}

#[tokio::test]
async fn what_a_udp_thread_counts_is_on_the_page_while_it_runs_and_when_it_has_ended() {
    let world = World::new();
    let (running, udp, _tcp) = world.listen(8);
    let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(udp).await.unwrap();
    for name in ["geo.example", "free.example", "alias.example", "geo.example"] {
        client.send(&Ask::of(name)).await.unwrap();
        tokio::time::timeout(PATIENCE, client.recv(&mut [0; 1232])).await.unwrap().unwrap();
    }
    let counted = |world: &World| {
        ["attempts", "journal_events", "cache_requests", "cache_hits"]
            .map(|name| world.sum(&format!("embargo_{name}_total"), ""))
    };

    let before = counted(&world);
    running.drain(PATIENCE).await;

    assert_eq!((before, counted(&world)), ([3, 3, 2, 2], [3, 3, 2, 2]));
    assert_eq!(world.sum("embargo_dns_responses_total", "policy"), 3);
    assert_eq!(world.sum("embargo_dns_request_duration_seconds_count", ""), 4);
}
