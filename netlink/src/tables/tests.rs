//! What is found, what is new, and what takes what along.

use std::time::Duration;

use super::*;

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
    let carriers =
        |tables: &Tables| -> Vec<u32> { tables.carriers_of(vip).map(|link| link.index).collect() };
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
