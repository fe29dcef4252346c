//! What the two processes of a handover say to each other: JSON behind its length, with descriptors beside it.
//!
//! ```text
//! | length u32 le | JSON ... |     descriptors travel with the length (SCM_RIGHTS, unix(7))
//! ```

use crate::config::Listen;
use lampyris_core::flow::{ListenerId, StreamId, Transport};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Most descriptors beside one message; Linux takes 253.
pub(super) const DESCRIPTORS_MAX: usize = 128;
/// Longest message, in bytes: so many connections, each in the middle of the longest SIP message, as JSON.
const MESSAGE_BYTES_MAX: u32 = 64 << 20;

/// What the new process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromNew {
    /// Its configuration is read, and it can take over.
    Ready {
        /// Its version.
        version: String,
    },
    /// It serves.
    Serving {
        /// Records it took from the store.
        restored: u64,
    },
    /// It cannot.
    Failed {
        /// Why, for people.
        text: String,
    },
}

/// What the old process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromOld {
    /// A listener, with its descriptor.
    Listener {
        /// Its number.
        id: ListenerId,
        /// As it was configured.
        configured: Listener,
        /// As it is bound.
        local: SocketAddr,
    },
    /// Connections, with a descriptor each.
    Streams(Vec<Stream>),
    /// That was all, and the store is closed.
    Over,
}

/// [`Listen`], as it goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listener {
    pub(super) transport: Transport,
    pub(super) address: SocketAddr,
}

impl From<Listen> for Listener {
    fn from(listen: Listen) -> Self {
        Self { transport: listen.transport, address: listen.address }
    }
}

impl From<Listener> for Listen {
    fn from(listener: Listener) -> Self {
        Self { transport: listener.transport, address: listener.address }
    }
}

/// A connection, without its descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) transport: Transport,
    pub(super) listener: ListenerId,
    pub(super) remote: SocketAddr,
    pub(super) accepted: bool,
    pub(super) established: bool,
    pub(super) begun: Vec<u8>,
}

/// Sends one message with its descriptors.
pub(super) fn send<M: Serialize>(
    socket: &mut UnixStream,
    message: &M,
    descriptors: &[RawFd],
) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_le_bytes();
    let rights = [ControlMessage::ScmRights(descriptors)];
    let rights = if descriptors.is_empty() { &[][..] } else { &rights[..] };
    let sent =
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&length)], rights, MsgFlags::MSG_NOSIGNAL, None)?;
    socket.write_all(length.get(sent..).unwrap_or_default())?;
    socket.write_all(&json)
}

/// Receives one message with its descriptors; `UnexpectedEof` where the other process is gone.
pub(super) fn receive<M: for<'de> Deserialize<'de>>(
    socket: &mut UnixStream,
) -> io::Result<(M, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut descriptors = Vec::new();
    let got = {
        let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
        let mut buffers = [IoSliceMut::new(&mut length)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut space), flags)?;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(received) = control {
                descriptors.extend(received.into_iter().map(owned));
            }
        }
        message.bytes
    };
    if got == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    socket.read_exact(length.get_mut(got..).unwrap_or_default())?;
    let length = u32::from_le_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; usize::try_from(length).unwrap_or_default()];
    socket.read_exact(&mut json)?;
    Ok((serde_json::from_slice(&json)?, descriptors))
}

/// A descriptor that the kernel has just given us.
#[allow(unsafe_code)]
fn owned(received: RawFd) -> OwnedFd {
    // SAFETY: recvmsg made this descriptor for us; nobody else knows its number.
    unsafe { OwnedFd::from_raw_fd(received) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn descriptors_arrive_with_their_message_and_an_end_is_told() {
        let (mut old, mut new) = UnixStream::pair().expect("a pair");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let local = listener.local_addr().expect("an address");
        let configured = Listener { transport: Transport::Tcp, address: local };
        let said = FromOld::Listener { id: ListenerId(3), configured, local };
        send(&mut old, &said, &[listener.as_raw_fd()]).expect("sent");
        send(&mut old, &FromOld::Over, &[]).expect("sent");
        drop(listener);
        let (heard, descriptors) = receive::<FromOld>(&mut new).expect("received");
        assert_eq!((heard, descriptors.len()), (said, 1));
        let again = std::net::TcpListener::from(descriptors.into_iter().next().expect("one"));
        assert_eq!(again.local_addr().expect("an address"), local);
        let flags = nix::fcntl::fcntl(again.as_fd(), nix::fcntl::FcntlArg::F_GETFD).expect("flags");
        assert_ne!(flags & nix::fcntl::FdFlag::FD_CLOEXEC.bits(), 0, "not for further programs");
        assert_eq!(receive::<FromOld>(&mut new).expect("received").0, FromOld::Over);
        drop(old);
        let end = receive::<FromOld>(&mut new).expect_err("the other is gone");
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }
}
