//! Sockets. Addresses and options are the host's bytes, but for the order of an address's family and of the numbers of interfaces.

use super::confine::Peer;
use super::data::{Layout, Reader, Writer};
use super::errno::Errno;
use super::fs::HOST;
use super::host::{self, Arg};
use super::netlink;
use super::table::{Args, SysResult};
use super::thread::Thread;
use super::user::MAX_TRANSFER;

/// The longest address (`sockaddr_storage`).
const ADDRESS: usize = 128;
/// The longest control data that a message may carry.
const CONTROL: usize = 1 << 16;
/// The most messages of one call (`UIO_MAXIOV`).
const MESSAGES: u32 = 1024;

impl Thread {
    /// A socket address for the host.
    fn read_address(&self, addr: u64, len: i32) -> Result<Vec<u8>, Errno> {
        let len = usize::try_from(len).ok().filter(|&n| n <= ADDRESS).ok_or(Errno::EINVAL)?;
        let mut bytes = self.read(addr, len)?;
        self.swap_numbers(&mut bytes);
        Ok(bytes)
    }

    /// The family is in the machine's order, and some families' numbers; all else is in the network's.
    fn swap_numbers(&self, bytes: &mut [u8]) {
        if !self.layout().big || bytes.len() < 2 {
            return;
        }
        bytes.swap(0, 1);
        // One of the two bytes is zero, whichever way they are. Where numbers are and how long:
        let numbers: &[(usize, usize)] = match i32::from(bytes[0] | bytes[1]) {
            // The interface of a local address.
            libc::AF_INET6 => &[(24, 4)],
            // Port and groups.
            libc::AF_NETLINK => &[(4, 4), (8, 4)],
            // Interface and the kind of its hardware.
            libc::AF_PACKET => &[(4, 4), (8, 2)],
            // Port and machine.
            libc::AF_VSOCK => &[(4, 4), (8, 4)],
            _ => &[],
        };
        for &(start, len) in numbers {
            bytes.get_mut(start..start + len).unwrap_or_default().reverse();
        }
    }

    /// Gives an address of `len` bytes, cut to the room that the guest has; the length as it is.
    /// As in the kernel, who asks for a connection's or message's sender with a bad pointer has lost both.
    fn give_address(&self, addr: u64, len_at: u64, bytes: &mut [u8], len: u32) -> Result<(), Errno> {
        let room = self.read_u32(len_at)?;
        if room > i32::MAX as u32 {
            return Err(Errno::EINVAL);
        }
        self.swap_numbers(bytes);
        let count = (len.min(room) as usize).min(bytes.len());
        self.write(addr, &bytes[..count])?;
        self.write_u32(len_at, len)
    }
}

/// `socket`.
pub(super) fn socket(t: &mut Thread, a: &Args) -> SysResult {
    if a.int(0) == libc::AF_NETLINK && !netlink::is_translated(&*t.process.abi, a.int(2)) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let kind = t.process.abi.socket_type_to_host(a.int(1));
    t.may_open_socket(a.int(0), kind, a.int(2))?;
    host::call(libc::SYS_socket, &[a.int(0).into(), kind.into(), a.int(2).into()])
}

/// `socketpair`.
pub(super) fn socketpair(t: &mut Thread, a: &Args) -> SysResult {
    let kind = t.process.abi.socket_type_to_host(a.int(1));
    t.may_open_socket(a.int(0), kind, a.int(2))?;
    let mut pair = [0i32; 2];
    host::call(libc::SYS_socketpair, &[a.int(0).into(), kind.into(), a.int(2).into(), Arg::from_mut(&mut pair)])?;
    super::files::give_pair(t, a.get(3), pair)
}

/// `bind`. The path of a local socket is the host's.
pub(super) fn bind(t: &mut Thread, a: &Args) -> SysResult {
    let address = t.confine_address(t.read_address(a.get(1), a.int(2))?, Peer::Own)?;
    host::call(libc::SYS_bind, &[a.int(0).into(), Arg::input(&address), address.len().into()])
}

/// `listen`.
pub(super) fn listen(t: &mut Thread, a: &Args) -> SysResult {
    t.may_listen(a.int(0))?;
    host::call(libc::SYS_listen, &[a.int(0).into(), a.int(1).into()])
}

/// `connect`.
pub(super) fn connect(t: &mut Thread, a: &Args) -> SysResult {
    let address = t.confine_address(t.read_address(a.get(1), a.int(2))?, Peer::Connected)?;
    host::blocking(libc::SYS_connect, &[a.int(0).into(), Arg::input(&address), address.len().into()])
}

