//! Pure: YAML text to a tree of texts with line numbers.
//!
//! vip-manager takes `netmask: 24` and `netmask: "24"` alike, and a host may be called `007`: so
//! every plain value keeps its spelling, whatever YAML thinks it is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Location, Spanned, UserMessageFormatter};

/// One key of a mapping and what it holds.
pub(super) struct Node {
    pub(super) key: String,
    pub(super) line: u64,
    pub(super) content: Content,
}

/// What a key, or the document, holds.
pub(super) enum Content {
    Nothing,
    One(String),
    /// Items with their lines.
    List(Vec<(u64, Content)>),
    Mapping(Vec<Node>),
}

impl Content {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::One(_) => "a single value",
            Self::List(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Reads one document. The error names line and column and quotes no value: it may be a token.
pub(super) fn parse(text: &str) -> Result<Content, String> {
    let tree: Spanned<Tree> =
        serde_yaml::from_str_with_options(text, bounds()).map_err(|error| {
            error
                .without_snippet()
                .render_with_formatter(&UserMessageFormatter)
        })?;
    resolve(text, tree)
}

/// Ten lines of aliases stand for gigabytes, and no file of vip-manager's has a hundred values.
fn bounds() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: MAX_EVENTS,
            max_nodes: MAX_EVENTS,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_EVENTS,
        },
    }
}

/// What the parser meets: values, keys, and beginnings and ends of mappings and lists.
const MAX_EVENTS: usize = 10_000;

/// The tree as the parser gives it.
enum Tree {
    Nothing,
    /// A plain value that YAML takes for a number or a boolean.
    Plain,
    Text(String),
    List(Vec<Spanned<Tree>>),
    Mapping(Vec<(Spanned<String>, Spanned<Tree>)>),
}

fn resolve(text: &str, tree: Spanned<Tree>) -> Result<Content, String> {
    let at = tree.defined;
    Ok(match tree.value {
        Tree::Nothing => Content::Nothing,
        Tree::Plain => Content::One(spelling(text, at)?),
        Tree::Text(value) => Content::One(value),
        Tree::List(items) => {
            let items = items.into_iter().map(|item| {
                let line = item.referenced.line();
                Ok((line, resolve(text, item)?))
            });
            Content::List(items.collect::<Result<_, String>>()?)
        }
        Tree::Mapping(entries) => {
            let entries = entries.into_iter().map(|(key, value)| {
                let line = key.referenced.line();
                Ok(Node {
                    key: key.value,
                    line,
                    content: resolve(text, value)?,
                })
            });
            Content::Mapping(entries.collect::<Result<_, String>>()?)
        }
    })
}

fn spelling(text: &str, at: Location) -> Result<String, String> {
    let range = at
        .span()
        .byte_offset()
        .zip(at.span().byte_len())
        .and_then(|(start, length)| {
            let start = usize::try_from(start).ok()?;
            text.get(start..start.checked_add(usize::try_from(length).ok()?)?)
        });
    range
        .map(str::to_owned)
        .ok_or_else(|| format!("put the value at line {} into quotes", at.line()))
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Plain)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element()? {
            all.push(item);
        }
        Ok(Tree::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            all.push(entry);
        }
        Ok(Tree::Mapping(all))
    }
}
