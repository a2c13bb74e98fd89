//! The fuzz targets for some seconds without cargo-fuzz: random bytes, and damaged programs.
#![forbid(unsafe_code)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_secs(3);

/// xorshift64*: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Calls `check` with numbered inputs until the time is over, and names the input that fails.
fn for_some_time(mut input: impl FnMut(&mut Random) -> Vec<u8>, check: fn(&[u8])) {
    let (mut random, start, mut count) = (Random(0x9e37_79b9_7f4a_7c15), Instant::now(), 0);
    while start.elapsed() < TIME {
        let data = input(&mut random);
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("input {count}: {data:02x?}");
        }
        count += 1;
    }
    assert!(count > 100, "only {count} inputs");
}

/// A good file with a few bytes changed, mostly in its headers, and perhaps cut off.
fn damaged(good: &[u8], random: &mut Random) -> Vec<u8> {
    const EXTREMES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let mut data = good.to_vec();
    for _ in 0..=random.below(6) {
        let len = data.len();
        let span = if random.below(4) == 0 { len } else { len.min(400) };
        let value = if random.below(2) == 0 { random.next() as u8 } else { EXTREMES[random.below(EXTREMES.len())] };
        data[random.below(span)] = value;
    }
    if random.below(8) == 0 {
        data.truncate(random.below(data.len()));
    }
    data
}

#[test]
fn damaged_programs() {
    let good = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hello")).unwrap();
    checks::elf(&good);
    for_some_time(move |random| damaged(&good, random), checks::elf);
}

#[test]
fn random_files() {
    let input = |random: &mut Random| {
        let len = 4 + random.below(512);
        [b"\x7fELF".to_vec(), random.bytes(len)].concat()
    };
    for_some_time(input, checks::elf);
}

#[test]
fn random_instructions() {
    let input = |random: &mut Random| {
        let len = random.below(80);
        random.bytes(len)
    };
    for_some_time(input, checks::translate);
}
