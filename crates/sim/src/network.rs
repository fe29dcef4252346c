//! A network between the server and its phones: loss, duplication, reordering and delay for datagrams, order for streams.
//!
//! In: what each side sends. Out: arrivals in the order of (instant, sequence). Streams deliver in order and break; they
//! lose nothing while they are up. It reads nothing of what it carries.

use bytes::Bytes;
use lampyris_core::flow::StreamId;
use lampyris_core::rng::Rng;
use lampyris_core::time::Instant;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How bad the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Datagrams lost, in percent.
    pub loss: u64,
    /// Datagrams that arrive twice, in percent.
    pub duplication: u64,
    /// Datagrams held back so that later ones overtake them, in percent.
    pub reordering: u64,
    /// Longest ordinary delay, in milliseconds.
    pub delay_ms: u64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const FAIR: Self = Self { loss: 0, duplication: 0, reordering: 0, delay_ms: 5 };
}

/// Something that arrives.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// A datagram, at the server.
    DatagramToServer(SocketAddr, Bytes),
    /// A datagram, at this address.
    DatagramToPhone(SocketAddr, Bytes),
    /// A new connection, at the server.
    Opened(StreamId),
    /// One message on a stream, at the server.
    StreamToServer(StreamId, Bytes),
    /// One message on a stream, at the phone.
    StreamToPhone(StreamId, Bytes),
    /// The phone closed, or the network did.
    ClosedAtServer(StreamId),
    /// The server closed, or the network did.
    ClosedAtPhone(StreamId),
}

/// A connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The phone's end.
    pub remote: SocketAddr,
    last_to_server: Instant,
    last_to_phone: Instant,
}

/// Everything on its way.
pub struct Network {
    /// How it behaves now.
    pub weather: Weather,
    /// Who reads its streams so much later than they arrive.
    pub slow: BTreeMap<SocketAddr, Duration>,
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    connections: BTreeMap<StreamId, Connection>,
    sequence: u64,
    opened: u64,
    rng: Rng,
}

impl Network {
    /// An empty network.
    pub fn new(weather: Weather, rng: Rng) -> Self {
        let (arrivals, connections) = (BTreeMap::new(), BTreeMap::new());
        Self { weather, slow: BTreeMap::new(), arrivals, connections, sequence: 0, opened: 0, rng }
    }

    /// When the next thing arrives.
    pub fn next(&self) -> Option<Instant> {
        self.arrivals.first_key_value().map(|((at, _), _)| *at)
    }

    /// What has arrived by `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Arrival> {
        let first = self.arrivals.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.rng.below(100) < chance
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(200 + self.rng.below(self.weather.delay_ms.max(1) * 1000))
    }

    fn arrive(&mut self, at: Instant, arrival: Arrival) {
        self.sequence += 1;
        self.arrivals.insert((at, self.sequence), arrival);
    }

    /// Sends a datagram.
    pub fn datagram(&mut self, now: Instant, arrival: Arrival) {
        if self.percent(self.weather.loss) {
            return;
        }
        let copies = 1 + u64::from(self.percent(self.weather.duplication));
        for _ in 0..copies {
            let held = if self.percent(self.weather.reordering) { 10 * self.weather.delay_ms } else { 0 };
            let at = now + self.delay() + Duration::from_millis(held);
            self.arrive(at, arrival.clone());
        }
    }

    /// A phone at `remote` opens a stream to the server.
    pub fn open(&mut self, now: Instant, remote: SocketAddr) -> StreamId {
        self.opened += 1;
        let id = StreamId(self.opened);
        self.connect(now, id, remote);
        id
    }

    /// A stream with this id exists from now on; the server learns it when it arrives.
    pub fn connect(&mut self, now: Instant, id: StreamId, remote: SocketAddr) {
        let at = now + self.delay();
        self.connections.insert(id, Connection { remote, last_to_server: at, last_to_phone: at });
        self.arrive(at, Arrival::Opened(id));
    }

    /// A stream that is up.
    pub fn connection(&self, id: StreamId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// The stream of the phone at this address, the newest first.
    pub fn connection_of(&self, remote: SocketAddr) -> Option<StreamId> {
        self.connections.iter().rev().find(|(_, connection)| connection.remote == remote).map(|(id, _)| *id)
    }

    /// Sends on a stream; nothing happens on one that is down.
    pub fn stream(&mut self, now: Instant, id: StreamId, bytes: Bytes, to_server: bool) {
        let wanted = now + self.delay();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let slow = self.slow.get(&connection.remote).filter(|_| !to_server);
        let wanted = wanted + slow.copied().unwrap_or_default();
        let last = if to_server { &mut connection.last_to_server } else { &mut connection.last_to_phone };
        *last = wanted.max(*last);
        let at = *last;
        let arrival =
            if to_server { Arrival::StreamToServer(id, bytes) } else { Arrival::StreamToPhone(id, bytes) };
        self.arrive(at, arrival);
    }

    /// A stream breaks: what is on its way is lost, and both ends learn it.
    pub fn close(&mut self, now: Instant, id: StreamId) {
        if self.connections.remove(&id).is_none() {
            return;
        }
        let on_it = |arrival: &Arrival| match arrival {
            Arrival::Opened(other) | Arrival::StreamToServer(other, _) | Arrival::StreamToPhone(other, _) => {
                *other == id
            }
            _ => false,
        };
        self.arrivals.retain(|_, arrival| !on_it(arrival));
        let at = now + self.delay();
        self.arrive(at, Arrival::ClosedAtServer(id));
        self.arrive(at, Arrival::ClosedAtPhone(id));
    }

    /// Every stream breaks: the server's process is gone.
    pub fn close_all(&mut self, now: Instant) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for id in ids {
            self.close(now, id);
        }
    }

    /// Streams that are up.
    pub fn connections(&self) -> impl Iterator<Item = StreamId> {
        self.connections.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn streams_keep_their_order_and_lose_nothing() {
        let weather = Weather { loss: 90, duplication: 90, reordering: 90, delay_ms: 100 };
        let mut network = Network::new(weather, Rng::new([7; 32]));
        let id = network.open(at(0), "192.0.2.1:5060".parse().unwrap());
        for number in 0..100u8 {
            network.stream(at(u64::from(number)), id, Bytes::copy_from_slice(&[number]), true);
        }
        let mut numbers = Vec::new();
        while let Some(arrival) = network.poll(at(10_000)) {
            if let Arrival::StreamToServer(_, bytes) = arrival {
                numbers.push(bytes[0]);
            }
        }
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn datagrams_are_lost_doubled_and_reordered() {
        let weather = Weather { loss: 20, duplication: 20, reordering: 20, delay_ms: 10 };
        let mut network = Network::new(weather, Rng::new([7; 32]));
        let to: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        for number in 0..200u64 {
            let bytes = Bytes::copy_from_slice(&number.to_le_bytes());
            network.datagram(at(number), Arrival::DatagramToServer(to, bytes));
        }
        let mut numbers = Vec::new();
        while let Some(Arrival::DatagramToServer(_, bytes)) = network.poll(at(10_000)) {
            numbers.push(u64::from_le_bytes(bytes[..].try_into().unwrap()));
        }
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_ne!(numbers, sorted);
        let all = sorted.len();
        sorted.dedup();
        assert!(sorted.len() < all && sorted.len() < 200, "{all} {}", sorted.len());
    }
}
