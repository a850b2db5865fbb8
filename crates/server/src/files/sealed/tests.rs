use std::io::Cursor;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::*;
use crate::config::Secret;

fn ring(bytes: &[u8]) -> KeyRing {
    let secret = |byte: u8| Secret::new(STANDARD.encode([byte; 32]));
    let old: Vec<Secret> = bytes[1..].iter().copied().map(secret).collect();
    KeyRing::parse(&secret(bytes[0]), &old).unwrap()
}

fn sealed(plain: &[u8], keys: &KeyRing) -> Vec<u8> {
    let mut sealer = Sealer::begin(Cursor::new(Vec::new()), keys, Fresh::random().unwrap()).unwrap();
    // In pieces of no particular size, as they come.
    for piece in plain.chunks(50_000) {
        sealer.write(piece).unwrap();
    }
    let (out, digest, length) = sealer.finish().unwrap();
    assert_eq!((digest, length), (digest_of(plain), plain.len() as u64));
    out.into_inner()
}

impl<T: AsRef<[u8]> + Send + Sync + 'static> ReadAt for Cursor<T> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.get_ref().as_ref().len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = self.get_ref().as_ref();
        let begin = usize::try_from(at).unwrap();
        buffer.copy_from_slice(
            bytes
                .get(begin..begin + buffer.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?,
        );
        Ok(())
    }

    fn read_from_memory(&self, buffer: &mut [u8], at: u64) -> bool {
        self.read_exact_at(buffer, at).is_ok()
    }
}

/// Bytes that differ at each place and from chunk to chunk.
fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / CHUNK) as u8).collect()
}

/// Everything that a reader may find out about a file, or why not.
fn read_all(at_rest: &[u8], keys: &KeyRing) -> Result<Vec<u8>, Unreadable> {
    let file = Sealed::open(Cursor::new(at_rest.to_vec()), keys)?;
    file.verify()?;
    file.read(0..u64::MAX)
}

#[test]
fn every_size_around_the_borders_of_chunks_comes_back() {
    let keys = ring(&[1]);
    for chunks in 0..=3 {
        for off in -2_isize..=2 {
            let Some(length) = (chunks * CHUNK).checked_add_signed(off) else {
                continue;
            };
            let plain = plain(length);
            let at_rest = sealed(&plain, &keys);
            assert_eq!(at_rest.len(), HEADER + length + TAG * length.div_ceil(CHUNK).max(1));
            assert_eq!(read_all(&at_rest, &keys).unwrap(), plain, "{length}");
            let file = Sealed::open(Cursor::new(at_rest.clone()), &keys).unwrap();
            assert_eq!((file.length(), file.sha256()), (length as u64, digest_of(&plain)));
        }
    }
}

/// What is read from memory from a place to the end, in one buffer.
fn read_from(file: &Sealed<Cursor<Vec<u8>>>, mut at: u64) -> Result<Vec<u8>, Unreadable> {
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    loop {
        let found = file.chunk_from_memory(at, &mut buffer)?.unwrap();
        if found.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&buffer[found.clone()]);
        at += found.len() as u64;
    }
}

#[test]
fn what_is_in_memory_is_opened_chunk_by_chunk_in_one_buffer() {
    let keys = ring(&[1]);
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
        let (plain, open) = (plain(length), |bytes: Vec<u8>| {
            Sealed::open(Cursor::new(bytes), &keys).unwrap()
        });
        let at_rest = sealed(&plain, &keys);
        let file = open(at_rest.clone());
        for begin in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, length, length + 1] {
            let read = read_from(&file, begin as u64).unwrap();
            assert_eq!(read, plain[begin.min(length)..], "{length} from {begin}");
        }
        if length > 0 {
            let mut damaged = at_rest;
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            let read = read_from(&open(damaged), 0);
            assert!(matches!(read, Err(Unreadable::Damaged(_))), "{length}");
        }
    }
}

#[test]
fn every_flipped_byte_of_header_and_tags_is_found() {
    let keys = ring(&[1]);
    let at_rest = sealed(&plain(CHUNK + 3), &keys);
    let ends = [HEADER + CHUNK, at_rest.len()];
    let near_ends = ends.iter().flat_map(|end| end - 20..(end + TAG + 2).min(at_rest.len()));
    for at in (0..HEADER + 4).chain(near_ends) {
        let mut damaged = at_rest.clone();
        damaged[at] ^= 1;
        assert!(read_all(&damaged, &keys).is_err(), "byte {at}");
    }
}

