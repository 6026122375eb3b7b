//! The model that the simulation stands on, and the real Consul: both must answer alike.
//!
//! Every behaviour is written once ([`behaviours`]) and put to both. What nobody thought of writing
//! down is looked for by random operations ([`random`]). What takes more than one server stands in
//! [`servers`], and what takes two requests at once in [`overtaking`].

mod behaviours;
mod broken;
mod interface;
mod model;
mod overtaking;
mod random;
mod real;
mod servers;

use libtest_mimic::Trial;

use crate::trial;
use behaviours::Behaviour;
use broken::{Broken, Flaw};
use model::Model;
use real::Real;

pub(crate) fn trials() -> Vec<Trial> {
    let behaviours = Behaviour::ALL.iter().copied().map(|behaviour| {
        trial(&format!("conformance::{behaviour:?}"), move || {
            both_show(behaviour)
        })
    });
    let others = [
        trial(
            "conformance::a_broken_model_is_noticed",
            a_broken_model_is_noticed,
        ),
        trial("conformance::random_operations", random::operations),
    ];
    behaviours
        .chain(others)
        .chain(overtaking::trials())
        .chain(servers::trials())
        .collect()
}

async fn both_show(behaviour: Behaviour) {
    if let Err(why) = behaviour.put_to(&mut Model::new()).await {
        panic!("the model: {why}");
    }
    if let Err(why) = behaviour.put_to(&mut Real::start()).await {
        panic!("the real consul: {why}");
    }
}

/// A suite that cannot fail proves nothing.
async fn a_broken_model_is_noticed() {
    for (flaw, behaviour) in Flaw::ALL {
        let verdict = behaviour.put_to(&mut Broken::new(flaw)).await;
        assert!(verdict.is_err(), "{behaviour:?} does not notice {flaw:?}");
        if !Flaw::SLOW.contains(&flaw) {
            let mut noticed = false;
            for seed in random::SEEDS {
                let (sound, broken) = (&mut Model::new(), &mut Broken::new(flaw));
                noticed |= random::compare(sound, broken, seed).await.is_err();
            }
            assert!(noticed, "random operations do not notice {flaw:?}");
        }
    }
}
