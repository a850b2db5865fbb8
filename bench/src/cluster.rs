//! A durable cluster of its own in a temporary folder, with the schema, gone afterwards.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use nexus_mint::{
    attach::{Migrate, Postgres},
    config::Secret,
    db::Db,
    postgres::{Cluster, ClusterOptions},
    problem::AnyError,
};

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever empties the temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a measurement on a cluster of its own: the pools that the program has, and the superuser's way in.
pub(crate) fn with_cluster(
    measurement: impl AsyncFnOnce(&Postgres, &Db) -> Result<(), AnyError>,
) -> Result<(), AnyError> {
    let folder = Folder(std::env::temp_dir().join(format!("nexus-mint-bench-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;
    // When we are root, PostgreSQL runs as somebody else and must get there.
    fs::set_permissions(&folder.0, Permissions::from_mode(0o755))?;
    let cluster = Cluster::start(&ClusterOptions::new(&folder.0, Secret::random()?.expose()))?;
    let postgres = Postgres::Embedded {
        cluster: Box::new(cluster),
        password: Secret::random()?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(async {
        let db = postgres.open(Migrate::Yes).await?;
        let outcome = measurement(&postgres, &db).await;
        db.close();
        outcome
    });
    postgres.stop()?;
    outcome
}
