//! Pure: what an event says, as text.

use std::fmt::{Debug, Write};

use tracing::Event;
use tracing::field::{Field, Visit};

/// The message and the other fields of an event.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    /// Name, value, and whether the value is shown in quotes.
    named: Vec<(&'static str, String, bool)>,
}

impl Fields {
    /// Takes an event apart.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    /// Returns all in one line, as the text log has it.
    pub(super) fn line(&self) -> String {
        let mut line = self.message.clone();
        for (name, value, quoted) in &self.named {
            // Writing to a string does not fail.
            let _ = match quoted {
                true => write!(line, " {name}={value:?}"),
                false => write!(line, " {name}={value}"),
            };
        }
        line
    }

    /// Returns the fields beside the message.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = self.named.iter();
        named.map(|(name, value, _)| (*name, value.as_str()))
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.named.push((name, value.to_owned(), true)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.named.push((name, format!("{value:?}"), false)),
        }
    }
}
