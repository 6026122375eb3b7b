//! The reconciler under anything that may happen, in any order.

use proptest::prelude::*;

use super::world::{UP, World};
use super::*;

#[derive(Clone, Debug)]
enum Happening {
    Confirm,
    LetGo,
    Pass(u16),
    Freeze(u16),
    Removed,
    Link(bool),
    Foreign(Option<u8>),
    Refuse(bool),
    State(VipState),
    Duplicate,
    Answer(bool),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        8 => Just(Happening::Confirm),
        2 => Just(Happening::LetGo),
        8 => (0u16..3000).prop_map(Happening::Pass),
        1 => (0u16..20_000).prop_map(Happening::Freeze),
        1 => Just(Happening::Removed),
        1 => any::<bool>().prop_map(Happening::Link),
        1 => prop_oneof![Just(None), Just(Some(24)), Just(Some(32))].prop_map(Happening::Foreign),
        1 => any::<bool>().prop_map(Happening::Refuse),
        1 => Just(Happening::State(VipState::Usable)),
        1 => Just(Happening::State(VipState::Tentative)),
        1 => Just(Happening::State(VipState::Duplicate)),
        1 => Just(Happening::Duplicate),
        1 => any::<bool>().prop_map(Happening::Answer),
    ];
    prop::collection::vec(happening, 1..100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// The two hands, each alone: the kernel's ends what it was given before the span is over, and
    /// an awake daemon has nothing up without a live lease.
    #[test]
    fn the_address_never_outlives_the_span_of_its_lease(
        happenings in happenings(),
        asking_takes in prop_oneof![Just(None), (0u64..2500).prop_map(Some)],
        detects: bool,
        lock_delay in prop_oneof![Just(2500u64), Just(3000), Just(5000), Just(10_000), Just(20_000)],
    ) {
        let terms = Terms::managed(ms(lock_delay), ms(10_000));
        let mut world = World::new();
        world.asks = asking_takes.is_some();
        world.asking_takes = ms(asking_takes.unwrap_or_default());
        world.detects = detects;
        let mut span_ends = world.now;
        for happening in happenings {
            match happening {
                Happening::Confirm => {
                    span_ends = world.now + terms.span();
                    world.hold(terms);
                }
                Happening::LetGo => world.let_go(),
                Happening::Pass(millis) => world.pass(ms(u64::from(millis))),
                Happening::Freeze(millis) => world.now = world.now + ms(u64::from(millis)),
                Happening::Removed => world.ours_until = None,
                Happening::Link(up) => world.link = UP.filter(|_| up),
                Happening::Foreign(prefix) => world.foreign = prefix,
                Happening::Refuse(refuses) => world.refuses = refuses,
                Happening::State(state) if detects => world.state = state,
                Happening::State(_) => {}
                Happening::Duplicate => {
                    world.ours_until = None;
                    world.duplicates += 1;
                }
                Happening::Answer(answered) => world.answered = answered,
            }
            if let Some(until) = world.ours_until {
                prop_assert!(until <= span_ends, "the kernel has it until {until:?}, past {span_ends:?}");
            }
            // The kernel tells of its addresses at once; the others are found out sooner or later.
            if !matches!(happening, Happening::Freeze(_) | Happening::Link(_)) {
                world.settle();
                let live = match world.order.target {
                    VipTarget::HeldUntil(lease) => lease.is_live(world.now),
                    VipTarget::Kept | VipTarget::Absent => false,
                };
                prop_assert!(live || world.ours_until.is_none(), "up without a live lease");
            }
        }
    }
}
