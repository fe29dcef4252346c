//! The engine drives the real node: its methods are the trait's.

use super::Core;
use lampyris_core::command::{Command, Reply};
use lampyris_core::flow::Flow;
use lampyris_core::input::Input;
use lampyris_core::journal::{Key, Value};
use lampyris_core::node::Node;
use lampyris_core::output::Output;
use lampyris_core::time::Now;

impl Core for Node {
    fn restore(&mut self, now: Now, key: Key, value: Value) {
        Self::restore(self, now, key, value);
    }

    fn restored(&mut self, now: Now) {
        Self::restored(self, now);
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
