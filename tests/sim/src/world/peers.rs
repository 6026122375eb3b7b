//! Pure: datagrams between the daemons. They get lost, are late, come twice, and are sent again long after
//! by somebody who has kept them. None is ever taken for another's: who does not know the secret of the
//! process that it is for cannot write one.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::candidate::Contact;
use vip_elector::election::peer::{Datagram, Message};

use super::{Event, World};
use crate::group;
use crate::trace::Who;

/// What waits for a process that does not look: a socket's buffer holds no more.
const BUFFER: usize = 256;

/// What is sent so fast is there at once.
const AT_ONCE: Duration = Duration::from_millis(1);

/// A heartbeat changes nothing until its silence counts, so a driver takes it in this much later, with the
/// time at which it came. That is sooner than any silence counts, and costs less.
const LINGERS: Duration = Duration::from_millis(180);

impl World<'_> {
    /// Sends a datagram on its way.
    pub(super) fn say(&mut self, from: usize, contact: &Contact, datagram: Datagram) {
        let (host, process) = group::addressee(contact);
        let (sent, beats) = (self.now, is_heartbeat(&datagram));
        if !beats {
            self.tally.saw("questions and answers about a leader");
            self.trace.say(self.now, Who::Host(from), || {
                format!("says to host{host}: {:?}", datagram.message)
            });
        }
        if host >= self.hosts.len() || !self.network.talks(from, host) {
            self.tally.saw("datagrams that were cut off");
            return;
        }
        let datagram = Rc::new(datagram);
        let event = |datagram: &Rc<Datagram>| Event::Hear {
            host,
            process,
            sent,
            datagram: Rc::clone(datagram),
        };
        if self.network.replays > 0 && self.draw.u8(..8) == 0 {
            self.tally.saw("datagrams sent again");
            let pause = self.millis(50, 20_000);
            self.after(pause, event(&datagram));
        }
        if self.network.doubled(&mut self.draw)
            && let Some(transit) = self.network.transit(&mut self.draw)
        {
            self.after(transit, event(&datagram));
        }
        match self.network.transit(&mut self.draw) {
            Some(transit) if beats && transit < AT_ONCE => {
                self.hear(host, process, sent, datagram);
            }
            Some(transit) => self.after(transit, event(&datagram)),
            None => {}
        }
    }

    /// A datagram is there.
    pub(super) fn hear(
        &mut self,
        host: usize,
        number: u64,
        sent: Duration,
        datagram: Rc<Datagram>,
    ) {
        let it = &mut self.hosts[host];
        let local = it.clock.read(self.now);
        let Some(process) = &mut it.process else {
            return;
        };
        if process.number != number || process.task.ending {
            return;
        }
        if process.frozen > 0 {
            if process.heard.len() < BUFFER {
                process.heard.push_back((None, datagram));
            }
            return;
        }
        if !is_heartbeat(&datagram) {
            process.heard.push_back((Some(local), datagram));
            self.pump(host);
            return;
        }
        if process
            .last_word
            .as_ref()
            .is_none_or(|(leader, at)| *leader != datagram.leader || *at < sent)
        {
            process.last_word = Some((datagram.leader.clone(), sent));
        }
        // Of two that follow each other the first says nothing more.
        if process
            .heard
            .back()
            .is_some_and(|(_, last)| is_heartbeat(last) && is_older(last, &datagram))
        {
            process.heard.pop_back();
        }
        process.heard.push_back((Some(local), datagram));
        self.wake_driver(host, self.now + LINGERS);
    }
}

const fn is_heartbeat(datagram: &Datagram) -> bool {
    matches!(datagram.message, Message::Heartbeat { .. })
}

fn is_older(one: &Datagram, other: &Datagram) -> bool {
    one.from == other.from && one.leader == other.leader && one.sequence < other.sequence
}
