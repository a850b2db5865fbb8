//! Content of public objects that is asked for again and again, opened, in memory.
//!
//! - It is found by its digest, so nothing here is ever out of date. Whether somebody may have an object is asked of the
//!   database each time, before anybody looks here.
//! - It takes no more than it may, counting also what was let go and slow clients still take.
//! - What is asked for once does not get in; what was not asked for the longest has to go first.
//!
//! Absent on purpose: content of private objects. It is never kept opened.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use super::sealed::Digest;

/// Bytes that all of it may take: some hundred pictures, and little beside what the server takes anyway.
pub const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The largest content that gets in (bytes): of a larger one the database's answer is a small part of the time.
pub const ENTRY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What content counts at least (bytes), however small it is: so many entries are bounded too.
const ENTRY_BYTES_MIN: usize = 4096;

/// How many contents are remembered that were asked for once.
const SEEN_MAX: usize = 512;

/// Opened contents.
pub struct Cache {
    bytes_max: usize,
    taken: Arc<AtomicUsize>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<Digest, Entry>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Digest>,
    /// Asked for once, the latest last.
    seen: VecDeque<Digest>,
    asked: u64,
}

struct Entry {
    held: Arc<Held>,
    asked: u64,
}

/// Content in memory, which counts until nobody has it any more.
struct Held {
    bytes: Vec<u8>,
    _counted: Counted,
}

struct Counted {
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Shared(Arc<Held>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// Room for some content that is read next. It counts from now on.
pub struct Room<'a> {
    cache: &'a Cache,
    digest: Digest,
    size: usize,
    counted: Counted,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache::of(BYTES_MAX)
    }
}

impl Cache {
    /// A cache that takes so many bytes at most.
    #[must_use]
    pub fn of(bytes_max: usize) -> Cache {
        Cache {
            bytes_max,
            taken: Arc::default(),
            inner: Mutex::default(),
        }
    }

    /// The content of this digest, where it is here.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<Bytes> {
        let mut inner = self.lock();
        let Inner {
            entries, order, asked, ..
        } = &mut *inner;
        let entry = entries.get_mut(digest)?;
        *asked += 1;
        order.remove(&entry.asked);
        order.insert(*asked, *digest);
        entry.asked = *asked;
        Some(Bytes::from_owner(Shared(entry.held.clone())))
    }

    /// Room for content of a size (bytes), where it was asked for before and is not too large; whatever nobody takes just now
    /// and was not asked for the longest makes it.
    #[must_use]
    pub fn room(&self, digest: &Digest, size: u64) -> Option<Room<'_>> {
        let size = usize::try_from(size).ok().filter(|size| *size <= ENTRY_BYTES_MAX)?;
        let mut inner = self.lock();
        if !inner.seen.contains(digest) {
            if inner.seen.len() == SEEN_MAX {
                inner.seen.pop_front();
            }
            inner.seen.push_back(*digest);
            return None;
        }
        let bytes = size.max(ENTRY_BYTES_MIN);
        while self.taken().saturating_add(bytes) > self.bytes_max {
            inner.let_one_go()?;
        }
        // Only here more is taken, and one at a time.
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Some(Room {
            cache: self,
            digest: *digest,
            size,
            counted: Counted {
                bytes,
                taken: self.taken.clone(),
            },
        })
    }

    /// Lets go of some content: its object is gone.
    pub fn forget(&self, digest: &Digest) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.remove(digest) {
            inner.order.remove(&entry.asked);
        }
        inner.seen.retain(|seen| seen != digest);
    }

    /// Lets go of everything.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// Bytes that count now.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held leaves at worst an entry that is not in the order, and so stays.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What somebody takes just now would give no room.
    fn let_one_go(&mut self) -> Option<()> {
        let is_idle = |digest: &Digest| {
            let entry = self.entries.get(digest);
            entry.is_none_or(|entry| Arc::strong_count(&entry.held) == 1)
        };
        let (asked, digest) = self.order.iter().find(|(_, digest)| is_idle(digest))?;
        let (asked, digest) = (*asked, *digest);
        self.order.remove(&asked);
        self.entries.remove(&digest);
        Some(())
    }
}

