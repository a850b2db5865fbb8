//! What the server does by itself, beside answering requests.
//!
//! A job is a loop: do what there is, wait, again. What fails is logged, once as long as it fails in the same way, and tried
//! again at the next turn. A job runs until the server drops it, at any point: each of its steps is one transaction, and
//! whatever it does outside of the database may happen twice.

pub mod clock;
mod mails;
pub mod queues;
pub mod sales;

use std::time::{Duration, SystemTime};

use crate::{
    analytics,
    app::App,
    audit::{Progress, SealKey, Sealer, seal::SealError},
    command::Command,
    compliance,
    db::{Actor, Db},
    files,
    problem::{Problem, chain},
    realtime, storage,
};

/// How long a row stays unsealed when the server is idle: short beside the time that anybody needs to change it unseen,
/// long beside the cost of a look.
const SEAL_EVERY: Duration = Duration::from_secs(3);

/// How long the sealer keeps waiting for one older transaction. Longer than any statement of ours may take; an import that
/// takes longer is waited for again.
const SEAL_PATIENCE: Duration = Duration::from_secs(300);

/// How often sales look for what is due: people wait for it, and a look costs a handful of index scans.
const SALES_EVERY: Duration = Duration::from_secs(1);

/// How often bytes that no row names are looked for: what a crash leaves is little.
const COLLECT_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// How often removed objects are looked for: nobody waits for it, and a look that finds nothing is one index scan.
const UNNAMED_EVERY: Duration = Duration::from_secs(5);

/// Every so many turns funded offerings are tried to close: they wait for days.
const CLOSING_EVERY: u64 = 30;

/// Every so many turns approvals and screenings that are due are looked for. Nothing rests on it: whoever asks, asks at an
/// instant.
const PEOPLE_EVERY: u64 = 30;

/// How often changes are folded into figures: a look that finds nothing costs two index scans.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// Runs all jobs; never ends by itself.
pub async fn run(app: App, seal_key: SealKey) {
    let sealer = Sealer::new(seal_key, SEAL_PATIENCE);
    tokio::join!(
        seal(&app.db, &sealer),
        collect_files(&app),
        collect_unnamed(&app),
        due(&app),
        keep_figures(&app),
        forget_messages(&app),
        mails::run(&app)
    );
}

/// Does what is due, as long as the clock can be trusted.
async fn due(app: &App) {
    let watch = clock::Watch::default();
    let mut last_pace = clock::Pace::Running;
    let mut last_failure = None;
    let mut count: u64 = 0;
    loop {
        let failure = match watch.look(app).await {
            Ok(pace) => {
                if pace != last_pace {
                    match &pace {
                        clock::Pace::Paused(since, reason) => tracing::error!(
                            %since, reason, "deadlines, closings and payouts are paused; look at the clock, then: nexus-mint jobs resume"
                        ),
                        clock::Pace::Running => tracing::info!("deadlines, closings and payouts run again"),
                    }
                }
                let scope = match pace {
                    clock::Pace::Paused(..) => sales::Turn::OnlyMessages,
                    clock::Pace::Running if count.is_multiple_of(CLOSING_EVERY) => sales::Turn::Everything,
                    clock::Pace::Running => sales::Turn::Ordinary,
                };
                let is_for_people = count.is_multiple_of(PEOPLE_EVERY) && scope != sales::Turn::OnlyMessages;
                last_pace = pace;
                count += 1;
                let people = if is_for_people { keep_people(app).await } else { Ok(()) };
                sales::turn(app, scope).await.and(people).err()
            }
            Err(problem) => Some(problem),
        };
        let failure = failure.map(|problem| chain(&problem));
        if failure != last_failure {
            match &failure {
                Some(cause) => tracing::error!(%cause, "what is due is not done; trying again"),
                None => tracing::info!("what is due is done again"),
            }
        }
        last_failure = failure;
        tokio::time::sleep(SALES_EVERY).await;
    }
}

/// One turn over everything that is due, in all areas.
///
/// # Errors
/// When the database cannot be reached.
pub async fn turn(app: &App, scope: sales::Turn) -> Result<(), Problem> {
    sales::turn(app, scope).await?;
    analytics::fold(app).await.map(|_| ())
}

