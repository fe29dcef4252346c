//! Many datagrams for one system call: `recvmmsg(2)` and `sendmmsg(2)`.
//!
//! In: a socket and, to send, datagrams. Out: what came, or how many went. A system call per datagram costs several
//! microseconds here, more than parsing it, and so does the way of each through the kernel: datagrams of one length to one
//! address that follow one another take it together (`UDP_SEGMENT`, udp(7)). This is the one place of the crate that talks
//! to the kernel by hand.

use nix::libc;
use socket2::{SockAddr, SockAddrStorage};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Most datagrams received by one call.
pub(crate) const BATCH: usize = 32;
/// Most datagrams sent by one call.
const SENT_BATCH: usize = 64;
/// The longest datagram that goes together with others: one that Ethernet carries whole, below IPv6 and UDP.
const JOINED_BYTES_MAX: usize = 1500 - 48;
/// Most bytes that go together.
const RUN_BYTES_MAX: usize = 65_000;
/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Where datagrams are received into, again and again.
pub(crate) struct Buffers(Vec<u8>);

impl Default for Buffers {
    /// Room for a batch. The system gives memory only to the parts that are written.
    fn default() -> Self {
        Self(vec![0; BATCH * DATAGRAM_BYTES_MAX])
    }
}

/// Hands what has come, at most a batch, to `each`, and returns how many that were.
///
/// # Errors
/// `WouldBlock` where there is nothing, else what the system says.
#[allow(unsafe_code)]
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffers: &mut Buffers,
    mut each: impl FnMut(SocketAddr, &[u8]),
) -> io::Result<usize> {
    let mut names: [SockAddrStorage; BATCH] = std::array::from_fn(|_| SockAddrStorage::zeroed());
    let mut chunks = buffers.0.chunks_exact_mut(DATAGRAM_BYTES_MAX);
    let mut vectors: [libc::iovec; BATCH] = std::array::from_fn(|_| {
        let chunk = chunks.next().unwrap_or_default();
        libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: chunk.len() }
    });
    let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|at| {
        // SAFETY: all-zero is a valid mmsghdr: null pointers with zero lengths.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_name = (&raw mut names[at]).cast();
        header.msg_hdr.msg_namelen = names[at].size_of();
        header.msg_hdr.msg_iov = &raw mut vectors[at];
        header.msg_hdr.msg_iovlen = 1;
        header
    });
    // SAFETY: every header points at a name and a vector of the same index, and every vector at a chunk of the buffers;
    // all of them outlive the call, and the chunks do not overlap.
    let count = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            u32::try_from(BATCH).unwrap_or(1),
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    for ((header, name), chunk) in
        headers.iter().zip(names).zip(buffers.0.chunks_exact(DATAGRAM_BYTES_MAX)).take(count)
    {
        // SAFETY: the kernel wrote `msg_namelen` bytes of address into the name.
        let name = unsafe { SockAddr::new(name, header.msg_hdr.msg_namelen) };
        let bytes = usize::try_from(header.msg_len).ok().and_then(|len| chunk.get(..len));
        if let (Some(remote), Some(bytes)) = (name.as_socket(), bytes) {
            each(remote, bytes);
        }
    }
    Ok(count)
}

/// Datagrams that take their way through the kernel together.
#[derive(Clone, Copy)]
struct Run {
    remote: SocketAddr,
    /// How many they are.
    count: usize,
    /// The length of each but the last, which may be shorter.
    each: usize,
    bytes: usize,
}

impl Run {
    fn takes(&self, remote: SocketAddr, len: usize) -> bool {
        self.remote == remote
            && self.bytes == self.count * self.each
            && (1..=self.each.min(JOINED_BYTES_MAX)).contains(&len)
            && self.each <= JOINED_BYTES_MAX
            && self.bytes + len <= RUN_BYTES_MAX
    }
}

/// The control message that says where a run is cut.
#[derive(Clone, Copy)]
#[repr(C)]
struct Cut {
    header: libc::cmsghdr,
    each: u16,
}

impl Cut {
    #[allow(unsafe_code)]
    fn every(bytes: usize) -> Self {
        // SAFETY: all-zero is a valid cmsghdr: numbers.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = std::mem::offset_of!(Self, each) + size_of::<u16>();
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self { header, each: u16::try_from(bytes).unwrap_or(0) }
    }
}

/// Whether the kernel takes datagrams that go together (Linux 4.18).
pub(crate) fn can_join(socket: BorrowedFd<'_>) -> bool {
    nix::sys::socket::getsockopt(&socket, nix::sys::socket::sockopt::UdpGsoSegment).is_ok()
}

/// What a failed [`send`] stopped at.
pub(crate) struct Unsent {
    /// What the system says.
    pub(crate) error: io::Error,
    /// So many datagrams were to go together.
    pub(crate) together: usize,
}

