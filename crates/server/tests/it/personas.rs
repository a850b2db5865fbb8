//! The wall, proven: what every persona can do to every relation, tried on one fixture and compared with `personas.txt`,
//! and what nobody may ever do, which no change to that page can loosen.
//!
//! A relation, column, function or bucket that the fixture does not know fails the test with what to add.

mod fixture;
mod matrix;
mod never;
mod page;
mod reach;
mod relations;
mod tampered;
mod tokens;
mod trial;
mod tries;

use std::path::Path;

use tokio_postgres::Client;

use crate::schema_sql::compare;
use crate::world::World;
use fixture::{load, personas, unknown};
use matrix::{Matrix, subjects};

#[tokio::test]
async fn every_persona_can_do_what_the_page_says_and_no_more() {
    let world = World::own_database().await;
    let client = world.admin().await;
    load(&client).await;
    let lacks = lacks(&client).await;
    assert!(lacks.is_empty(), "{}", lacks.join("\n"));
    let matrix = matrix(&client).await;
    let broken = never::broken_laws(&matrix);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    compare(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/personas.txt"),
        &matrix.page(),
    );
}

async fn matrix(client: &Client) -> Matrix {
    Matrix::of(client, personas(client).await, subjects(client).await).await
}

async fn lacks(client: &Client) -> Vec<String> {
    let mut lacks = unknown(client).await;
    for subject in subjects(client).await {
        lacks.extend(subject.lacks());
    }
    lacks
}
