//! Faults in an order of chance, on a real cluster, and what the witnesses saw of each.

mod deck;
mod kind;
mod round;
mod tally;

pub use deck::{Deck, Fault, Target};
pub use kind::{Deed, Kind};
pub use round::{Outcome, RETURN_LIMIT, run};
pub use tally::{Row, Tally};
