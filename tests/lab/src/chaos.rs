//! Faults in an order of chance, on a real cluster, and what the witnesses saw of each.

mod deck;
mod deed;
mod kind;
mod round;
mod script;
mod tally;

pub use deck::{Deck, Fault, Target};
pub use deed::{Deed, Meddling};
pub use kind::Kind;
pub use round::{Outcome, RETURN_LIMIT, run};
pub use tally::{Row, Tally};