#[test]
fn a_file_cut_or_grown_at_any_place_is_found() {
    let keys = ring(&[1]);
    let at_rest = sealed(&plain(2 * CHUNK + 5), &keys);
    let borders = [
        0,
        HEADER,
        HEADER + CHUNK + TAG,
        HEADER + 2 * (CHUNK + TAG),
        at_rest.len(),
    ];
    for border in borders {
        for length in border.saturating_sub(18)..(border + 18).min(at_rest.len()) {
            assert!(
                Sealed::open(Cursor::new(at_rest[..length].to_vec()), &keys).is_err(),
                "cut to {length}"
            );
        }
    }
    let grown = [at_rest.as_slice(), &[0]].concat();
    assert!(Sealed::open(Cursor::new(grown), &keys).is_err());
}

#[test]
fn chunks_that_change_places_or_files_are_found() {
    let keys = ring(&[1]);
    let (one, other) = (sealed(&plain(3 * CHUNK), &keys), sealed(&plain(3 * CHUNK), &keys));
    let part = |place: usize| HEADER + place * (CHUNK + TAG)..HEADER + (place + 1) * (CHUNK + TAG);
    let mut swapped = one.clone();
    swapped[part(0)].copy_from_slice(&one[part(1)]);
    swapped[part(1)].copy_from_slice(&one[part(0)]);
    assert!(read_all(&swapped, &keys).is_err());
    let mut mixed = one.clone();
    mixed[part(1)].copy_from_slice(&other[part(1)]);
    assert!(read_all(&mixed, &keys).is_err());
    let headed = [&one[..HEADER], &other[HEADER..]].concat();
    assert!(read_all(&headed, &keys).is_err());
}

#[test]
fn rotation_changes_the_header_alone() {
    let (old, both, new) = (ring(&[1]), ring(&[2, 1]), ring(&[2]));
    let plain = plain(CHUNK + 1);
    let at_rest = sealed(&plain, &old);
    assert!(matches!(read_all(&at_rest, &new), Err(Unreadable::KeyMissing(_))));
    let file = Sealed::open(Cursor::new(at_rest.clone()), &both).unwrap();
    let header = file.rewrapped(&both, [9; NONCE_LEN]).unwrap().unwrap();
    let turned = [header.as_slice(), &at_rest[HEADER..]].concat();
    assert_eq!(read_all(&turned, &new).unwrap(), plain);
    assert!(read_all(&turned, &old).is_err());
    let file = Sealed::open(Cursor::new(turned.clone()), &new).unwrap();
    assert!(file.rewrapped(&new, [9; NONCE_LEN]).unwrap().is_none(), "it is done");
}

#[test]
fn what_the_file_is_cannot_be_seen() {
    let (keys, plain) = (ring(&[1]), plain(1000));
    let at_rest = sealed(&plain, &keys);
    let digest = digest_of(&plain);
    assert!(at_rest.windows(32).all(|found| found != digest));
    assert!(
        at_rest
            .windows(16)
            .all(|found| !plain.windows(16).any(|seen| seen == found))
    );
    assert_ne!(at_rest, sealed(&plain, &keys), "twice the same is not the same at rest");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_range_is_the_slice(length in 0..3 * CHUNK, begin in 0..3 * CHUNK, size in 0..2 * CHUNK) {
        let (keys, plain) = (ring(&[1]), plain(length));
        let at_rest = sealed(&plain, &keys);
        let file = Sealed::open(Cursor::new(at_rest.clone()), &keys).unwrap();
        let read = file.read(begin as u64..(begin + size) as u64).unwrap();
        prop_assert_eq!(read.as_slice(), &plain[begin.min(length)..(begin + size).min(length)]);
    }

    #[test]
    fn a_flipped_byte_anywhere_is_found(length in 0..2 * CHUNK, at in any::<prop::sample::Index>(), bit in 0..8) {
        let keys = ring(&[1]);
        let mut at_rest = sealed(&plain(length), &keys);
        let at = at.index(at_rest.len());
        at_rest[at] ^= 1_u8 << bit;
        prop_assert!(read_all(&at_rest, &keys).is_err());
    }

    #[test]
    fn a_cut_anywhere_is_found(length in 0..2 * CHUNK, at in any::<prop::sample::Index>()) {
        let keys = ring(&[1]);
        let at_rest = sealed(&plain(length), &keys);
        let cut = at.index(at_rest.len());
        prop_assert!(Sealed::open(Cursor::new(at_rest[..cut].to_vec()), &keys).is_err());
    }
}
