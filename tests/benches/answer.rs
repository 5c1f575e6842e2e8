//! What a cached answer costs: the look-up, and the response as one client gets it.

#![expect(clippy::unwrap_used, reason = "a bench that can't be set up ends there")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use embargo::cache::{Cache, Config, KeyRef, Lookup};
use embargo::time::Mono;
use embargo::wire::{Answer, Fit, Layout, Name, Query, Response, qtype};

fn question(number: usize) -> Vec<u8> {
    let mut message = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01".to_vec();
    message.extend_from_slice(Name::parse(&format!("host{number}.department.example")).unwrap().wire());
    message.extend_from_slice(b"\0\x01\0\x01\0\0\x29\x04\xD0\0\0\0\0\0\0");
    message
}

fn cached(criterion: &mut Criterion) {
    let config = Config::new(64 << 20);
    let cache = Cache::new(config);
    for number in 0..10_000 {
        let message = question(number);
        let query = Query::read(&message).unwrap();
        let response = Response::to(&query).answer(qtype::A, 300, &[192, 0, 2, 1]).finish(1232);
        let answer = Answer::keep(&response, &Layout::read(&response).unwrap()).unwrap();
        cache.insert(KeyRef::of(&query).to_key(), answer, true, Mono(0));
    }
    let message = question(4_321);
    let fit = Fit { limit: 1232, age: 7, ttl_min: 0, ttl_max: 300, authentic: true, ede: None };
    let mut room = Vec::with_capacity(1232);
    criterion.bench_function("cached answer, read to response", |bencher| {
        bencher.iter(|| {
            let query = Query::read(black_box(&message)).unwrap();
            let Lookup::Fresh(entry) = cache.get(&KeyRef::of(&query), Mono(7_000_000)) else { return };
            room = entry.answer.render(&query, &fit, std::mem::take(&mut room));
        });
    });
}

criterion_group!(benches, cached);
criterion_main!(benches);
