//! The program ends between any two steps of the file store: whatever row there is can be read, and whatever bytes no row
//! names are collected.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::http::Request;
use nexus_mint::app::App;
use nexus_mint::config::Secret;
use nexus_mint::files::folder::Folder;
use nexus_mint::files::keys::KeyRing;
use nexus_mint::files::sealed::Digest;
use nexus_mint::files::{self, Content, FileStore, Files, Found, Incoming, Rotated, StoreError, Written};

use super::{ask, at, bucket, get, picture, put, service};
use crate::site::Site;
use crate::world::World;

/// A store that does so many steps and then nothing any more, as if the program had ended: before the step that is one too
/// many, or after it, when only its answer is lost.
struct Mortal {
    folder: Folder,
    steps: Arc<AtomicUsize>,
    last_is_done: bool,
}

impl Mortal {
    fn step<T>(&self, does: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        step(&self.steps, self.last_is_done, does)
    }
}

fn step<T>(
    steps: &AtomicUsize,
    last_is_done: bool,
    does: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let left = steps.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    match left {
        Ok(1) if last_is_done => {
            // Forgotten, so that nothing of it is cleaned up.
            std::mem::forget(does());
            Err(StoreError::Interrupted)
        }
        Ok(1) | Err(_) => Err(StoreError::Interrupted),
        Ok(_) => does(),
    }
}

struct MortalIncoming {
    inner: Option<Box<dyn Incoming>>,
    steps: Arc<AtomicUsize>,
    last_is_done: bool,
}

impl Incoming for MortalIncoming {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let inner = self.inner.as_mut().unwrap();
        step(&self.steps, self.last_is_done, || inner.write(bytes))
    }

    fn finish(mut self: Box<Self>) -> Result<Written, StoreError> {
        let inner = self.inner.take().unwrap();
        let (steps, last_is_done) = (self.steps.clone(), self.last_is_done);
        let mut inner = Some(inner);
        let finished = step(&steps, last_is_done, || inner.take().unwrap().finish());
        std::mem::forget(inner);
        finished
    }
}

impl Drop for MortalIncoming {
    fn drop(&mut self) {
        // The dead clean nothing up.
        std::mem::forget(self.inner.take());
    }
}

impl FileStore for Mortal {
    fn begin(&self) -> Result<Box<dyn Incoming>, StoreError> {
        let inner = self.step(|| FileStore::begin(&self.folder))?;
        Ok(Box::new(MortalIncoming {
            inner: Some(inner),
            steps: self.steps.clone(),
            last_is_done: self.last_is_done,
        }))
    }

    fn keep(&self, staged: &str, digest: &Digest) -> Result<(), StoreError> {
        self.step(|| FileStore::keep(&self.folder, staged, digest))
    }

    fn discard(&self, staged: &str) -> Result<(), StoreError> {
        self.step(|| self.folder.discard(staged))
    }

    fn open(&self, digest: &Digest) -> Result<Arc<dyn Content>, StoreError> {
        FileStore::open(&self.folder, digest)
    }

    fn read(&self, digest: &Digest, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.folder.read(digest, range)
    }

    fn exists(&self, digest: &Digest) -> Result<bool, StoreError> {
        self.folder.exists(digest)
    }

    fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        self.step(|| self.folder.remove(digest))
    }

    fn written_at(&self, digest: &Digest) -> Result<Option<SystemTime>, StoreError> {
        self.folder.written_at(digest)
    }

    fn files(&self) -> Result<Vec<Found>, StoreError> {
        self.folder.files()
    }

    fn sweep(&self, before: SystemTime) -> Result<u64, StoreError> {
        self.folder.sweep(before)
    }

    fn verify(&self) -> Result<(u64, Vec<String>), StoreError> {
        self.folder.verify()
    }

    fn rotate(&self) -> Result<Rotated, StoreError> {
        self.folder.rotate()
    }
}

fn folder(app: &App) -> Folder {
    let key = Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let path = app.config.settings.data_dir.join(files::FOLDER_NAME);
    Folder::new(path, KeyRing::parse(&key, &[]).unwrap())
}

/// The program over a store that ends after so many steps.
pub(super) fn mortal(app: &App, steps: usize, last_is_done: bool) -> App {
    let store = Mortal {
        folder: folder(app),
        steps: Arc::new(AtomicUsize::new(steps)),
        last_is_done,
    };
    let mut app = app.clone();
    app.files = Files::over(store);
    app
}

#[tokio::test]
async fn wherever_the_program_ends_rows_can_be_read_and_orphans_are_collected() {
    let mut site = Site::over(World::own_database().await);
    let (who, name) = (service(&site), bucket(&site, false).await);
    let old = picture();
    put(&site, &who, &name, "replaced", &old).await.ok();
    let immortal = site.app.clone();
    let mut was_whole = false;
    for steps in 1..18 {
        for last_is_done in [false, true] {
            let (new, replacing) = (format!("new-{steps}-{last_is_done}"), picture());
            site.app = mortal(&immortal, steps, last_is_done);
            let added = put(&site, &who, &name, &new, &picture()).await;
            let upsert = Request::post(at(&name, "replaced")).header("x-upsert", "true");
            let replaced = ask(&site, Some(&who), upsert, replacing.clone()).await;
            let collecting = files::collect_unnamed(&site.app.db, &site.app.files).await;
            was_whole |= added.status.is_success() && replaced.status.is_success() && collecting.is_ok();
            // The next program finds what this one left.
            site.app = immortal.clone();
            files::collect_unnamed(&site.app.db, &site.app.files).await.unwrap();
            let found = get(&site, &who, &name, "replaced").await.ok();
            if replaced.status.is_success() {
                assert_eq!(found.bytes, replacing, "what was said to be done is done");
            }
            let found = get(&site, &who, &name, &new).await;
            assert_eq!(
                found.status.is_success(),
                added.status.is_success(),
                "step {steps}: a row without bytes, or bytes that were promised"
            );
        }
    }
    assert!(was_whole, "the last turns ran to their end");
    let later = SystemTime::now() + Duration::from_secs(3600);
    files::collect(&site.app.db, &site.app.files, later).await.unwrap();
    let client = site.world.admin().await;
    let text = "select count(distinct metadata ->> 'eTag') from storage.objects where bucket_id = $1";
    let named: i64 = client.query_one(text, &[&name]).await.unwrap().get(0);
    let kept = site.app.files.blocking(|store| Ok(store.files()?.len())).await.unwrap();
    assert_eq!(i64::try_from(kept).unwrap(), named, "no orphan is left");
    let (_, faults) = site.app.files.blocking(|store| store.verify()).await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    let rows = client
        .query("select name from storage.objects where bucket_id = $1", &[&name])
        .await
        .unwrap();
    for row in rows {
        get(&site, &who, &name, row.get(0)).await.ok();
    }
}
