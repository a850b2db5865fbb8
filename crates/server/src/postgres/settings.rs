//! How the cluster is set up. Written anew at each start, so that a new version of the program brings its own.

use std::path::{Path, PathBuf};

use super::Durability;
use super::error::ClusterError;
use super::folder::Folder;

/// Nobody gets in without a password, and nobody gets in from the network, whatever else says that it listens.
const PG_HBA: &str = "\
# Written by nexus-mint at each start; changes are lost.
local all         all      scram-sha-256
# Copies of the whole cluster are the superuser's; the changes of one database are followed by who may log in to it.
local replication supabase_admin scram-sha-256
";

/// Defaults. `alter system set` overrides them and is kept.
const POSTGRESQL_CONF: &str = "\
# Written by nexus-mint at each start; changes are lost. To change a setting: alter system set ... ;
cluster_name = 'nexus-mint'
max_connections = 100
shared_buffers = '128MB'
password_encryption = 'scram-sha-256'

# A reader of changes that went away for good would keep all log since then and fill the disk.
# Past this its slot is given up, and it starts over.
max_slot_wal_keep_size = '1GB'

# Our statements are many and short: compiling them costs more than running them.
jit = off

timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.english'
log_destination = 'stderr'
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
";

/// Writes the two files, and gives the arguments that make `postgres` read them.
pub(super) fn write(folder: &Folder, socket_dir: &Path, durability: Durability) -> Result<Vec<String>, ClusterError> {
    let conf = folder.write("postgresql.conf", POSTGRESQL_CONF)?;
    let hba = folder.write("pg_hba.conf", PG_HBA)?;
    let durable = match durability {
        Durability::Durable => "on",
        Durability::Throwaway => "off",
    };
    // What must hold stands on the command line, where `alter system` cannot reach it.
    let settings = [
        ("config_file", text(conf)),
        ("hba_file", text(hba)),
        ("listen_addresses", String::new()),
        ("port", "5432".to_owned()),
        // A list, hence the quotes.
        (
            "unix_socket_directories",
            format!("\"{}\"", socket_dir.display().to_string().replace('"', "\"\"")),
        ),
        ("wal_level", "logical".to_owned()),
        ("fsync", durable.to_owned()),
        ("full_page_writes", durable.to_owned()),
        ("synchronous_commit", durable.to_owned()),
    ];
    let mut arguments = vec!["-D".to_owned(), text(folder.data())];
    for (name, value) in settings {
        arguments.push("-c".to_owned());
        arguments.push(format!("{name}={value}"));
    }
    Ok(arguments)
}

fn text(path: PathBuf) -> String {
    path.display().to_string()
}
