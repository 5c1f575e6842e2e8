//! A wall clock that jumps deletes nothing.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// How far the wall clock jumps, in seconds.
const JUMP: i64 = 20_000 * 86_400;
/// More looks than lie between two at the limits of the store.
const LOOKS: u64 = 12;

impl Fixture {
    /// Moves the wall clock alone.
    fn jump(&self, seconds: i64) {
        let now = self.clock.now();
        self.hands.set(Now { wall: now.wall + jiff::SignedDuration::from_secs(seconds), ..now });
    }

    /// Lets time pass, with an attempt of this client after each step.
    fn pass(&self, journal: &Journal, step: Duration, steps: u64, number: u8) {
        for _ in 0..steps {
            self.hands.advance(step);
            journal.record(&Tried::new("a.upd.example").by(journal, client(number), self.clock.now().wall));
            journal.flush(PATIENCE).unwrap();
        }
    }

    fn clients(&self) -> Vec<ClientRow> {
        Store::open_read_only(self.path()).unwrap().clients(&Filter::default()).unwrap()
    }

    /// Clients of a day, a week and a month.
    fn windows(&self) -> Vec<String> {
        let page = self.metrics.render();
        let lines = page.lines().filter(|line| line.starts_with("embargo_clients{"));
        lines.filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect()
    }

    fn with_series(self) -> Self {
        let series = [Some((Arc::from("acme"), Arc::from("update"), Evidence::Installed))];
        self.metrics.banned.set_policy(&[], &series, &[]);
        self
    }
}

#[test]
fn a_wall_clock_that_jumps_ahead_and_back_deletes_nothing() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 2, 1);
    fixture.jump(JUMP);
    fixture.pass(&journal, SECOND, LOOKS, 2);
    assert_eq!((sum(&fixture.attempts()), fixture.clients().len()), (2 + LOOKS, 2));
    fixture.jump(-JUMP);
    fixture.pass(&journal, SECOND, LOOKS, 3);
    assert_eq!((sum(&fixture.attempts()), fixture.clients().len()), (2 + 2 * LOOKS, 3));
}

#[test]
fn a_wall_clock_that_jumps_back_and_ahead_deletes_nothing_from_before() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 2, 1);
    for jump in [-JUMP, JUMP] {
        fixture.jump(jump);
        fixture.pass(&journal, SECOND, LOOKS, 2);
    }
    let clients: Vec<_> = fixture.clients().iter().map(|row| (row.client, row.last_seen)).collect();
    assert!(clients.contains(&(client(1), after(2))), "{clients:?}");
    assert_eq!(
        fixture.attempts().iter().filter(|row| row.client == Some(client(1))).map(|row| row.count).sum::<u64>(),
        2
    );
}

#[test]
fn a_jump_of_both_clocks_deletes_nothing() {
    let fixture = Fixture::new();
    let journal = fixture.start();
    let start = fixture.clock.now();
    fixture.pass(&journal, SECOND, 2, 1);
    fixture.hands.advance(DAY * 20_000);
    fixture.pass(&journal, SECOND, LOOKS, 2);
    fixture.hands.set(start);
    fixture.pass(&journal, SECOND, LOOKS, 3);
    assert_eq!(sum(&fixture.attempts()), 2 + 2 * LOOKS);
    assert_eq!(fixture.clients().len(), 3);
}

#[test]
fn after_a_jump_rows_go_when_time_has_really_passed() {
    let fixture = Fixture::new().with(|config| {
        config.attempts_keep_days = 20;
        config.clients_keep_days = 20;
        config.commit_interval = DAY;
    });
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 1, 1);
    fixture.jump(JUMP);
    fixture.pass(&journal, DAY, 12, 2);
    assert_eq!(fixture.clients().len(), 2);
    fixture.jump(-JUMP);
    fixture.pass(&journal, DAY, 5, 3);
    assert_eq!(fixture.clients().len(), 3);
    fixture.pass(&journal, DAY, 31, 3);
    assert_eq!(fixture.clients().iter().map(|row| row.client).collect::<Vec<_>>(), [client(3)]);
    assert!(fixture.attempts().iter().all(|row| row.client != Some(client(1))));
}

#[test]
fn a_clock_that_stays_ahead_deletes_by_the_time_that_has_passed() {
    let fixture = Fixture::new().with(|config| {
        config.attempts_keep_days = 20;
        config.commit_interval = DAY;
    });
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 1, 1);
    fixture.jump(JUMP);
    fixture.pass(&journal, DAY, 15, 2);
    assert_eq!(sum(&fixture.attempts()), 16);
    fixture.pass(&journal, DAY, 20, 2);
    assert_eq!(sum(&fixture.attempts()), 35, "only what was recorded before the jump is gone");
}

#[test]
fn clients_seen_during_a_jump_are_seen_when_it_ended() {
    let fixture = Fixture::new().with_series();
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 2, 1);
    fixture.jump(JUMP);
    fixture.pass(&journal, SECOND, 2, 1);
    fixture.pass(&journal, SECOND, 2, 2);
    fixture.jump(-JUMP);
    fixture.hands.advance(SECOND);
    journal.flush(PATIENCE).unwrap();
    let seen: Vec<_> = fixture.clients().iter().map(|row| (row.client, row.first_seen, row.last_seen)).collect();
    assert_eq!(seen.len(), 2);
    assert!(seen.contains(&(client(1), after(1), after(7))), "{seen:?}");
    assert!(seen.contains(&(client(2), after(7), after(7))), "{seen:?}");
    assert_eq!(fixture.windows(), ["2", "2", "2"]);
}

#[test]
fn clients_last_seen_far_in_the_future_are_in_no_window() {
    let fixture = Fixture::new().with_series();
    let journal = fixture.start();
    fixture.jump(JUMP);
    fixture.pass(&journal, SECOND, 1, 1);
    journal.close(PATIENCE).unwrap();
    fixture.jump(-JUMP);
    let journal = fixture.start();
    fixture.pass(&journal, SECOND, 1, 2);
    journal.close(PATIENCE).unwrap();
    fixture.metrics.banned.set_clients(Vec::new());
    let _journal = fixture.start();
    assert_eq!(fixture.windows(), ["1", "1", "1"]);
}
