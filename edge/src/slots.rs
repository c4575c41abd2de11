//! How many connections there may be at once: in all, and from one address.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::address::Address;

/// Connections beyond the bounds that are accepted at once, to be refused with a reason.
const MAX_REFUSALS: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct ConnectionSlots {
    max: usize,
    max_per_address: usize,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    by_address: HashMap<Address, usize>,
}

/// A connection's slot, until this is dropped.
#[derive(Debug)]
pub(crate) struct ConnectionSlot {
    slots: ConnectionSlots,
    /// `None` until a trusted proxy names the client.
    address: Option<Address>,
    /// The connection is to be refused.
    pub over_limit: bool,
}

impl ConnectionSlots {
    pub fn new(max: usize, max_per_address: usize) -> ConnectionSlots {
        ConnectionSlots { max, max_per_address, used: Arc::default() }
    }

    /// A slot for one more connection. `None` when so many are being refused that even a refusal costs too much.
    pub fn take(&self, address: Option<Address>) -> Option<ConnectionSlot> {
        let mut used = self.lock();
        let of_address = address.map_or(0, |address| used.by_address.get(&address).copied().unwrap_or(0));
        let max_with_refusals = self.max + MAX_REFUSALS + self.max / 64;
        if used.all >= max_with_refusals || of_address >= self.max_per_address.saturating_add(MAX_REFUSALS) {
            return None;
        }
        let over_limit = used.all >= self.max || of_address >= self.max_per_address;
        used.all += 1;
        if let Some(address) = address {
            *used.by_address.entry(address).or_default() += 1;
        }
        Some(ConnectionSlot { slots: self.clone(), address, over_limit })
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().expect("nobody panics while holding it")
    }
}

impl ConnectionSlot {
    /// Counts the slot for this address, unless it counts for one already. Returns the address that it counts for.
    pub fn assign(&mut self, address: Address) -> Address {
        if let Some(known) = self.address {
            return known;
        }
        self.address = Some(address);
        let mut used = self.slots.lock();
        let of_address = used.by_address.entry(address).or_default();
        self.over_limit |= *of_address >= self.slots.max_per_address;
        *of_address += 1;
        address
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut used = self.slots.lock();
        used.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(of_address) = used.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                used.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn address(n: u32) -> Option<Address> {
        Some(IpAddr::from(Ipv4Addr::from_bits(n)).into())
    }

    #[test]
    fn connections_beyond_a_bound_are_refused_with_a_reason_and_then_without() {
        let slots = ConnectionSlots::new(1_000, 2);
        let allowed = [slots.take(address(1)), slots.take(address(1))].map(|slot| slot.expect("a slot"));
        assert!(allowed.iter().all(|slot| !slot.over_limit));
        let refused: Vec<_> = (0..MAX_REFUSALS).map(|_| slots.take(address(1)).expect("a slot")).collect();
        assert!(refused.iter().all(|slot| slot.over_limit));
        assert!(slots.take(address(1)).is_none());
        assert!(slots.take(address(2)).is_some_and(|slot| !slot.over_limit), "another address");
        drop((allowed, refused));
        assert!(slots.take(address(1)).is_some_and(|slot| !slot.over_limit));
        assert!(slots.lock().by_address.is_empty());
    }

    #[test]
    fn a_connection_of_a_proxy_counts_for_the_client_that_the_proxy_names() {
        let slots = ConnectionSlots::new(1_000, 1);
        let [mut first, mut second] = [slots.take(None), slots.take(None)].map(|slot| slot.expect("a slot"));
        let [ana, ben] = [address(1), address(2)].map(|address| address.expect("an address"));
        assert_eq!(first.assign(ana), ana);
        assert_eq!(first.assign(ben), ana, "it counts for one already");
        assert_eq!(second.assign(ana), ana);
        assert!(!first.over_limit && second.over_limit);
    }
}
