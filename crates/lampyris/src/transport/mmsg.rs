//! Many datagrams for one system call: `recvmmsg(2)` and `sendmmsg(2)`.
//!
//! In: a socket and, to send, datagrams. Out: what came, or how many went. A system call per datagram costs several
//! microseconds here, more than parsing it. This is the one place of the crate that talks to the kernel by hand.

use nix::libc;
use socket2::{SockAddr, SockAddrStorage};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Most datagrams of one call.
pub(crate) const BATCH: usize = 32;
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

/// Sends the datagrams in order, at most a batch, and returns how many went (at least one).
///
/// # Errors
/// None went: `WouldBlock` where the socket's buffer is full, else what is wrong with the first.
#[allow(unsafe_code)]
pub(crate) fn send<'d>(
    socket: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (SocketAddr, &'d [u8])>,
) -> io::Result<usize> {
    let mut names: [Option<SockAddr>; BATCH] = std::array::from_fn(|_| None);
    let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut count = 0;
    for ((remote, bytes), (name, vector)) in datagrams.zip(names.iter_mut().zip(&mut vectors)) {
        *name = Some(remote.into());
        *vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        count += 1;
    }
    if count == 0 {
        return Ok(0);
    }
    let mut headers: [libc::mmsghdr; BATCH] = std::array::from_fn(|at| {
        // SAFETY: all-zero is a valid mmsghdr: null pointers with zero lengths.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        if let Some(name) = &names[at] {
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
        }
        header.msg_hdr.msg_iov = &raw mut vectors[at];
        header.msg_hdr.msg_iovlen = 1;
        header
    });
    // SAFETY: the first `count` headers point at names and vectors of the same index, and those at the datagrams; all
    // outlive the call, and sendmmsg reads them only (`msg_len` apart).
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            u32::try_from(count).unwrap_or(1),
            libc::MSG_DONTWAIT,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
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
                let n = send(from.as_fd(), left.iter().map(|d| (remote, &d[..]))).expect("sends");
                left = &left[n..];
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
}
