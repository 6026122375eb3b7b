//! Pure: which fault comes next, from a seed.

use super::kind::{Kind, Victim};
use crate::random::Random;

/// How often, in a hundred, two faults come at a time.
const PAIRS: u8 = 25;
/// How often, in a hundred, a fault is done to a host that does not lead.
const ASIDE: u8 = 20;

/// All kinds of faults, shuffled again whenever all have been dealt: so every kind comes up as often
/// as any other, give or take one.
#[derive(Clone, Debug)]
pub struct Deck {
    random: Random,
    cards: Vec<Kind>,
}

/// A fault to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: Kind,
    /// To whom.
    pub target: Target,
    /// How many milliseconds after the beginning of the round.
    pub after: u64,
    /// How many hundredths its [script](Kind::script) takes of its usual time: nothing meets the
    /// daemons at the same moment twice.
    pub pace: u64,
}

/// A host, as far as it is known before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// The one that leads.
    Leader,
    /// One of the others.
    Other(usize),
}

impl Deck {
    /// Makes a full deck.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            cards: Vec::new(),
        }
    }

    /// Deals one fault, or two that come at about the same time.
    pub fn deal(&mut self) -> Vec<Fault> {
        let first = self.card();
        let mut faults = vec![self.fault(first, 0)];
        if self.random.chance(PAIRS)
            && let Some(at) = self.cards.iter().rposition(|card| goes_with(*card, first))
        {
            let second = self.cards.remove(at);
            let after = self.random.below(3_000);
            faults.push(self.fault(second, after));
        }
        faults
    }

    fn card(&mut self) -> Kind {
        if self.cards.is_empty() {
            self.cards = Kind::ALL.to_vec();
            self.random.shuffle(&mut self.cards);
        }
        // Never empty here.
        self.cards.pop().unwrap_or(Kind::KillSupervised)
    }

    fn fault(&mut self, kind: Kind, after: u64) -> Fault {
        let aside = self.random.chance(ASIDE);
        let other = self.random.below(2) as usize;
        Fault {
            kind,
            target: match kind.victim() {
                Victim::Anybody if aside => Target::Other(other),
                Victim::Anybody | Victim::Leader => Target::Leader,
                Victim::Other => Target::Other(other),
            },
            after,
            pace: 80 + self.random.below(41),
        }
    }
}

fn goes_with(one: Kind, other: Kind) -> bool {
    let parts = other.meddles_with();
    one.meddles_with().iter().all(|part| !parts.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_up_equally_often() {
        for seed in 0..50 {
            let mut deck = Deck::new(seed);
            let mut dealt: Vec<Kind> = Vec::new();
            while dealt.len() < 3 * Kind::ALL.len() {
                dealt.extend(deck.deal().iter().map(|fault| fault.kind));
            }
            for kind in Kind::ALL {
                let times = dealt.iter().filter(|one| **one == kind).count();
                assert!(
                    (3..=4).contains(&times),
                    "seed {seed}: {kind} {times} times"
                );
            }
        }
    }

    #[test]
    fn two_at_a_time_have_nothing_in_common_and_are_not_rare() {
        let mut deck = Deck::new(1);
        let rounds: Vec<Vec<Fault>> = (0..400).map(|_| deck.deal()).collect();
        let pairs = rounds.iter().filter(|round| round.len() == 2);
        assert!(pairs.clone().count() > 50, "{}", pairs.count());
        for pair in pairs {
            assert!(goes_with(pair[0].kind, pair[1].kind), "{pair:?}");
        }
    }

    #[test]
    fn a_seed_decides_everything() {
        let rounds = |seed| {
            let mut deck = Deck::new(seed);
            (0..100).map(|_| deck.deal()).collect::<Vec<_>>()
        };
        assert_eq!(rounds(5), rounds(5));
        assert_ne!(rounds(5), rounds(6));
    }

    #[test]
    fn nobody_is_the_victim_of_what_cannot_be_done_to_it() {
        let mut deck = Deck::new(2);
        for fault in (0..400).flat_map(|_| deck.deal()) {
            match (fault.kind.victim(), fault.target) {
                (Victim::Leader, Target::Other(_)) | (Victim::Other, Target::Leader) => {
                    panic!("{fault:?}")
                }
                (Victim::Leader | Victim::Anybody, Target::Leader)
                | (Victim::Other | Victim::Anybody, Target::Other(_)) => {}
            }
        }
    }

    #[test]
    fn scripts_begin_at_once_and_go_forward() {
        for kind in Kind::ALL {
            let script = kind.script();
            assert_eq!(script[0].0, 0, "{kind}");
            assert!(script.is_sorted_by_key(|(at, _)| *at), "{kind}");
        }
    }
}
