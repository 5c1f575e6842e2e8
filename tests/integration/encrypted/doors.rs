//! Groups of clients by the door that they come by.

use data_encoding::BASE64URL_NOPAD;
use embargo::wire::rcode;

use super::World;
use super::client::get;
use crate::harness::{Question, Response};
use crate::upstream_fake::A;

/// What is observed behind a door and enforced before it.
fn group(door: &str) -> String {
    format!("[[group]]\nid = \"lab\"\n{door}\n[[ban.kaspersky.for]]\ngroups = [\"lab\"]\nmode = \"observe\"\n")
}

fn banned() -> Vec<u8> {
    Question::new("a.geo.example", A).octets()
}

fn code(answer: Vec<u8>) -> u16 {
    Response::read(answer).rcode()
}

#[tokio::test]
async fn who_calls_the_server_by_a_groups_name_is_met_as_one_of_the_group_on_every_encrypted_transport() {
    let world = World::new(&group("tls_names = [\"DNS.example\"]")).await;
    assert_eq!(code(world.dot().await.ask(&banned()).await.unwrap()), rcode::NOERROR);
    assert_eq!(code(world.http_2().await.post(&banned()).await.unwrap().body), rcode::NOERROR);
    let mut query = banned();
    // RFC 9250 §4.2.1.
    query[..2].fill(0);
    assert_eq!(code(world.doq().await.ask(&query).await.unwrap()), rcode::NOERROR);
    assert_eq!(code(world.server.udp(&banned()).await), rcode::NXDOMAIN);
    let world = World::new(&group("tls_names = [\"other.example\"]")).await;
    assert_eq!(code(world.dot().await.ask(&banned()).await.unwrap()), rcode::NXDOMAIN);
}

#[tokio::test]
async fn a_path_of_a_group_is_served_and_leads_into_it_and_the_path_of_all_does_not() {
    let world = World::new(&group("paths = [\"/lab\"]")).await;
    let client = world.http_2().await;
    let ask = async |path: &str| {
        let answer =
            client.request(get(&format!("{path}?dns={}", BASE64URL_NOPAD.encode(&banned()))), &[]).await.unwrap();
        (answer.status.as_u16(), (answer.status.as_u16() == 200).then(|| code(answer.body)))
    };
    assert_eq!(ask("/lab").await, (200, Some(rcode::NOERROR)));
    assert_eq!(ask("/dns-query").await, (200, Some(rcode::NXDOMAIN)));
    assert_eq!(ask("/other").await.0, 404);
    assert_eq!(world.server.metric("attempts_total", &[("action", "observe")]).await, 1);
}

#[tokio::test]
async fn a_listener_of_a_group_leads_into_it_from_the_reload_on() {
    let world = World::new("").await;
    let both = async || {
        let tcp = world.server.tcp(&banned()).await;
        [code(world.server.udp(&banned()).await), code(tcp), code(world.dot().await.ask(&banned()).await.unwrap())]
    };
    assert_eq!(both().await, [rcode::NXDOMAIN; 3]);
    let door = group(&format!("listeners = [\"{}\"]", world.server.address()));
    world.server.change_settings(&super::settings(&world.files, &door)).await;
    assert_eq!(both().await, [rcode::NOERROR, rcode::NOERROR, rcode::NXDOMAIN]);
    let door = group("listeners = [\"127.0.0.1\"]");
    world.server.change_settings(&super::settings(&world.files, &door)).await;
    assert_eq!(both().await, [rcode::NOERROR; 3]);
}
