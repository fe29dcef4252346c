//! Phones in a closed loop: so many requests in flight, the next when one is over.
//!
//! A request is over when its answer and every NOTIFY it brings about have come. Watchers are spread over some sockets,
//! as one flow keeps its own order at the server. What is lost is sent again after 500 ms, as phones do.

use super::messages::{self, Account, Nonce, Subscribe};
use bytes::Bytes;
use lampyris_sip::{Message, Method, Name, ResponseWriter, StatusCode};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const SOCKETS: usize = 64;
/// Wanted receive buffer of each socket, in bytes.
const BUFFER_BYTES: usize = 16 << 20;
/// T1 of RFC 3261.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// When a load that does not get on is given up.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Load {
    sockets: Vec<mio::net::UdpSocket>,
    poll: Poll,
    account: Option<Account>,
    /// One per socket: each phone counts under a nonce of its own.
    nonces: Vec<Option<Nonce>>,
    watchers: Vec<Watcher>,
    presentities: HashMap<String, Presentity>,
    requests: Vec<Request>,
    in_flight: usize,
    again: u64,
    /// Copies of NOTIFYs that had come already; the answer to the first was late.
    repeated: u64,
    buffer: Vec<u8>,
}

struct Watcher {
    presentity: String,
    to_tag: String,
    cseq: u32,
    notify_cseq: u32,
    /// The request whose NOTIFY is awaited.
    awaits: Option<usize>,
}

#[derive(Default)]
struct Presentity {
    watchers: Vec<usize>,
    etag: String,
    changes: usize,
    note: String,
}

struct Request {
    what: What,
    socket: usize,
    bytes: Vec<u8>,
    answered: bool,
    /// NOTIFYs to come.
    notifies: usize,
    sent: Instant,
    last_sent: Instant,
    took: Option<Duration>,
}

#[derive(Clone)]
enum What {
    Subscribe(usize),
    Publish(String),
    Challenge,
}

/// What a part of the load came to.
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    /// Requests sent again.
    pub(crate) again: u64,
    latencies: Vec<Duration>,
}

impl Outcome {
    pub(crate) fn count(&self) -> usize {
        self.latencies.len()
    }

    /// From a request to the last thing it brought about, in milliseconds.
    pub(crate) fn latency_ms(&self, thousandth: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        // In thousandths, so that it stays with whole numbers.
        let at = (last * thousandth).div_ceil(1000);
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

impl Load {
    pub(crate) fn new(server: SocketAddr, account: Option<Account>) -> Self {
        let poll = Poll::new().expect("epoll");
        let mut sockets = Vec::new();
        for at in 0..SOCKETS {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.connect(server).expect("a server");
            socket.set_nonblocking(true).expect("a socket");
            use nix::sys::socket::{setsockopt, sockopt};
            if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
                let _ = setsockopt(&socket, sockopt::RcvBuf, &BUFFER_BYTES);
            }
            let mut socket = mio::net::UdpSocket::from_std(socket);
            poll.registry().register(&mut socket, Token(at), Interest::READABLE).expect("epoll");
            sockets.push(socket);
        }
        Self {
            sockets,
            poll,
            account,
            nonces: (0..SOCKETS).map(|_| None).collect(),
            watchers: Vec::new(),
            presentities: HashMap::new(),
            requests: Vec::new(),
            in_flight: 0,
            again: 0,
            repeated: 0,
            buffer: vec![0; 65_536],
        }
    }

    /// New subscriptions, one to each of these.
    pub(crate) fn subscribe(&mut self, presentities: impl Iterator<Item = String>, window: usize) -> Outcome {
        self.drive(presentities, window, |load, presentity| {
            let watcher = load.watchers.len();
            load.presentities.entry(presentity.clone()).or_default().watchers.push(watcher);
            load.watchers.push(Watcher {
                presentity,
                to_tag: String::new(),
                cseq: 0,
                notify_cseq: 0,
                awaits: None,
            });
            load.send_subscribe(watcher);
        })
    }

    /// Refreshes of subscriptions made before.
    pub(crate) fn refresh(&mut self, watchers: impl Iterator<Item = usize>, window: usize) -> Outcome {
        self.drive(watchers, window, Self::send_subscribe)
    }

    /// Changes: one publication for each presentity, created or modified.
    pub(crate) fn publish(&mut self, presentities: impl Iterator<Item = String>, window: usize) -> Outcome {
        self.drive(presentities, window, |load, name| {
            let branch = load.requests.len();
            let socket = branch % SOCKETS;
            let port = load.port(socket);
            let presentity = load.presentities.entry(name.clone()).or_default();
            presentity.changes += 1;
            presentity.note = format!("change {}", presentity.changes);
            let bytes = messages::publish(port, &name, &presentity.etag, &presentity.note, branch);
            for watcher in &presentity.watchers {
                let watcher = &mut load.watchers[*watcher];
                assert!(watcher.awaits.is_none(), "one change of a presentity at a time");
                watcher.awaits = Some(branch);
            }
            let notifies = presentity.watchers.len();
            load.send(What::Publish(name), socket, bytes, notifies);
        })
    }

    /// Lets each socket meet its challenge.
    pub(crate) fn challenge(&mut self) {
        let _ = self.drive(0..SOCKETS, SOCKETS, |load, socket| {
            let (branch, port) = (load.requests.len(), load.port(socket));
            let bytes = messages::subscribe(&Subscribe {
                watcher: usize::MAX - socket,
                port,
                presentity: "p0",
                cseq: 1,
                to_tag: "",
                branch,
                authorization: "",
            });
            load.send(What::Challenge, socket, bytes, 0);
        });
    }

    /// Answers what comes, for so long.
    pub(crate) fn idle(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.receive();
        }
    }

