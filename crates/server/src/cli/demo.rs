//! `nexus-mint demo`.

use std::{io, process::ExitCode, time::Instant};

use super::{answer, operate, runtime};
use crate::{
    attach::{Migrate, Postgres},
    config::Config,
    db::Db,
    demo::{self, Teller, Told},
    postgres::Mode,
    problem::AnyError,
};

/// Tells the story in the demo's own database.
pub(super) fn run(config: &Config, again: bool) -> Result<ExitCode, AnyError> {
    let began = Instant::now();
    let postgres = Postgres::attach(config, Mode::Own)?;
    let told = runtime()?.block_on(async {
        if again {
            postgres.drop_database().await?;
        }
        let db = postgres.open(Migrate::Yes).await?;
        let told = tell(config, &db, &postgres).await;
        db.close();
        told
    });
    postgres.stop()?;
    let told = told?;
    answer(&format!(
        "\nTold in {:.0} s. Look around:\n",
        began.elapsed().as_secs_f32()
    ))?;
    answer("    nexus-mint serve --demo")?;
    for (email, who) in &told.people {
        answer(&format!("    nexus-mint user token {email} --demo      # {who}"))?;
    }
    answer(&format!("\nEverybody's password is {:?}.", told.password))?;
    Ok(ExitCode::SUCCESS)
}

async fn tell(config: &Config, db: &Db, postgres: &Postgres) -> Result<Told, AnyError> {
    demo::check_empty(db).await?;
    let app = operate::app(config, db)?;
    let mut teller = Teller::new(Box::new(io::stdout()), db.clone());
    let admin = postgres.admin().connect().await?;
    let told = demo::tell(&app, &mut teller, demo::BUYERS, &admin).await;
    app.rest.close();
    told
}
