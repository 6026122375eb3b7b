//! Driver: asks the kernel for what is this host's own: secrets, and the address it sends from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::election::candidate::Secret;

/// The kernel gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the kernel gives no random numbers for a secret")]
pub struct NoRandomness;

/// Returns a secret that nobody has seen before.
///
/// # Errors
///
/// When the kernel has no random numbers, as in a sandbox that forbids asking.
pub fn fresh_secret() -> Result<Secret, NoRandomness> {
    let mut secret = Secret([0; 32]);
    SystemRandom::new()
        .fill(&mut secret.0)
        .map_err(|_| NoRandomness)?;
    Ok(secret)
}

/// Returns the addresses that the kernel would send from: to these, and then to anywhere.
pub fn sources(towards: &[IpAddr]) -> Vec<IpAddr> {
    let destinations = towards.iter().copied().chain(ANYWHERE);
    destinations.filter_map(source_towards).collect()
}

/// Anywhere but here, for asking the kernel which way it would go: addresses for documentation
/// (RFC 5737, RFC 3849).
const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// `None` where the kernel knows no way. Sends nothing.
fn source_towards(destination: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match destination {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A connected UDP socket has looked its route up; the port is of no meaning.
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((destination, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_secrets_are_alike() {
        assert_ne!(fresh_secret().unwrap(), fresh_secret().unwrap());
    }

    #[test]
    fn towards_this_host_the_source_is_this_host() {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(sources(&[here]).first(), Some(&here));
    }
}
