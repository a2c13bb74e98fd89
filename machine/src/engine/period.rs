//! How often a hart looks at what its quick code runs.

use emu_backend_jit::HOT_PERIOD;

/// Runs of quick code from one sample to the next. A sample costs about as much as the translation of an instruction, and most of them
/// lead to nothing once what is hot has been compiled: they become rarer then, and more frequent where something has come of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Period(u32);

/// The longest one: less than what makes a block worth a place in a region.
const LONGEST: u32 = 8 * HOT_PERIOD;

/// A period grows by this part of itself.
const GROWTH: u32 = 16;

impl Period {
    /// The one to begin with.
    pub(super) fn new() -> Period {
        Period(HOT_PERIOD)
    }

    /// Its runs.
    pub(super) fn runs(self) -> u32 {
        self.0
    }

    /// As many of them as there are of the first one in `runs`.
    pub(super) fn scaled(self, runs: u32) -> u32 {
        (u64::from(runs) * u64::from(self.0) / u64::from(HOT_PERIOD)).try_into().unwrap_or(u32::MAX)
    }

    /// What follows a period whose sample has led to something or not.
    pub(super) fn next(self, led_to_something: bool) -> Period {
        Period(if led_to_something { self.0 / 2 } else { self.0 + self.0 / GROWTH }.clamp(HOT_PERIOD, LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_longer_the_less_happens() {
        let mut period = Period::new();
        for _ in 0..200 {
            period = period.next(false);
        }
        assert_eq!((period.runs(), period.scaled(10)), (LONGEST, 80));
        assert_eq!(period.next(true).runs(), LONGEST / 2);
        for _ in 0..3 {
            period = period.next(true);
        }
        assert_eq!((period, period.next(true)), (Period::new(), Period::new()));
    }

    #[test]
    fn scales_up_to_what_there_is() {
        assert_eq!((Period::new().scaled(u32::MAX), Period(LONGEST).scaled(u32::MAX)), (u32::MAX, u32::MAX));
    }
}
