//! Signatures as they are owed, and every way to owe them.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;

fn key(algorithm: Algorithm) -> Key {
    Key::new(Name::parse("Transfer.Example").unwrap(), algorithm, b"sixteen octets!!")
}

fn message(id: u16) -> Vec<u8> {
    let mut message = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\x03rpz\x07example\0\0\xfc\0\x01".to_vec();
    message[..2].copy_from_slice(&id.to_be_bytes());
    message
}

fn signed_query(key: &Key) -> (Vec<u8>, Mac) {
    let (mut query, mut signer) = (message(7), Signer::of_query(key));
    signer.sign(&mut query, NOW);
    (query, signer.mac())
}

#[test]
fn a_query_counts_with_its_own_key_at_its_own_time_and_only_so() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let (query, mac) = signed_query(&key);
        assert_eq!(check_query(&query, &key, NOW + 300), Ok(mac));
        assert_eq!(check_query(&query, &key, NOW + 301), Err(TsigError::Time));
        assert_eq!(check_query(&query, &key, NOW - 301), Err(TsigError::Time));
        assert_eq!(check_query(&message(7), &key, NOW), Err(TsigError::Unsigned));
        let other = Key::new(key.name.clone(), algorithm, b"another secret!!");
        assert_eq!(check_query(&query, &other, NOW), Err(TsigError::Signature));
        let renamed = Key::new(Name::parse("other.example").unwrap(), algorithm, b"sixteen octets!!");
        assert_eq!(check_query(&query, &renamed, NOW), Err(TsigError::Key));
    }
}

#[test]
fn a_forwarder_may_change_the_id_and_nothing_else() {
    let key = key(Algorithm::Sha256);
    let (mut query, _mac) = signed_query(&key);
    query[0] ^= 1;
    assert!(check_query(&query, &key, NOW).is_ok());
    for at in 2..message(7).len() {
        let mut changed = query.clone();
        changed[at] ^= 4;
        assert!(check_query(&changed, &key, NOW).is_err(), "{at}");
    }
}

#[test]
fn a_cut_signature_and_one_that_is_not_last_do_not_count() {
    let key = key(Algorithm::Sha256);
    let mut query = message(7);
    append(&mut query, key.name.wire(), key.algorithm.wire(), (NOW, FUDGE), &[0; 16], (0, &[]));
    assert_eq!(check_query(&query, &key, NOW), Err(TsigError::Short));
    let (mut query, _mac) = signed_query(&key);
    query.extend_from_slice(b"\0\0\x29\x04\xD0\0\0\0\0\0\0");
    query[11] += 1;
    assert_eq!(check_query(&query, &key, NOW), Err(TsigError::Malformed));
}

/// Signs of `count` messages of a response those that `signed` says, and checks them all.
fn check_stream(count: u32, signed: impl Fn(u32) -> bool, spoil: Option<u32>) -> Result<bool, TsigError> {
    let key = key(Algorithm::Sha256);
    let (_query, mac) = signed_query(&key);
    let mut verifier = Verifier::of_response(&key, &mac);
    let (mut prior, mut later, mut pending) = (mac.0, false, Vec::new());
    for number in 0..count {
        let mut response = message(7);
        response[12 + 2] = u8::try_from(number % 250).unwrap();
        let unsigned = response.clone();
        if signed(number) {
            let mut context = key.context(Some(&prior));
            context.update(&pending);
            context.update(&response);
            digest_variables(&mut context, &key, NOW, FUDGE, (0, &[]), later);
            prior = context.sign().as_ref().to_vec();
            append(&mut response, key.name.wire(), key.algorithm.wire(), (NOW, FUDGE), &prior, (0, &[]));
            (later, pending) = (true, Vec::new());
        } else {
            pending.extend_from_slice(&unsigned);
        }
        if spoil == Some(number) {
            response[12 + 3] ^= 1;
        }
        assert_eq!(verifier.check(&response, NOW)?, unsigned.len());
    }
    Ok(verifier.is_settled())
}

#[test]
fn messages_between_signatures_count_once_one_that_is_signed_follows() {
    assert_eq!(check_stream(1, |_| true, None), Ok(true));
    assert_eq!(check_stream(250, |_| true, None), Ok(true));
    assert_eq!(check_stream(201, |number| number % 100 == 0, None), Ok(true));
    assert_eq!(check_stream(150, |number| number % 100 == 0, None), Ok(false), "the last is not signed");
    assert_eq!(check_stream(102, |number| number % 101 == 0, None), Err(TsigError::Unsigned), "too many are not");
    assert_eq!(check_stream(3, |number| number != 0, None), Err(TsigError::Unsigned), "the first is not");
    assert_eq!(check_stream(11, |number| number % 10 == 0, Some(5)), Err(TsigError::Signature));
    assert_eq!(check_stream(11, |number| number % 10 == 0, Some(10)), Err(TsigError::Signature));
}

#[test]
fn a_signer_signs_what_a_verifier_takes() {
    let key = key(Algorithm::Sha512);
    let (_query, mac) = signed_query(&key);
    let mut signer = Signer::of_response(&key, mac.clone());
    let mut verifier = Verifier::of_response(&key, &mac);
    for _ in 0..3 {
        let mut response = message(7);
        signer.sign(&mut response, NOW);
        assert_eq!(verifier.check(&response, NOW), Ok(message(7).len()));
    }
    assert!(verifier.is_settled());
}

#[test]
fn a_refusal_says_why_and_a_wrong_clock_is_told_ours() {
    let key = key(Algorithm::Sha256);
    let (query, mac) = signed_query(&key);
    for (why, expected) in
        [(TsigError::Key, 17), (TsigError::Signature, 16), (TsigError::Short, 22), (TsigError::Time, 18)]
    {
        let mut response = message(7);
        refuse(&mut response, &query, &key, why, NOW + 1000);
        let told = Verifier::of_response(&key, &mac).check(&response, NOW);
        assert_eq!(told, Err(TsigError::Refused(expected)), "{why}");
    }
}

proptest! {
    #[test]
    fn rubbish_never_panics_and_never_counts(octets in proptest::collection::vec(any::<u8>(), 0..120), at in 0..200_usize, value: u8) {
        let key = key(Algorithm::Sha256);
        prop_assert!(check_query(&octets, &key, NOW).is_err());
        let (mut query, mac) = signed_query(&key);
        let at = at % query.len();
        let same = query[at] == value || at < 2;
        query[at] = value;
        prop_assert!(check_query(&query, &key, NOW).is_err() || same || is_case(&query, at));
        let _any = Verifier::of_response(&key, &mac).check(&octets, NOW);
        refuse(&mut message(1), &octets, &key, TsigError::Time, NOW);
    }
}

/// Names of keys and algorithms are the same in capitals.
fn is_case(query: &[u8], at: usize) -> bool {
    at > message(7).len() && query[at].is_ascii_alphabetic()
}