    /// Ends the benchmark where a NOTIFY came that nothing asked for, or one is missing.
    pub(crate) fn check(&mut self) {
        self.idle(Duration::from_millis(300));
        assert!(self.watchers.iter().all(|watcher| watcher.awaits.is_none()), "a NOTIFY is missing");
        if self.repeated > 0 {
            println!("{} NOTIFYs came again, their 200 being late", self.repeated);
        }
    }

    fn port(&self, socket: usize) -> u16 {
        self.sockets[socket].local_addr().expect("bound").port()
    }

    fn send_subscribe(&mut self, watcher: usize) {
        let (branch, socket) = (self.requests.len(), watcher % SOCKETS);
        let port = self.port(socket);
        let Watcher { presentity, to_tag, cseq, awaits, .. } = &mut self.watchers[watcher];
        *cseq += 1;
        *awaits = Some(branch);
        let mut authorization = String::new();
        if let (Some(account), Some(nonce)) = (&self.account, &mut self.nonces[socket]) {
            authorization =
                nonce.authorization(account, "SUBSCRIBE", &format!("sip:{presentity}@bench.example"));
        }
        let (cseq, to_tag, authorization) = (*cseq, to_tag.as_str(), authorization.as_str());
        let bytes = messages::subscribe(&Subscribe {
            watcher,
            port,
            presentity,
            cseq,
            to_tag,
            branch,
            authorization,
        });
        self.send(What::Subscribe(watcher), socket, bytes, 1);
    }

    fn send(&mut self, what: What, socket: usize, bytes: Vec<u8>, notifies: usize) {
        let _ = self.sockets[socket].send(&bytes);
        let sent = Instant::now();
        let request =
            Request { what, socket, bytes, answered: false, notifies, sent, last_sent: sent, took: None };
        self.requests.push(request);
        self.in_flight += 1;
    }

