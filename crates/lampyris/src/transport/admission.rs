//! Who may hold a stream: bounds on all, on each address, and on those who have not yet shown who they are.
//!
//! In: streams as they are accepted, established and gone. Out: a seat or a refusal, at once: accepting never waits. Where
//! the strangers' seats are taken, the stranger who has sat longest without being served leaves (security row 36).

use super::limits::Seats;
use super::streams::Control;
use lampyris_core::hits::{Hits, Limit};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The seats taken.
pub(crate) struct Admission {
    seats: Seats,
    hits: Arc<Hits>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    all: usize,
    addresses: HashMap<IpAddr, Address>,
    /// Strangers, longest seated first. Why weak: what controls a stream holds its seat.
    strangers: BTreeMap<u64, (IpAddr, Weak<Control>)>,
}

#[derive(Default)]
struct Address {
    all: usize,
    strangers: usize,
}

/// A place for one stream, given back when dropped.
pub(crate) struct Seat {
    number: u64,
    address: IpAddr,
    admission: Arc<Admission>,
}

impl Admission {
    /// Nobody yet.
    pub(crate) fn new(seats: Seats, hits: Arc<Hits>) -> Arc<Self> {
        Arc::new(Self { seats, hits, taken: Mutex::default() })
    }

    /// A seat for a stream from `address`, maybe at the cost of the stranger who has waited longest; `None` where there
    /// is none to be had.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr, control: &Arc<Control>) -> Option<Seat> {
        let mut taken = self.lock();
        let of_address = taken.addresses.get(&address);
        let (all, strangers) = of_address.map_or((0, 0), |a| (a.all, a.strangers));
        if all >= self.seats.address_max {
            self.hits.add(Limit::StreamsPerAddress);
            return None;
        }
        let shed = if strangers >= self.seats.address_strangers_max {
            taken.strangers.iter().find(|(_, (from, _))| *from == address).map(|(number, _)| *number)
        } else if taken.strangers.len() >= self.seats.strangers_max || taken.all >= self.seats.all_max {
            taken.strangers.keys().next().copied()
        } else {
            None
        };
        let victim = match shed {
            Some(number) => self.shed(&mut taken, number),
            None if taken.all >= self.seats.all_max => {
                self.hits.add(Limit::Streams);
                return None;
            }
            None => None,
        };
        let number = taken.next;
        taken.next += 1;
        taken.all += 1;
        let of_address = taken.address(address);
        of_address.all += 1;
        of_address.strangers += 1;
        taken.strangers.insert(number, (address, Arc::downgrade(control)));
        // Why: if nobody else holds the victim any more, its seat goes with it, which needs the lock.
        drop(taken);
        drop(victim);
        Some(Seat { number, address, admission: self.clone() })
    }

    /// Has the stranger leave who has waited longest, if there is one.
    pub(crate) fn make_room(&self) {
        let mut taken = self.lock();
        let longest = taken.strangers.keys().next().copied();
        let victim = longest.and_then(|number| self.shed(&mut taken, number));
        drop(taken);
        drop(victim);
    }

    /// Ends a stranger's stream; what controls it is to be let go of without the lock.
    fn shed(&self, taken: &mut Taken, number: u64) -> Option<Arc<Control>> {
        let (from, control) = taken.strangers.remove(&number)?;
        taken.address(from).strangers -= 1;
        self.hits.add(Limit::Strangers);
        let control = control.upgrade()?;
        control.kill();
        Some(control)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn address(&mut self, address: IpAddr) -> &mut Address {
        self.addresses.entry(address).or_default()
    }

    fn is_no_stranger(&mut self, number: u64) {
        if let Some((from, _)) = self.strangers.remove(&number) {
            self.address(from).strangers -= 1;
        }
    }
}

impl Seat {
    /// This one is served, and no stranger any more.
    pub(crate) fn establish(&self) {
        self.admission.lock().is_no_stranger(self.number);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.admission.lock();
        taken.is_no_stranger(self.number);
        taken.all -= 1;
        let of_address = taken.address(self.address);
        of_address.all -= 1;
        if of_address.all == 0 {
            taken.addresses.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    #[test]
    fn the_stranger_who_waited_longest_makes_room() {
        let seats = Seats { all_max: 5, address_max: 4, strangers_max: 3, address_strangers_max: 2 };
        let hits = Arc::new(Hits::default());
        let admission = Admission::new(seats, hits.clone());
        let controls: Vec<_> = (0..9).map(|_| Arc::new(Control::default())).collect();
        let killed = || controls.iter().map(|c| u8::from(c.is_killed())).collect::<Vec<_>>();
        let a = admission.admit(ip(1), &controls[0]).expect("a seat");
        let _b = admission.admit(ip(1), &controls[1]).expect("a seat");
        // A third stranger of the address costs its first; the seat itself is held until the stream is gone.
        let c = admission.admit(ip(1), &controls[2]).expect("a seat");
        assert_eq!(killed(), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(hits.of(Limit::Strangers), 1);
        drop(a);
        // Of other addresses: the third stranger fits, the fourth costs the longest seated of all.
        let d = admission.admit(ip(2), &controls[3]).expect("a seat");
        let _e = admission.admit(ip(3), &controls[4]).expect("a seat");
        assert_eq!(killed(), [1, 1, 0, 0, 0, 0, 0, 0, 0]);
        // Those who are served are never shed.
        c.establish();
        d.establish();
        let _f = admission.admit(ip(4), &controls[5]).expect("a seat");
        assert_eq!(killed(), [1, 1, 0, 0, 0, 0, 0, 0, 0]);
        // Five are seated (the killed ones are still there): one more costs a stranger, served ones stay.
        let _g = admission.admit(ip(5), &controls[6]).expect("a seat");
        assert_eq!(killed(), [1, 1, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn who_is_gone_has_left_the_seat() {
        let seats = Seats { all_max: 5, address_max: 4, strangers_max: 3, address_strangers_max: 2 };
        let admission = Admission::new(seats, Arc::new(Hits::default()));
        for _ in 0..5 {
            let control = Arc::new(Control::default());
            control.sit(admission.admit(ip(1), &control).expect("a seat"));
            drop(control);
            let taken = admission.lock();
            assert_eq!((taken.all, taken.addresses.len(), taken.strangers.len()), (0, 0, 0));
        }
    }

    #[test]
    fn an_address_has_a_bound_and_gives_its_seats_back() {
        let seats = Seats { all_max: 100, address_max: 2, strangers_max: 100, address_strangers_max: 100 };
        let hits = Arc::new(Hits::default());
        let admission = Admission::new(seats, hits.clone());
        let control = Arc::new(Control::default());
        let held: Vec<_> = (0..2).map(|_| admission.admit(ip(1), &control).expect("a seat")).collect();
        assert!(admission.admit(ip(1), &control).is_none());
        assert_eq!(hits.of(Limit::StreamsPerAddress), 1);
        assert!(admission.admit(ip(2), &control).is_some());
        drop(held);
        assert!(admission.admit(ip(1), &control).is_some());
        let taken = admission.lock();
        assert_eq!((taken.all, taken.addresses.len(), taken.strangers.len()), (0, 0, 0), "nothing leaks");
    }
}
