//! Random numbers, which the program's seed determines: the rules have no other source of chance.

/// The generator `xorshift64*`.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // The state 0 has no successor.
        Self(seed.max(1))
    }

    /// From 0 to 1, without 1.
    pub(super) fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        // The upper 53 bits, which a float holds exactly.
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }

    /// 1, less up to `part`.
    pub(super) fn below_one(&mut self, part: f64) -> f64 {
        1.0 - part * self.next()
    }

    /// 1, less or more by up to `part`.
    pub(super) fn around_one(&mut self, part: f64) -> f64 {
        1.0 + part * (2.0 * self.next() - 1.0)
    }
}