    fn drive<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        window: usize,
        start: impl Fn(&mut Self, T),
    ) -> Outcome {
        let first = self.requests.len();
        let (started, again) = (Instant::now(), self.again);
        let mut items = items.fuse();
        let (mut more, mut looked) = (true, Instant::now());
        while more || self.in_flight > 0 {
            while more && self.in_flight < window {
                match items.next() {
                    Some(item) => start(self, item),
                    None => more = false,
                }
            }
            self.receive();
            if looked.elapsed() > AGAIN_AFTER / 5 {
                looked = Instant::now();
                self.send_again(first);
            }
        }
        let mut latencies: Vec<Duration> =
            self.requests[first..].iter().filter_map(|request| request.took).collect();
        latencies.sort_unstable();
        Outcome { took: started.elapsed(), again: self.again - again, latencies }
    }

    fn send_again(&mut self, first: usize) {
        for request in self.requests[first..].iter_mut().filter(|request| request.took.is_none()) {
            assert!(
                request.sent.elapsed() < PATIENCE,
                "no answer: {}",
                String::from_utf8_lossy(&request.bytes)
            );
            if !request.answered && request.last_sent.elapsed() > AGAIN_AFTER {
                request.last_sent = Instant::now();
                self.again += 1;
                let _ = self.sockets[request.socket].send(&request.bytes);
            }
        }
    }

    /// Takes all that has come, waiting a moment where nothing has.
    fn receive(&mut self) {
        let mut events = Events::with_capacity(SOCKETS);
        match self.poll.poll(&mut events, Some(Duration::from_millis(50))) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            other => other.expect("epoll"),
        }
        for event in &events {
            let socket = event.token().0;
            loop {
                match self.sockets[socket].recv(&mut self.buffer) {
                    Ok(len) => {
                        let bytes = Bytes::copy_from_slice(&self.buffer[..len]);
                        self.on_message(socket, &Message::parse(bytes).expect("the server speaks SIP"));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("the server is gone: {error}"),
                }
            }
        }
    }

    fn on_message(&mut self, socket: usize, message: &Message) {
        match message.status() {
            None => self.on_notify(socket, message),
            Some(StatusCode(100..=199)) => {}
            Some(status) => self.on_answer(socket, status, message),
        }
    }

    fn on_notify(&mut self, socket: usize, message: &Message) {
        assert_eq!(message.method(), Some(Method::Notify), "only NOTIFYs come unasked");
        let answer = ResponseWriter::reply_to(message, StatusCode(200), None, None).finish();
        let _ = self.sockets[socket].send(&answer);
        let number = message.call_id().split('-').next().and_then(|number| number.parse::<usize>().ok());
        let watcher =
            number.and_then(|at| self.watchers.get_mut(at)).expect("a NOTIFY of a subscription made here");
        let cseq = message.cseq().seq;
        if cseq <= watcher.notify_cseq {
            self.repeated += 1;
            return;
        }
        watcher.notify_cseq = cseq;
        let body = String::from_utf8_lossy(message.body_bytes());
        let presentity = &self.presentities[&watcher.presentity];
        let entity = format!("sip:{}@bench.example\"", watcher.presentity);
        let right = body.contains(&entity)
            && (presentity.note.is_empty() || body.contains(&format!(">{}</", presentity.note)));
        assert!(
            right,
            "watcher {number:?} of {}, note {:?}, got {body}",
            watcher.presentity, presentity.note
        );
        let request = watcher
            .awaits
            .take()
            .unwrap_or_else(|| panic!("a NOTIFY too many: {}", String::from_utf8_lossy(message.raw())));
        self.requests[request].notifies -= 1;
        self.settle(request);
    }

    fn on_answer(&mut self, socket: usize, status: StatusCode, message: &Message) {
        let via = message.top_via();
        let number = via.branch().and_then(|branch| branch.strip_prefix("z9hG4bK-")?.parse::<usize>().ok());
        let at = number.filter(|at| *at < self.requests.len()).expect("an answer to a request made here");
        let request = &mut self.requests[at];
        if request.answered {
            return;
        }
        request.answered = true;
        let tag = message.to_tag().unwrap_or("");
        match (request.what.clone(), status.0) {
            (What::Subscribe(watcher), 200) => tag.clone_into(&mut self.watchers[watcher].to_tag),
            (What::Publish(name), 200) => {
                let etag = message.header(Name::SipETag).expect("an entity-tag");
                if let Some(presentity) = self.presentities.get_mut(&name) {
                    etag.clone_into(&mut presentity.etag);
                }
            }
            (What::Challenge, 401) => {
                let account = self.account.as_ref().expect("an account");
                self.nonces[socket] = Nonce::of(message, account);
            }
            _ => panic!("refused: {}", String::from_utf8_lossy(message.raw())),
        }
        self.settle(at);
    }

    fn settle(&mut self, at: usize) {
        let request = &mut self.requests[at];
        if request.answered && request.notifies == 0 {
            request.took = Some(request.sent.elapsed());
            request.bytes = Vec::new();
            self.in_flight -= 1;
        }
    }
}
