//! The engine drives the real node: its methods are the trait's.

use super::Core;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::{Flow, ListenerId, StreamId, Transport};
use lampyris_core::input::Input;
use lampyris_core::journal::{Key, Value};
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::time::Now;
use std::net::SocketAddr;

impl Core for Node {
    fn restore(&mut self, now: Now, key: Key, value: Value) {
        Self::restore(self, now, key, value);
    }

    fn inherit(
        &mut self,
        now: Now,
        id: StreamId,
        transport: Transport,
        listener: ListenerId,
        remote: SocketAddr,
    ) {
        Self::inherit(self, now, id, transport, listener, remote);
    }

    fn restored(&mut self, now: Now, clean: bool) {
        Self::restored(self, now, clean);
    }

    fn handle_input(&mut self, now: Now, input: Input) {
        Self::handle_input(self, now, input);
    }

    fn handle_command(&mut self, now: Now, command: Command) -> Reply {
        Self::handle_command(self, now, command)
    }

    fn knows(&self, flow: Flow) -> bool {
        Self::knows(self, flow)
    }

    fn poll_output(&mut self, now: Now) -> Output {
        Self::poll_output(self, now)
    }
}
