//! Pure: the groups of a cluster: trigger keys, and the addresses that follow them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The directory in a host's own that the files of many groups lie in.
pub(super) const GROUPS: &str = "groups";

/// The folder that the trigger keys of many groups lie in.
const FOLDER: &str = "service/vip/";

/// A trigger key and the address that follows it, as on every host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    key: String,
    address: IpAddr,
    prefix: u8,
    file: String,
}

impl Group {
    /// Returns the only group of a cluster.
    pub(super) fn only(address: Ipv4Addr, key: &str) -> Self {
        Self {
            key: key.to_owned(),
            address: address.into(),
            prefix: 24,
            file: "vip-manager.yml".to_owned(),
        }
    }

    /// Returns one of many, by its number from 1 on: odd ones have an IPv4 address, even ones an IPv6
    /// address, and all keys lie in one folder.
    pub fn numbered(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        let v4 = Ipv4Addr::new(10, 77, 0x80 | high, low);
        let v6 = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 1, number);
        let (address, prefix) = if number % 2 == 1 {
            (v4.into(), 32)
        } else {
            (v6.into(), 128)
        };
        Self {
            key: format!("{FOLDER}{number:04}"),
            address,
            prefix,
            file: format!("{GROUPS}/{number:04}.yml"),
        }
    }

    /// Returns its trigger key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns its virtual IP.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Returns the path of its file in a host's directory.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns what that file says on a host, which the daemon reads, and vip-manager from 1.0 on.
    pub fn yaml(&self, host: &str) -> String {
        let Self {
            key,
            address,
            prefix,
            file: _,
        } = self;
        format!(
            "ip: {address}\nnetmask: {prefix}\ninterface: eth0\ntrigger-key: {key}\ntrigger-value: {host}\n\
             dcs-type: consul\ndcs-endpoints:\n  - http://127.0.0.1:8500\nmanager-type: basic\n\
             interval: 1000\nretry-after: 250\nretry-num: 2\n"
        )
    }
}

impl fmt::Display for Group {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.key(), self.address())
    }
}

/// Returns the numbers of those of `groups` groups that a client asks: `limit` at most, spread over all of
/// them, and of both families in turn.
pub(super) fn asked(groups: usize, limit: usize) -> Vec<usize> {
    let asked = groups.min(limit);
    let spread = |number: usize| number * groups / asked;
    (0..asked)
        .map(|number| match spread(number) {
            even if asked < groups && even % 2 != number % 2 && even + 1 < groups => even + 1,
            even => even,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_groups_have_anything_in_common() {
        let groups: Vec<Group> = (1..=1000).map(Group::numbered).collect();
        let addresses: BTreeSet<IpAddr> = groups.iter().map(Group::address).collect();
        let files: BTreeSet<&str> = groups.iter().map(Group::file).collect();
        assert_eq!((addresses.len(), files.len()), (1000, 1000));
        assert_eq!(addresses.iter().filter(|one| one.is_ipv4()).count(), 500);
    }

    #[test]
    fn who_is_asked_is_spread_and_of_both_families() {
        assert_eq!(asked(1, 10), [0]);
        assert_eq!(asked(3, 10), [0, 1, 2]);
        for groups in [12, 20, 100, 200, 1000] {
            let asked = asked(groups, 10);
            let different: BTreeSet<_> = asked.iter().collect();
            assert_eq!(different.len(), 10, "{asked:?}");
            let odd = asked.iter().filter(|number| *number % 2 == 1).count();
            assert!((4..=6).contains(&odd), "{asked:?}");
            assert!(asked[9] < groups && asked[9] + groups / 5 >= groups);
        }
    }
}
