//! Pure: the runtime directories.

use vip_elector::election::note::{Before, Note};

use super::World;
use crate::fault::Record;
use crate::trace::Who;

impl World<'_> {
    /// As `runtime::session` does with a file.
    pub(super) fn remember(&mut self, host: usize, note: Note) -> bool {
        let it = &mut self.hosts[host];
        let written = it.full == 0 || note == Note::Nothing;
        if it.read_only > 0 {
            self.tally.saw("notes that were not kept");
            return false;
        }
        self.trace
            .say(self.now, Who::Host(host), || format!("notes {note:?}"));
        let lock_delay = it.process.as_ref().map(|process| process.plan.lock_delay);
        it.note = written.then_some((note, it.boot, lock_delay.unwrap_or_default()));
        true
    }

    /// As `runtime::session` judges what it finds.
    pub(super) fn before(&self, host: usize) -> Before {
        let it = &self.hosts[host];
        let Some((note, boot, lock_delay)) = it.note.clone() else {
            return Before::Nothing;
        };
        let same_terms = boot == it.boot && lock_delay == it.plan.lock_delay;
        match note {
            Note::Nothing => Before::Nothing,
            Note::Live { name, session } if same_terms => Before::Adoptable { name, session },
            Note::Creating { name } => Before::Leftover {
                name,
                session: None,
            },
            Note::Live { name, session } | Note::Spent { name, session } => Before::Leftover {
                name,
                session: Some(session),
            },
        }
    }

    /// What the next process will find instead.
    pub(super) fn spoil_note(&mut self, host: usize, record: Record) {
        let it = &mut self.hosts[host];
        match record {
            Record::Kept => {}
            // What cannot be read says as much as what is not there.
            Record::Lost | Record::Garbage => it.note = None,
            Record::OtherBoot => {
                if let Some((_, boot, _)) = &mut it.note {
                    *boot = u32::MAX;
                }
            }
        }
    }
}