/// A call that gives an address: `(fd, address, length, flags)`.
fn answers_address(t: &Thread, a: &Args, number: i64, flags: i32) -> SysResult {
    if a.get(1) == 0 && number == libc::SYS_accept4 {
        return host::blocking(number, &[a.int(0).into(), Arg::NULL, Arg::NULL, flags.into()]);
    }
    let (mut bytes, mut len) = ([0; ADDRESS], ADDRESS as u32);
    let args = [a.int(0).into(), Arg::output(&mut bytes), Arg::from_mut(&mut len), flags.into()];
    let result = host::blocking(number, &args)?;
    let given = t.give_address(a.get(1), a.get(2), &mut bytes, len);
    if given.is_err() && number == libc::SYS_accept4 {
        let _ = host::call(libc::SYS_close, &[result.into()]);
    }
    given?;
    Ok(result)
}

/// `accept`.
pub(super) fn accept(t: &mut Thread, a: &Args) -> SysResult {
    answers_address(t, a, libc::SYS_accept4, 0)
}

/// `accept4`.
pub(super) fn accept4(t: &mut Thread, a: &Args) -> SysResult {
    let flags = t.process.abi.socket_type_to_host(a.int(3));
    answers_address(t, a, libc::SYS_accept4, flags)
}

/// `getsockname`.
pub(super) fn getsockname(t: &mut Thread, a: &Args) -> SysResult {
    answers_address(t, a, libc::SYS_getsockname, 0)
}

/// `getpeername`.
pub(super) fn getpeername(t: &mut Thread, a: &Args) -> SysResult {
    answers_address(t, a, libc::SYS_getpeername, 0)
}

/// `sendto`.
pub(super) fn sendto(t: &mut Thread, a: &Args) -> SysResult {
    let changed = netlink::to_send(t, a.int(0), || Ok(vec![[a.get(1), a.get(2)]]))?;
    let data = match &changed {
        Some(messages) => Arg::input(messages),
        None => t.source(a.get(1), a.get(2).min(MAX_TRANSFER)),
    };
    let address = match a.get(4) {
        0 => Vec::new(),
        addr => t.confine_address(t.read_address(addr, a.int(5))?, Peer::Addressed)?,
    };
    let place = if a.get(4) == 0 { Arg::NULL } else { Arg::input(&address) };
    let args = [a.int(0).into(), data, a.get(2).into(), a.int(3).into(), place, address.len().into()];
    host::blocking(libc::SYS_sendto, &args)
}

/// `recvfrom`.
pub(super) fn recvfrom(t: &mut Thread, a: &Args) -> SysResult {
    let data = t.target(a.get(1), a.get(2).min(MAX_TRANSFER));
    let (mut bytes, mut len) = ([0; ADDRESS], ADDRESS as u32);
    let parts = || Ok(vec![[a.get(1), a.get(2)]]);
    if a.get(4) == 0 {
        let args = [a.int(0).into(), data, a.get(2).into(), a.int(3).into()];
        let received = host::blocking(libc::SYS_recvfrom, &args)?;
        netlink::received(t, a.int(0), received, parts)?;
        return Ok(received);
    }
    let place = (Arg::output(&mut bytes), Arg::from_mut(&mut len));
    let args = [a.int(0).into(), data, a.get(2).into(), a.int(3).into(), place.0, place.1];
    let received = host::blocking(libc::SYS_recvfrom, &args)?;
    netlink::received(t, a.int(0), received, parts)?;
    t.give_address(a.get(4), a.get(5), &mut bytes, len)?;
    Ok(received)
}

/// What an option's value is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Words of 32 bits.
    Words,
    /// `struct timeval` of longs.
    Time,
    /// Bytes of no order.
    Bytes,
    /// `struct sock_fprog`: a length and a pointer to instructions.
    Filter,
}

fn value_of(level: i32, name: i32, len: usize) -> Value {
    match (level, name) {
        (libc::SOL_SOCKET, libc::SO_RCVTIMEO | libc::SO_SNDTIMEO) => Value::Time,
        (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER) => Value::Filter,
        (libc::SOL_SOCKET, libc::SO_BINDTODEVICE) => Value::Bytes,
        (libc::IPPROTO_TCP, libc::TCP_CONGESTION) => Value::Bytes,
        (libc::SOL_SOCKET | libc::IPPROTO_TCP | libc::IPPROTO_UDP | libc::SOL_NETLINK, _) => Value::Words,
        // An address; the other options of four bytes are numbers.
        (libc::IPPROTO_IP, libc::IP_MULTICAST_IF) => Value::Bytes,
        (libc::IPPROTO_IP | libc::IPPROTO_IPV6, _) if len == 4 => Value::Words,
        _ => Value::Bytes,
    }
}