/// Folds what changed, and refreshes the market views. Nothing is decided by what it writes, so no clock pauses it.
async fn keep_figures(app: &App) {
    let mut last_failure = None;
    loop {
        let kept = async {
            analytics::fold(app).await?;
            analytics::refresh_if_stale(app).await
        };
        let failure = kept.await.err().map(|problem| chain(&problem));
        if failure != last_failure {
            match &failure {
                Some(cause) => tracing::error!(%cause, "figures are not folded; trying again"),
                None => tracing::info!("figures are folded again"),
            }
        }
        last_failure = failure;
        tokio::time::sleep(FOLD_EVERY).await;
    }
}

/// Removes broadcasts of the database that are too old to be asked for.
async fn forget_messages(app: &App) {
    loop {
        match realtime::replay::forget(app).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old broadcasts are forgotten"),
            Err(problem) => tracing::error!(cause = %chain(&problem), "old broadcasts cannot be forgotten"),
        }
        tokio::time::sleep(COLLECT_EVERY).await;
    }
}

/// Removes what crashes left in the file store. The machine's clock decides, as it does over the files' own times.
async fn collect_files(app: &App) {
    loop {
        let before = SystemTime::now()
            .checked_sub(files::ORPHAN_AGE)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        match files::collect(&app.db, &app.files, before).await {
            Ok(collected) if collected == files::Collected::default() => {}
            Ok(collected) => tracing::info!(?collected, "the file store was swept"),
            Err(problem) => tracing::error!(cause = %chain(&problem), "the file store cannot be swept"),
        }
        tokio::time::sleep(COLLECT_EVERY).await;
    }
}

/// Forgets uploads that expired, and removes the bytes of objects that were removed or replaced.
async fn collect_unnamed(app: &App) {
    let mut last_failure = None;
    loop {
        let collected = async {
            storage::resumable::forget_expired(app).await?;
            files::collect_unnamed(&app.db, &app.files).await
        };
        let failure = match collected.await {
            Ok(done) if done == files::Unnamed::default() => None,
            Ok(done) => {
                tracing::debug!(?done, "contents that no object names are removed");
                None
            }
            Err(problem) => Some(chain(&problem)),
        };
        if failure != last_failure {
            match &failure {
                Some(cause) => tracing::error!(%cause, "removed objects keep their bytes; trying again"),
                None => tracing::info!("removed objects lose their bytes again"),
            }
        }
        last_failure = failure;
        tokio::time::sleep(UNNAMED_EVERY).await;
    }
}

/// Ends approvals and compares names again as they become due. What has expired stays so: not while the clock is in doubt.
async fn keep_people(app: &App) -> Result<(), Problem> {
    loop {
        let command = Command::begin(app, Actor::Program("people")).await?;
        let expired = compliance::jobs::expire_due(&command).await?;
        let screened = compliance::jobs::screen_due(&command).await?;
        command.commit().await?;
        if expired == 0 && screened == 0 {
            return Ok(());
        }
        tracing::info!(expired, screened, "what was due about people is done");
    }
}

/// Seals what was written to the audit trail and the ledger.
async fn seal(db: &Db, sealer: &Sealer) {
    let mut last_failure = None;
    loop {
        let failure = seal_all(db, sealer).await.err().map(|error| chain(&error));
        if failure != last_failure {
            match &failure {
                Some(cause) => tracing::error!(%cause, "the audit chain is not sealed; trying again"),
                None => tracing::info!("the audit chain is sealed again"),
            }
        }
        last_failure = failure;
        tokio::time::sleep(SEAL_EVERY).await;
    }
}

/// Seals batch after batch until nothing is left, or not now.
async fn seal_all(db: &Db, sealer: &Sealer) -> Result<(), SealError> {
    loop {
        match sealer.step(db).await? {
            Progress::Sealed(head) => {
                tracing::debug!(seal = head.batch.number, links = head.batch.links_up_to, "sealed");
            }
            Progress::Nothing | Progress::Waiting | Progress::Busy => return Ok(()),
        }
    }
}
