//! Pure: how many answers in a row it takes to believe them.

use crate::election::health::Health;

/// Counts the answers that contradict what is believed.
#[derive(Debug)]
pub(super) struct Rise {
    fall: u32,
    rise: u32,
    health: Health,
    against: u32,
}

impl Rise {
    /// Begins with what is believed already. Where that is nothing, the first answer is believed at once.
    pub(super) fn new(fall: u32, rise: u32, health: Health) -> Self {
        Self {
            fall,
            rise,
            health,
            against: 0,
        }
    }

    /// Takes one answer, an error with its reason, and returns what is to be believed now.
    pub(super) fn take(&mut self, answer: Result<(), String>) -> &Health {
        let needed = match (&self.health, &answer) {
            (Health::Good, Ok(())) | (Health::Bad(_), Err(_)) => {
                self.against = 0;
                return &self.health;
            }
            (Health::Unknown, Ok(()) | Err(_)) => 1,
            (Health::Good, Err(_)) => self.fall,
            (Health::Bad(_), Ok(())) => self.rise,
        };
        self.against += 1;
        if self.against >= needed {
            self.health = match answer {
                Ok(()) => Health::Good,
                Err(reason) if needed > 1 => {
                    Health::Bad(format!("{reason}, {needed} times in a row"))
                }
                Err(reason) => Health::Bad(reason),
            };
            self.against = 0;
        }
        &self.health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `answers` and what is believed after each: `+` good, `-` bad.
    fn believed(fall: u32, rise: u32, answers: &str) -> String {
        believed_after(Health::Unknown, fall, rise, answers)
    }

    fn believed_after(before: Health, fall: u32, rise: u32, answers: &str) -> String {
        let mut counter = Rise::new(fall, rise, before);
        let believed = answers.chars().map(|answer| {
            let answer = match answer {
                '+' => Ok(()),
                _ => Err("x".to_owned()),
            };
            match counter.take(answer) {
                Health::Unknown => '?',
                Health::Good => '+',
                Health::Bad(_) => '-',
            }
        });
        believed.collect()
    }

    #[test]
    fn answers_and_what_is_believed() {
        for (fall, rise, answers, expected) in [
            // The first decides.
            (3, 2, "+", "+"),
            (3, 2, "-", "-"),
            // It takes all of them, in a row.
            (3, 2, "+---", "+++-"),
            (3, 2, "+--+--+---", "+++++++++-"),
            (3, 2, "-++", "--+"),
            (3, 2, "-+-+-++", "------+"),
            // One is enough.
            (1, 1, "+-+-", "+-+-"),
            // A fall is counted from the rise, and a rise from the fall.
            (3, 2, "+---++---", "+++--+++-"),
            (2, 3, "--+++--", "----++-"),
        ] {
            assert_eq!(
                believed(fall, rise, answers),
                expected,
                "fall {fall}, rise {rise}: {answers}"
            );
        }
    }

    #[test]
    fn what_was_believed_before_is_not_given_up_for_one_answer() {
        assert_eq!(believed_after(Health::Good, 3, 2, "---"), "++-");
        let bad = Health::Bad("x".to_owned());
        assert_eq!(believed_after(bad, 3, 2, "++"), "-+");
    }

    #[test]
    fn the_reason_is_the_last_one_and_says_how_often() {
        let mut counter = Rise::new(2, 1, Health::Unknown);
        let failed = |why: &str| Err(why.to_owned());
        assert_eq!(counter.take(failed("a")), &Health::Bad("a".to_owned()));
        assert_eq!(counter.take(Ok(())), &Health::Good);
        assert_eq!(counter.take(failed("b")), &Health::Good);
        let twice = Health::Bad("c, 2 times in a row".to_owned());
        assert_eq!(counter.take(failed("c")), &twice);
        assert_eq!(counter.take(failed("d")), &twice);
    }
}