/// The new names of `SO_RCVTIMEO` and `SO_SNDTIMEO`, with 64-bit times on every machine: the host's `timeval`.
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;

fn swap_words(bytes: &mut [u8], layout: Layout) {
    if layout.big {
        bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    }
}

/// Bytes of most options.
const INT: usize = 4;

/// `setsockopt`.
pub(super) fn setsockopt(t: &mut Thread, a: &Args) -> SysResult {
    let (level, name) = t.process.abi.socket_option_to_host(a.int(1), a.int(2));
    t.may_set_option(level, name)?;
    let len = usize::try_from(a.int(4)).map_err(|_| Errno::EINVAL)?;
    // Options that are shorter than they are said to be are taken; nobody reads more than this.
    let len = len.min(CONTROL);
    let layout = t.layout();
    let timeout = matches!((level, name), (libc::SOL_SOCKET, SO_RCVTIMEO_NEW | SO_SNDTIMEO_NEW));
    let mut bytes = match a.get(3) {
        0 => Vec::new(),
        place => t.read(place, len).or_else(|e| if len > INT { t.read(place, INT) } else { Err(e) })?,
    };
    let mut filter = Vec::new();
    match value_of(level, name, len) {
        _ if timeout && bytes.len() < 16 => return Err(Errno::EINVAL),
        _ if timeout => bytes = super::fs::transcode(&[8, 8], &bytes, layout, HOST),
        Value::Time if len >= 2 * layout.long => {
            let mut r = Reader::new(layout, &bytes);
            bytes = Writer::new(HOST).i64(r.slong()).i64(r.slong()).finish();
        }
        Value::Time => return Err(Errno::EINVAL),
        Value::Filter => {
            let mut r = Reader::new(layout, &bytes);
            let (count, at) = (r.u16(), r.long());
            let code = t.read(at, usize::from(count) * 8)?;
            let widths = [2, 1, 1, 4].repeat(usize::from(count));
            filter = super::fs::transcode(&widths, &code, layout, HOST);
            bytes = Writer::new(HOST).u16(count).long(Arg::input(&filter).raw() as u64).finish();
        }
        Value::Words => swap_words(&mut bytes, layout),
        Value::Bytes => {}
    }
    let place = if a.get(3) == 0 { Arg::NULL } else { Arg::input(&bytes) };
    let len = if a.get(3) == 0 { len } else { bytes.len() };
    let result = host::call(libc::SYS_setsockopt, &[a.int(0).into(), level.into(), name.into(), place, len.into()]);
    drop(filter);
    result
}

/// `getsockopt`.
pub(super) fn getsockopt(t: &mut Thread, a: &Args) -> SysResult {
    let (level, name) = t.process.abi.socket_option_to_host(a.int(1), a.int(2));
    let layout = t.layout();
    let room = t.read_u32(a.get(4))?;
    if room > i32::MAX as u32 {
        return Err(Errno::EINVAL);
    }
    let value = value_of(level, name, room as usize);
    let mut len = if value == Value::Time { 16 } else { room.min(CONTROL as u32) };
    let mut bytes = vec![0; len.max(16) as usize];
    let args = [a.int(0).into(), level.into(), name.into(), Arg::output(&mut bytes), Arg::from_mut(&mut len)];
    let result = host::call(libc::SYS_getsockopt, &args)?;
    bytes.truncate(len as usize);
    match value {
        Value::Time => {
            let mut r = Reader::new(HOST, &bytes);
            bytes = Writer::new(layout).long(r.u64()).long(r.u64()).finish();
            bytes.truncate(room as usize);
        }
        Value::Words => {
            if let (libc::SOL_SOCKET, Some(word)) = (level, bytes.first_chunk_mut()) {
                *word = option_to_guest(t, name, i32::from_le_bytes(*word)).to_le_bytes();
            }
            swap_words(&mut bytes, layout);
        }
        Value::Bytes | Value::Filter => {}
    }
    t.write(a.get(3), &bytes)?;
    t.write_u32(a.get(4), bytes.len() as u32)?;
    Ok(result)
}

/// The value of an option of `SOL_SOCKET` that is numbered another way.
fn option_to_guest(t: &Thread, name: i32, value: i32) -> i32 {
    match name {
        libc::SO_ERROR if value != 0 => t.process.abi.errno_to_guest(Errno(value)),
        libc::SO_TYPE => t.process.abi.socket_type_to_guest(value),
        _ => value,
    }
}