/// Sends the datagrams in order, at most a batch, and returns how many went (at least one); `joined`: together where they
/// can.
///
/// # Errors
/// None went: `WouldBlock` where the socket's buffer is full, else what is wrong with the first.
#[allow(unsafe_code)]
pub(crate) fn send<'d>(
    socket: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (SocketAddr, &'d [u8])>,
    joined: bool,
) -> Result<usize, Unsent> {
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; SENT_BATCH];
    let mut runs: Vec<Run> = Vec::with_capacity(SENT_BATCH);
    for ((remote, bytes), vector) in datagrams.zip(&mut vectors) {
        *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        match runs.last_mut().filter(|run| joined && run.takes(remote, bytes.len())) {
            Some(run) => (run.count, run.bytes) = (run.count + 1, run.bytes + bytes.len()),
            None => runs.push(Run { remote, count: 1, each: bytes.len(), bytes: bytes.len() }),
        }
    }
    if runs.is_empty() {
        return Ok(0);
    }
    let mut names: Vec<SockAddr> = runs.iter().map(|run| run.remote.into()).collect();
    let mut cuts: Vec<Cut> = runs.iter().map(|run| Cut::every(run.each)).collect();
    let mut left = &mut vectors[..];
    let places = runs.iter().zip(names.iter_mut().zip(&mut cuts));
    let mut headers: Vec<libc::mmsghdr> = places
        .map(|(run, (name, cut))| {
            let (own, others) = std::mem::take(&mut left).split_at_mut(run.count);
            left = others;
            // SAFETY: all-zero is a valid mmsghdr: null pointers with zero lengths.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = own.as_mut_ptr();
            header.msg_hdr.msg_iovlen = own.len();
            if run.count > 1 {
                header.msg_hdr.msg_control = std::ptr::from_mut(cut).cast();
                header.msg_hdr.msg_controllen = size_of::<Cut>();
            }
            header
        })
        .collect();
    // SAFETY: each header points at a name, a control message and as many vectors as its run has, and those at the
    // datagrams; all outlive the call, and sendmmsg reads them only (`msg_len` apart).
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            u32::try_from(headers.len()).unwrap_or(1),
            libc::MSG_DONTWAIT,
        )
    };
    match usize::try_from(sent) {
        Ok(sent) => Ok(runs.iter().take(sent).map(|run| run.count).sum()),
        Err(_) => Err(Unsent { error: io::Error::last_os_error(), together: runs[0].count }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd as _;

    #[test]
    fn batches_arrive_whole_in_order_and_with_their_senders() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(from) = UdpSocket::bind(address) else { continue };
            let to = UdpSocket::bind(address).expect("binds as the first did");
            let sent: Vec<Vec<u8>> =
                (0..40_u16).map(|n| n.to_be_bytes().repeat(usize::from(n) * 10)).collect();
            let mut left = &sent[..];
            while !left.is_empty() {
                let remote = to.local_addr().expect("bound");
                let n = send(from.as_fd(), left.iter().map(|d| (remote, &d[..])), false);
                left = &left[n.map_err(|unsent| unsent.error).expect("sends")..];
            }
            let (mut got, mut buffers) = (Vec::new(), Buffers::default());
            while got.len() < sent.len() {
                let each = |remote, bytes: &[u8]| {
                    assert_eq!(remote, from.local_addr().expect("bound"));
                    got.push(bytes.to_vec());
                };
                receive(to.as_fd(), &mut buffers, each).expect("loopback keeps them");
            }
            assert_eq!(got, sent);
            let none = receive(to.as_fd(), &mut buffers, |_, _| {}).expect_err("nothing left");
            assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn what_goes_together_is_received_as_it_was_given() {
        let from = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let to = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("binds"));
        to.iter().for_each(|to| to.set_nonblocking(true).expect("a socket"));
        let remotes = to.each_ref().map(|to| to.local_addr().expect("bound"));
        // Receiver and length; what is longer than Ethernet carries, empty, or not of the length before goes alone.
        let rows = [
            (0, 700),
            (0, 700),
            (0, 700),
            (0, 30),
            (0, 30),
            (1, 30),
            (1, 0),
            (1, 9),
            (0, 9),
            (1, 2000),
            (1, 2000),
        ];
        let rows = rows.iter().chain(&[(0, 1400); 60]);
        let sent: Vec<(usize, Vec<u8>)> =
            rows.zip(0_u8..).map(|(&(receiver, len), n)| (receiver, vec![n; len])).collect();
        let (joined, mut left) = (can_join(from.as_fd()), &sent[..]);
        while !left.is_empty() {
            let n = send(from.as_fd(), left.iter().map(|(to, d)| (remotes[*to], &d[..])), joined);
            left = &left[n.map_err(|unsent| unsent.error).expect("sends")..];
        }
        for (at, to) in to.iter().enumerate() {
            let (mut got, mut buffers) = (Vec::new(), Buffers::default());
            while receive(to.as_fd(), &mut buffers, |_, bytes| got.push(bytes.to_vec())).is_ok() {}
            let expected: Vec<_> = sent.iter().filter(|(to, _)| *to == at).map(|(_, d)| d.clone()).collect();
            assert_eq!(got, expected);
        }
    }
}
