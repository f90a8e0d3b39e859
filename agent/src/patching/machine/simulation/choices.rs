//! Chance as data: a run is its list of numbers, so a failing one can be shrunk and run again.

/// A list of numbers that is used up.
#[derive(Debug)]
pub struct Choices {
    numbers: Vec<u16>,
    at: usize,
}

impl Choices {
    pub fn new(numbers: Vec<u16>) -> Self {
        Self { numbers, at: 0 }
    }

    /// The numbers of a seed (SplitMix64), up to 1,500 of them.
    pub fn of_seed(seed: u64) -> Vec<u16> {
        let mut state = seed.wrapping_mul(0xA076_1D64_78BD_642F);
        let mut next = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            u16::try_from((mixed ^ (mixed >> 31)) >> 48).unwrap_or_default()
        };
        let length = next() % 1500;
        (0..length).map(|_| next()).collect()
    }

    /// A number below `bound`; after the end, always the last, which is the undisturbed way.
    pub fn below(&mut self, bound: u16) -> u16 {
        let number = self.numbers.get(self.at).map_or(bound - 1, |number| number % bound);
        self.at += 1;
        number
    }

    pub fn is_used_up(&self) -> bool {
        self.at >= self.numbers.len()
    }
}