/// A guest's `struct msghdr`.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    name: u64,
    name_len: u32,
    iov: u64,
    iov_len: u64,
    control: u64,
    control_len: u64,
    flags: u32,
}

fn message_size(layout: Layout) -> usize {
    7 * layout.long
}

impl Thread {
    fn read_message(&self, addr: u64) -> Result<Message, Errno> {
        self.with_struct(addr, message_size(self.layout()), |r| Message {
            name: r.long(),
            name_len: r.u32(),
            iov: r.long(),
            iov_len: r.long(),
            control: r.long(),
            control_len: r.long(),
            flags: r.u32(),
        })
    }

    /// Control data between the guest's layout and the host's: each header is a length (a long), a level and a type, aligned to longs.
    fn convert_control(&self, bytes: &[u8], to_guest: bool, room: usize) -> (Vec<u8>, bool) {
        let abi = &self.process.abi;
        let (from, to) = if to_guest { (HOST, abi.layout()) } else { (abi.layout(), HOST) };
        let (head_from, head_to) = (from.long + 8, to.long + 8);
        let mut all = Vec::new();
        let mut at = 0;
        while at + head_from <= bytes.len() {
            let mut r = Reader::new(from, &bytes[at..]);
            let (len, level, kind) = (r.long() as usize, r.i32(), r.i32());
            let level = if to_guest { abi.socket_level_to_guest(level) } else { abi.socket_option_to_host(level, 0).0 };
            if len < head_from || at + len > bytes.len() {
                break;
            }
            let mut data = bytes[at + head_from..at + len].to_vec();
            if from.big != to.big {
                data.chunks_exact_mut(4).for_each(<[u8]>::reverse);
            }
            let fits = room.saturating_sub(all.len() + head_to);
            if all.len() + head_to > room || data.len() > fits && fits < 4 {
                return (all, true);
            }
            let cut = data.len() > fits;
            data.truncate(fits);
            let mut w = Writer::new(to);
            w.long((head_to + data.len()) as u64).i32(level).i32(kind).raw(&data);
            all.extend(w.finish());
            if cut {
                return (all, true);
            }
            let padded = all.len().next_multiple_of(to.long).min(room);
            all.resize(padded, 0);
            at += len.next_multiple_of(from.long);
        }
        (all, false)
    }

    fn send_message(&self, fd: i32, addr: u64, flags: i32) -> SysResult {
        let m = self.read_message(addr)?;
        let name = match m.name {
            0 => Vec::new(),
            addr => {
                let name = self.read_address(addr, m.name_len.min(ADDRESS as u32) as i32)?;
                if name.is_empty() { name } else { self.confine_address(name, Peer::Addressed)? }
            }
        };
        if m.control_len > CONTROL as u64 {
            return Err(Errno::ENOBUFS);
        }
        if m.iov_len > u64::from(MESSAGES) {
            return Err(Errno::EMSGSIZE);
        }
        let control = if m.control == 0 { Vec::new() } else { self.read(m.control, m.control_len as usize)? };
        let (control, _) = self.convert_control(&control, false, 2 * CONTROL);
        self.may_send_control(&control)?;
        let mut iov = self.iovec(m.iov, m.iov_len, false)?;
        let changed = netlink::to_send(self, fd, || self.raw_iovec(m.iov, m.iov_len))?;
        if let Some(messages) = &changed {
            iov = vec![[Arg::input(messages).raw() as u64, messages.len() as u64]];
        }
        let part = |bytes: &[u8]| if bytes.is_empty() { 0 } else { Arg::input(bytes).raw() as u64 };
        let header = [
            part(&name),
            name.len() as u64,
            Arg::slice(&iov).raw() as u64,
            iov.len() as u64,
            part(&control),
            control.len() as u64,
            0,
        ];
        host::blocking(libc::SYS_sendmsg, &[fd.into(), Arg::slice(&header), flags.into()])
    }

