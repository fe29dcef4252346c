//! Phones over UDP: each flow a socket of its own, read and written in the batches of the server's listeners.

use super::{Wire, own_address, wait_for};
use crate::bench::BenchError;
use crate::transport::mmsg::Buffers;
use crate::transport::udp::UdpListener;
use bytes::Bytes;
use lampyris_core::flow::ListenerId;
use mio::{Events, Poll, Token};
use std::net::SocketAddr;
use std::time::Duration;

/// The sockets.
pub(crate) struct UdpWire {
    server: SocketAddr,
    poll: Poll,
    events: Events,
    sockets: Vec<UdpListener>,
    locals: Vec<SocketAddr>,
    buffers: Buffers,
    /// Flows with something queued.
    dirty: Vec<usize>,
}

impl UdpWire {
    /// Binds that many sockets towards the server.
    pub(crate) fn open(server: SocketAddr, flows: usize) -> Result<Self, BenchError> {
        let (poll, own) = (Poll::new()?, own_address(server)?);
        let (mut sockets, mut locals) = (Vec::new(), Vec::new());
        for flow in 0..flows {
            let mut socket = UdpListener::bind(ListenerId(0), own)?;
            socket.register(poll.registry(), Token(flow))?;
            locals.push(socket.local_addr()?);
            sockets.push(socket);
        }
        let events = Events::with_capacity(flows.max(1));
        Ok(Self { server, poll, events, sockets, locals, buffers: Buffers::default(), dirty: Vec::new() })
    }
}

impl Wire for UdpWire {
    fn flows(&self) -> usize {
        self.sockets.len()
    }

    fn local(&self, flow: usize) -> SocketAddr {
        self.locals.get(flow).copied().unwrap_or(self.server)
    }

    fn queue(&mut self, flow: usize, message: Bytes) {
        if let Some(socket) = self.sockets.get_mut(flow) {
            if socket.is_drained() {
                self.dirty.push(flow);
            }
            socket.queue(self.server, message);
        }
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        let sockets = &mut self.sockets;
        self.dirty.retain(|flow| match sockets.get_mut(*flow) {
            Some(socket) => {
                // Why: what UDP drops here goes again by its timer, as everything lost does.
                let _ = socket.flush();
                !socket.is_drained()
            }
            None => false,
        });
        Ok(())
    }

    fn receive(&mut self, wait: Duration, each: &mut dyn FnMut(usize, &[u8])) -> Result<(), BenchError> {
        let wait = if self.sockets.iter().any(UdpListener::is_busy) { Duration::ZERO } else { wait };
        wait_for(&mut self.poll, &mut self.events, wait)?;
        for event in &self.events {
            if let Some(socket) = self.sockets.get_mut(event.token().0) {
                socket.on_event(event);
            }
        }
        for (flow, socket) in self.sockets.iter_mut().enumerate() {
            socket.receive(&mut self.buffers, |_, bytes| each(flow, bytes));
        }
        Ok(())
    }
}
