//! Objects looked up for a download: one packet to PostgreSQL and one back each time, so that what was removed, made
//! private or taken from somebody is not had by the next request.

use super::{
    asked::{Asked, At},
    refusal::Refusal,
    rows::{LINKED, Object, PUBLIC, VISIBLE},
};
use crate::{
    app::App,
    auth::token::ApiRole,
    db::{Actor, Db, tx::START},
};

/// The object, as far as the caller's policies show it to him for this operation.
pub(super) async fn see(asked: &Asked, at: &At, operation: &'static str) -> Result<Object, Refusal> {
    let rows = asked
        .look(operation, VISIBLE, &[at.bucket.as_str(), at.name.as_str()])
        .await?;
    let found = rows.first().map(Object::of_wire).transpose()?;
    found.flatten().ok_or(Refusal::NoObject)
}

/// The object, where its bucket is public: no policy is asked, so none has to find who asks.
pub(super) async fn see_public(app: &App, at: &At) -> Result<Object, Refusal> {
    let mut borrowed = app.rest.sessions().borrow(ApiRole::Anon.name()).await?;
    let values = [at.bucket.as_str(), at.name.as_str()];
    let rows = borrowed.session()?.look(&[(PUBLIC, &values)]).await?;
    drop(borrowed);
    let row = rows.first().ok_or(Refusal::NoBucket)?;
    Object::of_wire(row)?.ok_or(Refusal::NoObject)
}

/// The object of a link that holds.
pub(super) async fn linked(app: &App, at: &At) -> Result<Object, Refusal> {
    let tx = app.db.engine_connection().await?;
    tx.prepare(&[START, LINKED]).await?;
    let claims = Db::claims_of(Actor::Program("storage link"));
    // Polled in this order, they leave in this order and at once.
    let (_, object) = tokio::try_join!(biased;
        async { Ok::<_, Refusal>(tx.start(&claims).await?) },
        Object::linked(&tx, at))?;
    Ok(object)
}
