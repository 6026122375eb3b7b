//! Hears what others say of who has an address.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockType, bind, recvfrom, socket};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

use crate::announce::link_address;
use crate::claim::Claim;
use crate::error::{Error, Operation};

/// How many frames are taken before others get their turn.
const FRAMES: usize = 64;

/// More than the longest frame that is of interest.
const FRAME: usize = 512;

/// Hears claims on all interfaces. A filter in the kernel keeps everything else away.
#[derive(Debug)]
pub struct Listener {
    /// There until it is dropped.
    socket: Option<AsyncFd<OwnedFd>>,
}

/// To close a packet socket takes until every processor has let go of it (`synchronize_net`), some 10 ms. A handover does
/// not wait for that: another thread does.
impl Drop for Listener {
    fn drop(&mut self) {
        let socket = self.socket.take().map(AsyncFd::into_inner);
        if let (Some(socket), Ok(runtime)) = (socket, Handle::try_current()) {
            runtime.spawn_blocking(move || drop(socket));
        }
    }
}

/// What to listen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Every ARP that is no probe.
    Arp,
    /// Every Neighbor Advertisement.
    Advertisements,
    /// What is said of one address.
    Of(IpAddr),
}

impl Listener {
    /// Opens the socket on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`] without `CAP_NET_RAW`, [`Error::Refused`].
    pub fn open(interest: Interest) -> Result<Self, Error> {
        open(interest)
            .map(|socket| Self {
                socket: Some(socket),
            })
            .map_err(|source| Error::refused(Operation::OpenListener, source))
    }

    /// Waits for the next claim, and returns the number of the interface on which it came.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; it may pass.
    pub async fn next(&self) -> Result<(u32, Claim), Error> {
        let refused = |source| Error::refused(Operation::OpenListener, source);
        let Some(socket) = &self.socket else {
            return std::future::pending().await;
        };
        loop {
            let mut ready = socket.readable().await.map_err(refused)?;
            for _ in 0..FRAMES {
                match receive(socket) {
                    Ok(Some(heard)) => return Ok(heard),
                    // Somebody has set an interface down; the others are still heard.
                    Ok(None) | Err(Errno::EINTR | Errno::ENETDOWN) => {}
                    Err(Errno::EAGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(error) => return Err(refused(error.into())),
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

fn open(interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        // It hears nothing before it is bound, when the filter is there.
        None,
    )?;
    filter(&socket, &program(interest))?;
    let is_arp = match interest {
        Interest::Arp => true,
        Interest::Advertisements => false,
        Interest::Of(address) => address.is_ipv4(),
    };
    let protocol = if is_arp {
        libc::ETH_P_ARP
    } else {
        libc::ETH_P_IPV6
    };
    bind(socket.as_raw_fd(), &link_address(0, protocol)?)?;
    #[expect(
        deprecated,
        reason = "the replacement is unsafe because a type may lie about its descriptor; \
                  `OwnedFd` does not"
    )]
    AsyncFd::new(socket)
}

fn receive(socket: &AsyncFd<OwnedFd>) -> Result<Option<(u32, Claim)>, Errno> {
    let mut frame = [0; FRAME];
    let (length, from) = recvfrom::<LinkAddr>(socket.get_ref().as_raw_fd(), &mut frame)?;
    let claim = Claim::read(frame.get(..length).unwrap_or_default());
    let interface = from.and_then(|from| u32::try_from(from.ifindex()).ok());
    Ok(interface.zip(claim))
}

// Classic BPF (Linux `networking/filter`): the few instructions that are used here.
const LOAD_WORD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// Where an ARP has its sender's address; where IPv6 says what follows; where ICMPv6 has its type, and a Neighbor
/// Advertisement its target.
const ARP_SENDER: u32 = 28;
const NEXT_HEADER: u32 = 20;
const ICMP_TYPE: u32 = 54;
const TARGET: u32 = 62;

fn program(interest: Interest) -> Vec<libc::sock_filter> {
    match interest {
        Interest::Arp => vec![
            code(LOAD_WORD, ARP_SENDER, 0, 0),
            code(IF_EQUAL, 0, 0, 1),
            code(RETURN, 0, 0, 0),
            code(RETURN, FRAME as u32, 0, 0),
        ],
        Interest::Advertisements => all_equal(&advertisement()),
        Interest::Of(IpAddr::V4(address)) => {
            all_equal(&[(LOAD_WORD, ARP_SENDER, address.to_bits())])
        }
        Interest::Of(IpAddr::V6(address)) => {
            let words = address.octets();
            let words = words
                .chunks_exact(4)
                .map(|word| word.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
            let at = (TARGET..).step_by(4);
            let of_target = at.zip(words).map(|(at, word)| (LOAD_WORD, at, word));
            all_equal(
                &advertisement()
                    .into_iter()
                    .chain(of_target)
                    .collect::<Vec<_>>(),
            )
        }
    }
}

const fn advertisement() -> [(u32, u32, u32); 2] {
    [(LOAD_BYTE, NEXT_HEADER, 58), (LOAD_BYTE, ICMP_TYPE, 136)]
}

/// Takes what has each of these values where it is said to be.
fn all_equal(values: &[(u32, u32, u32)]) -> Vec<libc::sock_filter> {
    let mut program = Vec::new();
    for &(load, at, value) in values {
        program.extend([
            code(load, at, 0, 0),
            code(IF_EQUAL, value, 1, 0),
            code(RETURN, 0, 0, 0),
        ]);
    }
    program.push(code(RETURN, FRAME as u32, 0, 0));
    program
}

/// One instruction: how many to skip if so, and if not.
const fn code(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

/// Has the kernel drop what the program returns zero for.
#[expect(
    unsafe_code,
    reason = "nix has no safe option for attaching a filter to a socket"
)]
fn filter(socket: &OwnedFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(invalid)?,
        filter: program.as_ptr().cast_mut(),
    };
    let length = size_of_val(&program) as libc::socklen_t;
    // SAFETY: the option takes a whole sock_fprog, which names `len` instructions that live through the call. The
    // kernel copies them, and writes nothing.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    match done {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