impl Room<'_> {
    /// Keeps what was read, and gives it back. None where it has another size than there is room for.
    #[must_use]
    pub fn keep(self, bytes: Vec<u8>) -> Option<Bytes> {
        let Room {
            cache,
            digest,
            size,
            counted,
        } = self;
        if bytes.len() != size {
            return None;
        }
        let held = Arc::new(Held {
            bytes,
            _counted: counted,
        });
        let mut inner = cache.lock();
        inner.asked += 1;
        let asked = inner.asked;
        let entry = Entry {
            held: held.clone(),
            asked,
        };
        // Of two who read it at once, the later one's stays.
        if let Some(earlier) = inner.entries.insert(digest, entry) {
            inner.order.remove(&earlier.asked);
        }
        inner.order.insert(asked, digest);
        Some(Bytes::from_owner(Shared(held)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn digest(number: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        digest
    }

    fn content(number: usize, size: usize) -> Vec<u8> {
        vec![u8::try_from(number % 251).unwrap(); size]
    }

    /// Asks for content as a download does.
    fn ask(cache: &Cache, number: usize, size: usize) -> Option<Bytes> {
        let digest = digest(number);
        cache
            .get(&digest)
            .or_else(|| cache.room(&digest, size as u64)?.keep(content(number, size)))
    }

    #[test]
    fn the_second_time_lets_it_in() {
        let cache = Cache::of(64 * KIB);
        assert!(ask(&cache, 1, 10 * KIB).is_none());
        assert_eq!(cache.taken(), 0);
        assert_eq!(ask(&cache, 1, 10 * KIB).unwrap(), content(1, 10 * KIB));
        assert_eq!(cache.get(&digest(1)).unwrap(), content(1, 10 * KIB));
        assert_eq!(cache.taken(), 10 * KIB);
        let (large, wide) = (ENTRY_BYTES_MAX as u64 + 1, Cache::default());
        assert!((0..3).all(|_| wide.room(&digest(2), large).is_none()));
        let empty = (0..2).filter_map(|_| ask(&cache, 3, 0)).next_back();
        assert_eq!(empty.unwrap().len(), 0);
        assert_eq!(cache.taken(), 10 * KIB + ENTRY_BYTES_MIN);
    }

    #[test]
    fn what_was_asked_for_the_longest_ago_goes() {
        let cache = Cache::of(30 * KIB);
        for number in [1, 2, 3] {
            ask(&cache, number, 10 * KIB);
            ask(&cache, number, 10 * KIB);
        }
        assert!(cache.get(&digest(1)).is_some());
        ask(&cache, 4, 10 * KIB);
        assert!(
            cache.get(&digest(2)).is_some(),
            "once is not enough to drive another out"
        );
        assert!(cache.get(&digest(1)).is_some());
        ask(&cache, 4, 10 * KIB);
        let is_here = [1, 2, 3, 4].map(|number| cache.get(&digest(number)).is_some());
        assert_eq!(is_here, [true, true, false, true]);
    }

    #[test]
    fn it_keeps_to_its_bound_whatever_is_asked_for_and_whoever_is_slow() {
        let cache = Cache::of(100 * KIB);
        let mut slow = VecDeque::new();
        // Any sizes in any order, some of them held on to.
        for step in 0..20_000_usize {
            let mixed = step.wrapping_mul(2_654_435_761) >> 7;
            let (number, size) = (mixed % 37, (mixed % 37 + 1) * KIB);
            if let Some(bytes) = ask(&cache, number, size) {
                assert_eq!(bytes, content(number, size));
                if mixed % 5 == 0 {
                    slow.push_back(bytes);
                }
            }
            if slow.len() > 3 {
                slow.pop_front();
            }
            assert!(cache.taken() <= 100 * KIB, "{} at {step}", cache.taken());
        }
        assert!(cache.taken() > 0);
        cache.clear();
        let held: usize = {
            let distinct: HashMap<*const u8, usize> = slow.iter().map(|bytes| (bytes.as_ptr(), bytes.len())).collect();
            distinct.values().map(|length| (*length).max(ENTRY_BYTES_MIN)).sum()
        };
        assert_eq!(cache.taken(), held, "what was let go counts as long as somebody has it");
        slow.clear();
        assert_eq!(cache.taken(), 0);
    }

    #[test]
    fn what_everybody_is_taking_makes_no_room() {
        let cache = Cache::of(20 * KIB);
        let mut held = Vec::new();
        for number in [1, 2] {
            ask(&cache, number, 10 * KIB);
            held.extend(ask(&cache, number, 10 * KIB));
        }
        assert!((0..3).all(|_| ask(&cache, 3, 10 * KIB).is_none()));
        held.pop();
        assert!(ask(&cache, 3, 10 * KIB).is_some(), "one is through");
        assert!(cache.get(&digest(1)).is_some());
        assert!(cache.get(&digest(2)).is_none());
    }

    #[test]
    fn what_is_forgotten_or_of_another_size_is_not_here() {
        let cache = Cache::of(64 * KIB);
        let _ = (ask(&cache, 1, KIB), ask(&cache, 1, KIB));
        cache.forget(&digest(1));
        assert!(cache.get(&digest(1)).is_none());
        assert_eq!(cache.taken(), 0);
        assert!(ask(&cache, 1, KIB).is_none(), "it begins anew");
        let room = cache.room(&digest(1), KIB as u64).unwrap();
        assert!(room.keep(vec![0; KIB + 1]).is_none());
        assert_eq!(cache.taken(), 0);
    }
}
