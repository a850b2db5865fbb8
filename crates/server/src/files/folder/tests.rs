use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::*;
use crate::{config::Secret, files::sealed::digest_of};

/// A folder that goes with its test.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        Place(std::env::temp_dir().join(format!("nexus-mint-files-{}", Uuid::now_v7())))
    }

    fn store(&self, keys: &[u8]) -> Folder {
        let secret = |byte: u8| Secret::new(STANDARD.encode([byte; 32]));
        let old: Vec<Secret> = keys[1..].iter().copied().map(secret).collect();
        Folder::new(self.0.clone(), KeyRing::parse(&secret(keys[0]), &old).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_put_is_there_until_it_is_removed() {
    let place = Place::new();
    let store = place.store(&[1]);
    let (digest, size) = store.put(b"a deed").unwrap();
    assert_eq!((digest, size), (digest_of(b"a deed"), 6));
    assert_eq!(
        store.put(b"a deed").unwrap().0,
        digest,
        "the same again is the same file"
    );
    assert_eq!(store.files().unwrap().len(), 1);
    assert_eq!(store.read(&digest, 2..100).unwrap(), b"deed");
    assert_eq!(
        place.store(&[1]).read(&digest, 0..6).unwrap(),
        b"a deed",
        "another process finds it"
    );
    assert!(store.exists(&digest).unwrap());
    store.remove(&digest).unwrap();
    store.remove(&digest).unwrap();
    assert!(!store.exists(&digest).unwrap());
    assert!(matches!(store.read(&digest, 0..6), Err(StoreError::NotThere)));
}

#[test]
fn what_was_staged_is_no_file_and_can_be_swept() {
    let place = Place::new();
    let store = place.store(&[1]);
    let staged = store.stage(b"cut off").unwrap();
    assert!(!store.exists(&digest_of(b"cut off")).unwrap());
    let begun = SystemTime::now();
    assert_eq!(
        store.sweep(begun - std::time::Duration::from_secs(60)).unwrap(),
        0,
        "it may still be wanted"
    );
    // Keeping can be repeated, also once another copy was removed.
    for _ in 0..3 {
        store.keep(&staged, &digest_of(b"cut off")).unwrap();
        assert_eq!(store.read(&digest_of(b"cut off"), 0..3).unwrap(), b"cut");
    }
    store.remove(&digest_of(b"cut off")).unwrap();
    store.keep(&staged, &digest_of(b"cut off")).unwrap();
    store.remove(&digest_of(b"cut off")).unwrap();
    assert_eq!(store.sweep(begun + std::time::Duration::from_secs(60)).unwrap(), 1);
    assert!(store.keep(&staged, &digest_of(b"cut off")).is_err());
}

#[test]
fn rotation_lets_go_of_the_old_key_and_can_be_cut_off_anywhere() {
    let place = Place::new();
    let digest = place.store(&[1]).put(b"an old file").unwrap().0;
    let both = place.store(&[2, 1]);
    let path = both.place_of(&digest).unwrap();
    let old = fs::read(&path).unwrap();
    both.put(b"a new file").unwrap();
    // The address key, made under the old key, is a file like others.
    assert_eq!(
        both.rotate().unwrap(),
        Rotated {
            turned: 2,
            were_current: 1
        }
    );
    assert_eq!(
        both.rotate().unwrap(),
        Rotated {
            turned: 0,
            were_current: 3
        }
    );
    let new = place.store(&[2]);
    assert_eq!(new.read(&digest, 0..100).unwrap(), b"an old file");
    assert_eq!(new.verify().unwrap(), (3, vec![]));

    // The power went while a header was being replaced: half of it is new.
    let mut torn = fs::read(&path).unwrap();
    fs::write(path.with_extension(HEADER_SUFFIX), &torn[..HEADER]).unwrap();
    torn[..60].copy_from_slice(&old[..60]);
    fs::write(&path, torn).unwrap();
    assert!(new.read(&digest, 0..100).is_err());
    new.rotate().unwrap();
    assert_eq!(new.read(&digest, 0..100).unwrap(), b"an old file");

    // What was left behind does not harm a file that was written anew meanwhile.
    fs::write(path.with_extension(HEADER_SUFFIX), &old[..HEADER]).unwrap();
    new.put(b"an old file").unwrap();
    new.rotate().unwrap();
    assert_eq!(new.read(&digest, 0..100).unwrap(), b"an old file");
}

#[test]
fn a_file_under_another_name_is_not_believed() {
    let place = Place::new();
    let store = place.store(&[1]);
    let (one, other) = (store.put(b"one").unwrap().0, store.put(b"other").unwrap().0);
    fs::copy(store.place_of(&other).unwrap(), store.place_of(&one).unwrap()).unwrap();
    assert!(store.read(&one, 0..3).is_err());
    let (read, faults) = store.verify().unwrap();
    assert_eq!((read, faults.len()), (3, 1), "{faults:?}");
}

#[test]
fn names_tell_nothing() {
    let (one, other) = (Place::new(), Place::new());
    let name = |place: &Place| {
        let store = place.store(&[1]);
        store.put(b"a deed").unwrap();
        store.files().unwrap()[0].name.clone()
    };
    assert_ne!(name(&one), name(&other), "the same document has another name elsewhere");
    assert_ne!(name(&one), hex(&digest_of(b"a deed")));
}
