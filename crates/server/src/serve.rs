//! Runs the server: database, schema, routes, until it is told to stop.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::serve::ListenerExt as _;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    app::{App, AppError, system_clock},
    attach::{AttachError, Migrate, Postgres},
    audit::{SealKey, key::NoKey},
    auth::request::Peer,
    config::Config,
    jobs,
    request_line::Lenient,
    rest::listen,
    router::router,
};

/// How long requests may still run after the signal to stop. Container managers kill after 10 s: a little less than
/// that, with the database's own end after it.
const DRAIN_MAX: Duration = Duration::from_secs(7);

/// The channel on which the schema cache is told to reload (PostgREST's).
const REST_CHANNEL: &str = "pgrst";

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen at {0}: {reason}; choose another address with --listen", reason = bind_reason(.1))]
    Bind(SocketAddr, io::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The keys do not fit.
    #[error(transparent)]
    Keys(#[from] AppError),
    /// The key of the audit chain does not fit.
    #[error(transparent)]
    SealKey(#[from] NoKey),
    /// The operating system refused something that every program needs.
    #[error("the operating system refused to let the server run")]
    System(#[source] io::Error),
}

fn bind_reason(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::AddrInUse, "another program listens there"),
        (io::ErrorKind::AddrNotAvailable, "this machine has no such address"),
        (io::ErrorKind::PermissionDenied, "ports below 1024 need root"),
    ];
    known
        .into_iter()
        .find(|(kind, _)| *kind == error.kind())
        .map_or(error.to_string(), |(_, text)| text.to_owned())
}

/// Takes the address before anything else is done: a second server must not get further than this.
///
/// # Errors
/// [`ServeError::Bind`].
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    bind().map_err(|error| ServeError::Bind(address, error))
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// See [`ServeError`].
pub async fn run(
    config: Config,
    postgres: &Postgres,
    listener: TcpListener,
    migrate: Migrate,
) -> Result<(), ServeError> {
    let stop = stop_signal().map_err(ServeError::System)?;
    let app = tokio::select! {
        app = start(config, postgres, &listener, migrate) => app?,
        () = stopped(stop.clone()) => return Ok(()),
    };
    let db = app.db.clone();
    let engine = app.rest.clone();
    let realtime = app.realtime.clone();
    let listening = tokio::spawn(listen::listen(engine.clone(), REST_CHANNEL.to_owned()));
    let tidying = tokio::spawn(listen::tidy(engine.clone()));
    let jobs = tokio::spawn(jobs::run(app.clone(), SealKey::parse(&app.config.seal_key)?));
    let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::System)?;
    let listener = listener.tap_io(|connection| {
        // Answers are written whole: waiting to fill a packet only adds latency. Without it, it is just slower.
        let _ = connection.set_nodelay(true);
    });
    let serving = axum::serve(
        Lenient(listener),
        router(app).into_make_service_with_connect_info::<Peer>(),
    )
    .with_graceful_shutdown(stopped(stop.clone()));
    let result = tokio::select! {
        result = serving => result.map_err(ServeError::System),
        () = late(stop) => {
            tracing::warn!("requests still ran after {DRAIN_MAX:?}; they are cut off");
            Ok(())
        }
    };
    // What a job had begun is undone. It ends with an error, because it was made to end.
    jobs.abort();
    let _ = jobs.await;
    listening.abort();
    tidying.abort();
    realtime.stop();
    engine.close();
    db.close();
    tracing::info!("stopped");
    result
}

/// Prepares everything, and says in one line where the server is and which keys to try.
async fn start(
    config: Config,
    postgres: &Postgres,
    listener: &TcpListener,
    migrate: Migrate,
) -> Result<App, ServeError> {
    let bound = listener.local_addr().map_err(ServeError::System)?;
    let db = postgres.open(migrate).await?;
    let dev_keys = config.settings.dev_keys;
    let app = App::new(config, db, bound, system_clock())?;
    let service_key = if dev_keys {
        app.keys.service_key().expose()
    } else {
        "nexus-mint key service"
    };
    tracing::info!(
        "nexus-mint {} ready at {} (database: {}; anon key: {}; service key: {service_key})",
        env!("CARGO_PKG_VERSION"),
        app.public_url,
        postgres.shown(),
        app.keys.anon_key(),
    );
    Ok(app)
}

/// Becomes true when the program is told to stop. From here on the signals no longer end the process by themselves.
pub(crate) fn stop_signal() -> io::Result<watch::Receiver<bool>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (told, stop) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("told to stop");
        told.send_replace(true);
        // Kept: a receiver whose sender is gone would count as told.
        std::future::pending::<()>().await;
    });
    Ok(stop)
}

pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, and then the runtime is about to end as well.
    let _ = stop.wait_for(|told| *told).await;
}

async fn late(stop: watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(DRAIN_MAX).await;
}