    fn receive_message(&self, fd: i32, addr: u64, flags: i32) -> SysResult {
        let layout = self.layout();
        let m = self.read_message(addr)?;
        if m.iov_len > u64::from(MESSAGES) {
            return Err(Errno::EMSGSIZE);
        }
        let iov = self.iovec(m.iov, m.iov_len, true)?;
        let mut name = [0u8; ADDRESS];
        // The host's headers are larger than a 32-bit guest's: what it does not take is cut below.
        let room = m.control_len.min(CONTROL as u64) as usize;
        let host_room = if layout == HOST || m.control == 0 { room } else { room * 2 + 16 };
        let mut control = vec![0; host_room];
        let name_at = if m.name == 0 { Arg::NULL } else { Arg::output(&mut name) };
        let control_at = if m.control == 0 { Arg::NULL } else { Arg::output(&mut control) };
        let mut header = [
            name_at.raw() as u64,
            if m.name == 0 { 0 } else { ADDRESS as u64 },
            Arg::slice(&iov).raw() as u64,
            iov.len() as u64,
            control_at.raw() as u64,
            if m.control == 0 { 0 } else { host_room as u64 },
            0,
        ];
        let received = host::blocking(libc::SYS_recvmsg, &[fd.into(), Arg::slice_mut(&mut header), flags.into()])?;
        netlink::received(self, fd, received, || self.raw_iovec(m.iov, m.iov_len))?;
        control.truncate(header[5] as usize);
        let (control, cut) = self.convert_control(&control, true, room);
        let name_len = header[1] as u32;
        if m.name != 0 {
            self.swap_numbers(&mut name);
            let count = name_len.min(m.name_len).min(ADDRESS as u32) as usize;
            self.write(m.name, &name[..count])?;
        }
        if m.control != 0 {
            self.write(m.control, &control)?;
        }
        let flags = header[6] as u32 | if cut { libc::MSG_CTRUNC as u32 } else { 0 };
        let result = Message {
            name_len: if m.name == 0 { m.name_len } else { name_len },
            control_len: if m.control == 0 { header[5] } else { control.len() as u64 },
            flags: flags & !(libc::MSG_CMSG_CLOEXEC as u32),
            ..m
        };
        self.write_message(addr, &result)?;
        Ok(received)
    }

    fn write_message(&self, addr: u64, m: &Message) -> Result<(), Errno> {
        let mut w = self.writer();
        w.long(m.name).u32(m.name_len).long(m.iov).long(m.iov_len).long(m.control).long(m.control_len).u32(m.flags);
        self.write(addr, &w.finish())
    }
}

/// `sendmsg`.
pub(super) fn sendmsg(t: &mut Thread, a: &Args) -> SysResult {
    t.send_message(a.int(0), a.get(1), a.int(2))
}

/// `recvmsg`.
pub(super) fn recvmsg(t: &mut Thread, a: &Args) -> SysResult {
    t.receive_message(a.int(0), a.get(1), a.int(2))
}

/// `struct mmsghdr`: a message, then how many bytes it moved.
fn entry(t: &Thread, a: &Args, i: u32) -> (u64, u64) {
    let layout = t.layout();
    let size = message_size(layout) as u64;
    let addr = a.get(1).wrapping_add(u64::from(i) * (size + 4).next_multiple_of(layout.long as u64));
    (addr, addr + size)
}

/// `sendmmsg`.
pub(super) fn sendmmsg(t: &mut Thread, a: &Args) -> SysResult {
    let count = a.uint(2).min(MESSAGES);
    for i in 0..count {
        let (message, len_at) = entry(t, a, i);
        match t.send_message(a.int(0), message, a.int(3)) {
            Ok(sent) => t.write_u32(len_at, sent as u32)?,
            Err(e) if i == 0 => return Err(e),
            Err(_) => return Ok(i.into()),
        }
    }
    Ok(count.into())
}

/// `recvmmsg`: the time-out is looked at after each message, as in the kernel.
pub(super) fn recvmmsg(t: &mut Thread, a: &Args) -> SysResult {
    const WAIT_FOR_ONE: i32 = libc::MSG_WAITFORONE;
    let count = a.uint(2).min(MESSAGES);
    let timeout = t.read_timespec_opt(a.get(4), a.time64)?;
    let limit = match timeout {
        Some(time) if time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec) => return Err(Errno::EINVAL),
        Some(time) => Some(std::time::Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
        None => None,
    };
    let start = std::time::Instant::now();
    let mut flags = a.int(3) & !WAIT_FOR_ONE;
    let mut done = 0;
    while done < count {
        let (message, len_at) = entry(t, a, done);
        match t.receive_message(a.int(0), message, flags) {
            Ok(received) => t.write_u32(len_at, received as u32)?,
            Err(e) if done == 0 => return Err(e),
            Err(_) => break,
        }
        done += 1;
        if a.int(3) & WAIT_FOR_ONE != 0 {
            flags |= libc::MSG_DONTWAIT;
        }
        if limit.is_some_and(|limit| start.elapsed() >= limit) {
            break;
        }
    }
    if let Some(limit) = limit {
        let left = limit.saturating_sub(start.elapsed());
        let left = libc::timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        t.write_timespec(a.get(4), &left, a.time64)?;
    }
    Ok(done.into())
}
