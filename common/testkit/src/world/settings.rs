//! How a world is set up, and how much goes wrong in it.

use super::ChaosRates;

/// In which order what is on its way arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As it was sent.
    OldestFirst,
    /// The other way round.
    NewestFirst,
    /// Any order, the same for each run with this seed.
    Shuffled(u64),
}

/// How a world is set up.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// In which order messages arrive.
    pub order: Order,
    /// Every message, stream batch and callback comes twice at once, and messages and callbacks late once more.
    pub duplicates: bool,
    /// How many messages a batch has at most.
    pub batch: usize,
    /// All that can be delivered is delivered at once, and calls let each other go first, by this seed.
    pub at_once: Option<u64>,
    /// What identifiers are made from.
    pub seed: u64,
    /// Breakers never open.
    pub breakers_off: bool,
    /// There are no schedules, as on some endpoints: long timers hop on their queue every 15 minutes. It takes its time.
    pub timers_hop: bool,
    /// How long things take. Without it nothing takes time.
    pub pace: Option<Pace>,
}

/// How long things take, and how many are done at a time: for figures that depend on it. What a consumer writes counts from the
/// beginning of its invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many milliseconds after a commit the stream delivers it.
    pub stream_ms: u32,
    /// How many milliseconds a message is on its way to a consumer: at least, and at most.
    pub queue_ms: (u32, u32),
    /// How many milliseconds an invocation takes.
    pub invocation_ms: u32,
    /// How many invocations work on one queue at a time.
    pub consumers: usize,
    /// How many invocations relay the stream at a time.
    pub relays: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            order: Order::OldestFirst,
            duplicates: false,
            batch: 10,
            at_once: None,
            seed: 1,
            breakers_off: false,
            timers_hop: false,
            pace: None,
        }
    }
}

/// What goes wrong by chance, and for how long. Some invocations are under way at a time, messages come in any order, late
/// and twice, and every call may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chaos {
    /// One seed is one run.
    pub seed: u64,
    /// How often each kind of thing goes wrong.
    pub rates: ChaosRates,
    /// After how many hours nothing goes wrong any more, and everything must settle.
    pub hours: u32,
    /// How often a message is received before it is a dead letter.
    pub receives_max: u32,
    /// So many of a hundred messages are joined by one that nobody can read.
    pub poison_percent: u8,
    /// Functions whose invocations are not always killed at their time-out, but may come back from the dead after their
    /// lease ran out: those that guard what they write by conditions.
    pub zombies: &'static [&'static str],
}

impl Chaos {
    /// Things go wrong now and then, for six hours: in every other seed everything, in the others a few kinds of things only, and
    /// those more often, for what always goes wrong hides what follows from it. In every third seed messages are given up soon, so that triage
    /// has more to do.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            rates: if seed.is_multiple_of(2) { ChaosRates::EVERYTHING } else { ChaosRates::some(seed) },
            hours: 6,
            receives_max: if seed.is_multiple_of(3) { 3 } else { 30 },
            poison_percent: 0,
            zombies: &[],
        }
    }
}
