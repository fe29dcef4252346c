//! Readiness for systemd (`sd_notify(3)`): one datagram to the socket named by `NOTIFY_SOCKET`.
//!
//! Nothing happens where systemd does not ask for it.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What systemd is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Sockets are bound and records restored.
    Ready,
    /// The configuration is being read again; `Ready` follows.
    Reloading,
    /// A graceful stop has begun.
    Stopping,
    /// This process is the service from now on, and we end.
    MainProcess(u32),
}

/// Tells systemd, if it listens.
pub(crate) fn notify(notice: Notice) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(path.as_bytes(), notice) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

fn send(path: &[u8], notice: Notice) -> std::io::Result<()> {
    let address = match path.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let text = match notice {
        Notice::Ready => "READY=1\n".to_owned(),
        Notice::Reloading => format!("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic_us()?),
        Notice::Stopping => "STOPPING=1\n".to_owned(),
        Notice::MainProcess(pid) => format!("MAINPID={pid}\nREADY=1\n"),
    };
    UnixDatagram::unbound()?.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}

/// CLOCK_MONOTONIC, which systemd 253 and later want beside RELOADING.
fn monotonic_us() -> std::io::Result<i64> {
    let mut now = nix::libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[allow(unsafe_code)]
    // SAFETY: the kernel writes one timespec, which outlives the call.
    let result = unsafe { nix::libc::clock_gettime(nix::libc::CLOCK_MONOTONIC, &raw mut now) };
    if result == 0 {
        Ok(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_reach_a_socket_by_path_and_by_abstract_name() {
        let temp = crate::store::tests::TempDir::new();
        let path = temp.path().join("notify");
        let by_path = UnixDatagram::bind(&path).expect("binds");
        let name = format!("@lampyris-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).expect("a name");
        let by_name = UnixDatagram::bind_addr(&address).expect("binds");
        for (socket, path) in [(&by_path, path.as_os_str().as_bytes()), (&by_name, name.as_bytes())] {
            for (notice, begins) in [
                (Notice::Ready, "READY=1\n"),
                (Notice::Reloading, "RELOADING=1\nMONOTONIC_USEC="),
                (Notice::Stopping, "STOPPING=1\n"),
                (Notice::MainProcess(42), "MAINPID=42\nREADY=1\n"),
            ] {
                send(path, notice).expect("sent");
                let mut buffer = [0; 256];
                let len = socket.recv(&mut buffer).expect("received");
                assert!(String::from_utf8_lossy(&buffer[..len]).starts_with(begins), "{notice:?}");
            }
        }
    }
}
