//! Pure: the links and addresses of a network namespace, as the kernel's words about them add up.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::address::{Address, Vip, address_bits};
use crate::link::{Link, Mac};

/// What the kernel has, as far as it has said so.
///
/// To ask for one address, or for the networks of an interface, costs the same however many addresses there
/// are.
#[derive(Debug, Default)]
pub struct Tables {
    links: BTreeMap<u32, Link>,
    names: BTreeMap<String, u32>,
    addresses: BTreeMap<Place, Address>,
    /// [`Link::moves`] of those interfaces that have ever asked.
    moves: BTreeMap<u32, u32>,
    /// How often an address was found to be another machine's, of those that ever were.
    duplicates: BTreeMap<IpAddr, u32>,
}

impl Tables {
    /// Looks an interface up by its name, or by an alternative one.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.get(self.names.get(name)?)
    }

    /// Looks an interface up by the kernel's number for it.
    pub fn link_at(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Returns all addresses of an interface.
    pub fn addresses(&self, index: u32) -> impl Iterator<Item = &Address> {
        let of_link = Place::first(index)..Place::first(index.saturating_add(1));
        self.addresses.range(of_link).map(|(_, address)| address)
    }

    /// Returns each appearance of an address on an interface.
    pub fn at(&self, index: u32, address: IpAddr) -> impl Iterator<Item = &Address> {
        let single = Place::exact(index, Vip::host(address));
        let singles = Place::lowest(single)..=Place::highest(single);
        let wide = self
            .networks(index)
            .filter(move |network| network.address == address);
        wide.chain(self.addresses.range(singles).map(|(_, address)| address))
    }

    /// Returns the addresses of an interface that are more than a single host's: those that bring a network.
    pub fn networks(&self, index: u32) -> impl Iterator<Item = &Address> {
        let wide = Place::first(index)..Place::first_single(index);
        self.addresses.range(wide).map(|(_, address)| address)
    }

    /// Finds the interfaces that carry `address` with [`crate::PROTOCOL_MARK`]: those where this process, or an
    /// earlier one, has put it.
    pub fn carriers_of(&self, address: IpAddr) -> impl Iterator<Item = &Link> {
        let ours = self
            .addresses
            .iter()
            .filter(move |(_, found)| found.address == address && found.is_ours());
        ours.filter_map(|(place, _)| self.links.get(&place.index))
    }

    /// Returns how often the kernel has taken an address off since this connection was opened because another machine
    /// has it (IPv6 duplicate address detection).
    pub fn duplicates(&self, address: IpAddr) -> u32 {
        self.duplicates.get(&address).copied().unwrap_or_default()
    }

    /// Says whether an Ethernet address is one of this host's interfaces.
    pub fn is_own(&self, mac: Mac) -> bool {
        self.links.values().any(|link| link.mac == Some(mac))
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        self.addresses.contains_key(place)
    }

    /// Returns empty tables that remember what no listing says.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            moves: self.moves.clone(),
            duplicates: self.duplicates.clone(),
            ..Self::default()
        }
    }

    /// Takes in one word of the kernel, and returns whom it may concern; nobody where it says nothing new.
    pub(crate) fn take(&mut self, word: Word) -> Option<Touched> {
        match word {
            Word::Link {
                mut link,
                asks_to_tell,
            } => {
                if asks_to_tell {
                    let moves = self.moves.entry(link.index).or_default();
                    *moves = moves.wrapping_add(1);
                }
                link.moves = self.moves.get(&link.index).copied().unwrap_or_default();
                if self.links.get(&link.index) == Some(&link) {
                    return None;
                }
                let mut names = self.forget_names(link.index);
                for name in link.names() {
                    self.names.insert(name.to_owned(), link.index);
                    names.push(name.to_owned());
                }
                self.links.insert(link.index, link);
                Some(Touched::Interface(names))
            }
            Word::LinkGone(index) => {
                let names = self.forget_names(index);
                self.moves.remove(&index);
                self.links.remove(&index)?;
                self.addresses.retain(|place, _| place.index != index);
                Some(Touched::Interface(names))
            }
            Word::Address(place, address) => {
                let says_nothing = |old: &Address| old.is_like(&address);
                let quiet = self.addresses.get(&place).is_some_and(says_nothing);
                self.addresses.insert(place, address);
                (!quiet).then_some(Touched::Address(place))
            }
            Word::AddressGone {
                place,
                is_duplicate,
            } => {
                if is_duplicate {
                    let duplicates = self.duplicates.entry(place.address).or_default();
                    *duplicates = duplicates.wrapping_add(1);
                }
                self.addresses.remove(&place)?;
                Some(Touched::Address(place))
            }
        }
    }

    fn forget_names(&mut self, index: u32) -> Vec<String> {
        let old: Vec<String> = match self.links.get(&index) {
            Some(link) => link.names().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        for name in &old {
            // Another one may have the name by now.
            if self.names.get(name) == Some(&index) {
                self.names.remove(name);
            }
        }
        old
    }
}

/// One address in the kernel's table: what no two entries have in common.
///
/// In order, the wide ones of an interface come before those of a single host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) index: u32,
    single: bool,
    pub(crate) address: IpAddr,
    pub(crate) prefix: u8,
    /// The other end of a point-to-point address, else the address itself.
    peer: IpAddr,
}

/// The lowest and the highest of all addresses.
const LOWEST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
const HIGHEST: IpAddr = IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::MAX));

impl Place {
    pub(crate) fn new(index: u32, vip: Vip, peer: IpAddr) -> Self {
        let (address, prefix) = (vip.address(), vip.prefix());
        Self {
            index,
            single: prefix == address_bits(address),
            address,
            prefix,
            peer,
        }
    }

    /// An address that has no other end.
    pub(crate) fn exact(index: u32, vip: Vip) -> Self {
        Self::new(index, vip, vip.address())
    }

    fn first(index: u32) -> Self {
        Self {
            index,
            single: false,
            address: LOWEST,
            prefix: 0,
            peer: LOWEST,
        }
    }

    fn first_single(index: u32) -> Self {
        Self {
            single: true,
            ..Self::first(index)
        }
    }

    fn lowest(self) -> Self {
        Self {
            peer: LOWEST,
            ..self
        }
    }

    fn highest(self) -> Self {
        Self {
            peer: HIGHEST,
            ..self
        }
    }
}

/// What the kernel says of its tables, in a listing or when something changes.
#[derive(Debug)]
pub(crate) enum Word {
    Link {
        link: Link,
        /// The neighbours should be told anew who is here.
        asks_to_tell: bool,
    },
    LinkGone(u32),
    Address(Place, Address),
    AddressGone {
        place: Place,
        /// Because another machine has it.
        is_duplicate: bool,
    },
}

/// What a word has changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// An interface, with the names that it had and has.
    Interface(Vec<String>),
    /// An address.
    Address(Place),
}

#[cfg(test)]
mod tests;
