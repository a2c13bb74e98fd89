//! Sockets in the sandbox: which there are, and whom they may reach.

use super::super::errno::Errno;
use super::super::host::{self, Arg};
use super::super::path::{HostPath, c_string};
use super::super::thread::Thread;
use super::Access;
use crate::sandbox::Network;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStringExt;

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::linux) enum Peer {
    /// To be reached under it.
    Own,
    /// To reach it, from now on.
    Connected,
    /// To reach it once.
    Addressed,
}

/// Bytes before the path of a local socket's address.
const FAMILY: usize = 2;

/// Options by which packets take another way than their address says, or by which the machine does.
const ROUTING: [(i32, i32); 8] = [
    (libc::SOL_SOCKET, libc::SO_BINDTODEVICE),
    (libc::IPPROTO_IP, libc::IP_OPTIONS),
    (libc::IPPROTO_IP, libc::IP_TRANSPARENT),
    (libc::IPPROTO_IPV6, libc::IPV6_RTHDR),
    (libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS),
    (libc::IPPROTO_IPV6, libc::IPV6_RTHDRDSTOPTS),
    // IPV6_2292PKTOPTIONS, all of them at once.
    (libc::IPPROTO_IPV6, 6),
];

/// The Internet address in a socket's.
fn internet(bytes: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16::from_le_bytes([*bytes.first()?, *bytes.get(1)?]));
    match family {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?))),
        _ => None,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(v6.is_loopback(), |v4| v4.is_loopback()),
        IpAddr::V4(v4) => v4.is_loopback(),
    }
}

impl Thread {
    /// May there be a socket of this kind?
    pub(in crate::linux) fn may_open_socket(&self, family: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
        let Some(confined) = self.confined() else { return Ok(()) };
        let kind = kind & 0xf;
        let known = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].contains(&kind);
        let allowed = match (family, confined.policy.network) {
            (libc::AF_UNIX, _) => known,
            (libc::AF_INET | libc::AF_INET6, Network::Loopback | Network::All) => match kind {
                libc::SOCK_STREAM => [0, libc::IPPROTO_TCP].contains(&protocol),
                libc::SOCK_DGRAM => [0, libc::IPPROTO_UDP].contains(&protocol),
                _ => false,
            },
            _ => false,
        };
        if allowed { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// The address for the host, if it may be used. A local one is that of the file that was judged.
    pub(in crate::linux) fn confine_address(&self, bytes: Vec<u8>, peer: Peer) -> Result<Vec<u8>, Errno> {
        let Some(confined) = self.confined() else { return Ok(bytes) };
        let network = confined.policy.network;
        let family = bytes.first_chunk().map_or(-1, |family| i32::from(u16::from_le_bytes(*family)));
        match family {
            libc::AF_UNIX => self.confine_local(bytes, peer, network),
            // It takes a connection back; elsewhere it would count as AF_INET.
            libc::AF_UNSPEC if peer == Peer::Connected => Ok(bytes),
            _ => match (network, internet(&bytes)) {
                (Network::All, Some(_)) => Ok(bytes),
                (Network::Loopback, Some(address)) if is_loopback(address) => Ok(bytes),
                // Cut short: the host says so.
                (_, None) if [libc::AF_INET, libc::AF_INET6].contains(&family) => Ok(bytes),
                _ => Err(Errno::EPERM),
            },
        }
    }

    fn confine_local(&self, bytes: Vec<u8>, peer: Peer, network: Network) -> Result<Vec<u8>, Errno> {
        let path = &bytes[FAMILY..];
        match path.first() {
            // No name: the host chooses one.
            None => return Ok(bytes),
            // The abstract names are the network's.
            Some(0) if network == Network::All => return Ok(bytes),
            Some(0) => return Err(Errno::EPERM),
            Some(_) => {}
        }
        let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
        let path = c_string(OsString::from_vec(path[..end].to_vec()))?;
        self.wanted.set(Access::Write);
        let found = self.confine(HostPath { dirfd: libc::AT_FDCWD, path }, peer != Peer::Own, 0)?;
        if peer == Peer::Own {
            // It is told as it was given. Should a directory on the way have become a link meanwhile, Landlock is in its way.
            return Ok(bytes);
        }
        let mut address = bytes[..FAMILY].to_vec();
        address.extend_from_slice(found.path.to_bytes());
        address.push(0);
        Ok(address)
    }

    /// May a socket wait for connections? One without an address gets one that everybody can reach.
    pub(in crate::linux) fn may_listen(&self, fd: i32) -> Result<(), Errno> {
        let Some(confined) = self.confined() else { return Ok(()) };
        if confined.policy.network != Network::Loopback {
            return Ok(());
        }
        let (mut bytes, mut len) = ([0u8; 128], 128u32);
        host::call(libc::SYS_getsockname, &[fd.into(), Arg::output(&mut bytes), Arg::from_mut(&mut len)])?;
        match internet(&bytes) {
            Some(address) if !is_loopback(address) => Err(Errno::EPERM),
            _ => Ok(()),
        }
    }

    /// May an option of a socket be set?
    pub(in crate::linux) fn may_set_option(&self, level: i32, name: i32) -> Result<(), Errno> {
        let Some(confined) = self.confined() else { return Ok(()) };
        let refused = confined.policy.network != Network::All && ROUTING.contains(&(level, name));
        if refused { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// May a message carry this control data, in the host's layout? Such as would route it only where it may go anywhere.
    pub(in crate::linux) fn may_send_control(&self, control: &[u8]) -> Result<(), Errno> {
        /// Of a header: its length, a long, then level and type.
        const LEVEL: usize = 8;
        let Some(confined) = self.confined() else { return Ok(()) };
        let mut rest = control;
        while let Some(head) = rest.first_chunk::<16>().filter(|_| confined.policy.network != Network::All) {
            let level = i32::from_le_bytes([head[LEVEL], head[LEVEL + 1], head[LEVEL + 2], head[LEVEL + 3]]);
            if [libc::IPPROTO_IP, libc::IPPROTO_IPV6].contains(&level) {
                return Err(Errno::EPERM);
            }
            let len = u64::from_le_bytes([head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7]]);
            let step = (len as usize).max(head.len()).next_multiple_of(8);
            rest = rest.get(step..).unwrap_or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses() {
        let v4 = |a: [u8; 4]| [&[2, 0, 0, 80], &a[..], &[0; 8]].concat();
        let v6 = |text: &str| {
            let address: Ipv6Addr = text.parse().expect("an address");
            [&[10, 0, 0, 80, 0, 0, 0, 0], &address.octets()[..], &[0; 4]].concat()
        };
        let local = |bytes: Vec<u8>| internet(&bytes).is_some_and(is_loopback);
        assert!(local(v4([127, 0, 0, 1])) && local(v4([127, 9, 9, 9])) && local(v6("::1")));
        assert!(local(v6("::ffff:127.0.0.1")) && !local(v6("::ffff:10.0.0.1")));
        assert!(!local(v4([0; 4])) && !local(v4([10, 0, 0, 1])) && !local(v6("::")) && !local(v6("fe80::1")));
        assert!(!local(vec![2, 0]) && !local(vec![]));
    }
}
