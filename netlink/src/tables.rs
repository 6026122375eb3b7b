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
mod tests {
    use super::*;
    use std::time::Duration;

    fn link(index: u32, name: &str, other: &[&str]) -> Word {
        Word::Link {
            link: Link {
                index,
                name: name.to_owned(),
                other_names: other.iter().map(|&name| name.to_owned()).collect(),
                mac: None,
                up: true,
                carrier: true,
                arp: true,
                moves: 0,
            },
            asks_to_tell: false,
        }
    }

    fn entry(index: u32, text: &str, valid: u64) -> (Place, Address) {
        let (address, prefix) = text.split_once('/').unwrap();
        let vip = Vip::new(address.parse().unwrap(), prefix.parse().unwrap()).unwrap();
        let address = Address {
            address: vip.address(),
            prefix: vip.prefix(),
            valid: Some(Duration::from_secs(valid)),
            protocol: Some(crate::PROTOCOL_MARK),
            tentative: false,
            dad_failed: false,
        };
        (Place::exact(index, vip), address)
    }

    fn put(tables: &mut Tables, index: u32, text: &str, valid: u64) -> Option<Touched> {
        let (place, address) = entry(index, text, valid);
        tables.take(Word::Address(place, address))
    }

    fn gone(place: Place) -> Word {
        Word::AddressGone {
            place,
            is_duplicate: false,
        }
    }

    fn shown<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<String> {
        addresses
            .map(|one| format!("{}/{}", one.address, one.prefix))
            .collect()
    }

    #[test]
    fn addresses_are_found_by_interface_by_address_and_by_network() {
        let mut tables = Tables::default();
        let all = [
            "192.0.2.1/24",
            "192.0.2.9/24",
            "2001:db8::1/64",
            "0.0.0.1/32",
            "192.0.2.9/32",
            "255.255.255.255/32",
            "2001:db8::9/128",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
        ];
        for text in all {
            assert!(put(&mut tables, 3, text, 9).is_some());
        }
        for (index, text) in [(2, "192.0.2.9/32"), (4, "192.0.2.9/24")] {
            put(&mut tables, index, text, 9);
        }
        assert_eq!(shown(tables.addresses(3)), all);
        assert_eq!(shown(tables.networks(3)), all[..3]);
        let at = |address: &str| shown(tables.at(3, address.parse().unwrap()));
        assert_eq!(at("192.0.2.9"), ["192.0.2.9/24", "192.0.2.9/32"]);
        assert_eq!(at("2001:db8::9"), ["2001:db8::9/128"]);
        assert_eq!(at("192.0.2.10"), [""; 0]);
        assert_eq!(tables.addresses(5).count(), 0);
    }

    #[test]
    fn the_same_address_with_another_end_is_another_entry() {
        let mut tables = Tables::default();
        put(&mut tables, 3, "192.0.2.9/32", 9);
        let (place, address) = entry(3, "192.0.2.9/32", 9);
        let other = Place {
            peer: "198.51.100.1".parse().unwrap(),
            ..place
        };
        assert!(tables.take(Word::Address(other, address)).is_some());
        assert_eq!(tables.at(3, place.address).count(), 2);
        tables.take(gone(place));
        assert!(!tables.has(&place) && tables.has(&other));
        assert_eq!(tables.at(3, place.address).count(), 1);
    }

    #[test]
    fn a_prolonged_address_is_nothing_new() {
        let mut tables = Tables::default();
        let (place, mut address) = entry(3, "192.0.2.9/32", 3);
        assert_eq!(
            put(&mut tables, 3, "192.0.2.9/32", 9),
            Some(Touched::Address(place))
        );
        assert_eq!(put(&mut tables, 3, "192.0.2.9/32", 3), None);
        for changed in [
            Address {
                valid: None,
                ..address.clone()
            },
            Address {
                protocol: None,
                ..address.clone()
            },
            Address {
                tentative: true,
                ..address.clone()
            },
        ] {
            let word = Word::Address(place, changed);
            assert_eq!(tables.take(word), Some(Touched::Address(place)));
            address.valid = Some(Duration::from_secs(1));
            tables.take(Word::Address(place, address.clone()));
        }
        assert!(tables.take(gone(place)).is_some());
        assert_eq!(tables.take(gone(place)), None);
    }

    #[test]
    fn names_follow_their_interfaces() {
        let mut tables = Tables::default();
        let index = |tables: &Tables, name: &str| tables.link(name).map(|link: &Link| link.index);
        tables.take(link(3, "eth0", &["uplink"]));
        assert_eq!(tables.take(link(3, "eth0", &["uplink"])), None);
        assert_eq!(index(&tables, "uplink"), Some(3));
        let renamed = tables.take(link(3, "eth9", &[])).unwrap();
        let all = ["eth0", "uplink", "eth9"].map(str::to_owned).to_vec();
        assert_eq!(renamed, Touched::Interface(all));
        tables.take(link(4, "eth0", &[]));
        let found = ["eth0", "eth9", "uplink"].map(|name| index(&tables, name));
        assert_eq!(found, [Some(4), Some(3), None]);
        // Word of the end of an interface whose name another one has by now.
        tables.take(link(3, "eth0", &[]));
        tables.take(Word::LinkGone(4));
        assert_eq!(index(&tables, "eth0"), Some(3));
        assert_eq!(tables.take(Word::LinkGone(4)), None);
    }

    #[test]
    fn an_interface_takes_its_addresses_along() {
        let mut tables = Tables::default();
        tables.take(link(3, "eth0", &[]));
        tables.take(link(4, "eth1", &[]));
        put(&mut tables, 3, "192.0.2.9/32", 9);
        put(&mut tables, 4, "192.0.2.9/32", 9);
        let vip = "192.0.2.9".parse().unwrap();
        let carriers = |tables: &Tables| -> Vec<u32> {
            tables.carriers_of(vip).map(|link| link.index).collect()
        };
        assert_eq!(carriers(&tables), [3, 4]);
        tables.take(Word::LinkGone(3));
        assert_eq!(carriers(&tables), [4]);
        assert_eq!(tables.at(3, vip).count(), 0);
    }

    #[test]
    fn an_interface_that_asks_to_tell_the_neighbours_is_counted() {
        let mut tables = Tables::default();
        let asking = |asks| {
            let Word::Link { link, .. } = link(3, "bond0", &[]) else {
                panic!("not a link")
            };
            Word::Link {
                link,
                asks_to_tell: asks,
            }
        };
        tables.take(asking(false));
        assert!(tables.take(asking(true)).is_some());
        assert_eq!(tables.take(asking(false)), None);
        assert!(tables.take(asking(true)).is_some());
        assert_eq!(tables.link("bond0").unwrap().moves, 2);
    }
}
