//! What happened to logins, told without anything personal.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::db::{Tx, sql};

macro_rules! events {
    ($($(#[$about:meta])* $name:ident = $text:literal,)*) => {
        /// What happened to a login.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event { $($(#[$about])* $name,)* }

        impl Event {
            /// As the row says it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Event::$name => $text,)* }
            }
        }
    };
}

events! {
    /// A person signed up.
    SignedUp = "signed_up",
    /// Somebody came in without a name.
    SignedUpAnonymously = "signed_up_anonymously",
    /// A session began.
    SignedIn = "signed_in",
    /// Sessions ended because the person said so.
    SignedOut = "signed_out",
    /// A wrong password or code.
    SignInRefused = "sign_in_refused",
    /// Too many tries.
    LockedOut = "locked_out",
    /// A refresh token was shown that had been replaced long before: its session ended.
    TokenReused = "token_reused",
    /// An address was shown to be the person's.
    EmailConfirmed = "email_confirmed",
    /// Another address is to be the person's.
    EmailChangeAsked = "email_change_asked",
    /// It is.
    EmailChanged = "email_changed",
    /// Another password.
    PasswordChanged = "password_changed",
    /// The same password under a better hash.
    PasswordRehashed = "password_rehashed",
    /// A mail to set another password was asked for.
    RecoveryAsked = "recovery_asked",
    /// A mail to sign in was asked for.
    LinkAsked = "link_asked",
    /// A code to prove who asks was asked for.
    ReauthenticationAsked = "reauthentication_asked",
    /// The service invited somebody.
    Invited = "invited",
    /// The service was given a link that signs in.
    LinkMade = "link_made",
    /// The service added a login.
    UserCreated = "user_created",
    /// The service changed one.
    UserChanged = "user_changed",
    /// The service removed one.
    UserDeleted = "user_deleted",
    /// The service removed one whose history stays.
    UserAnonymised = "user_anonymised",
    /// A second factor is to be.
    FactorEnrolled = "factor_enrolled",
    /// A second factor was shown.
    FactorVerified = "factor_verified",
    /// A wrong code of one.
    FactorRefused = "factor_refused",
    /// A second factor is no more.
    FactorRemoved = "factor_removed",
    /// Another way to sign in.
    IdentityLinked = "identity_linked",
    /// One less.
    IdentityUnlinked = "identity_unlinked",
}

/// Tells one event. `tx` is the auth role's.
///
/// # Errors
/// What the database answered.
pub async fn note(
    tx: &Tx,
    event: Event,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    now: DateTime<Utc>,
) -> Result<(), tokio_postgres::Error> {
    tx.execute(
        sql!("insert into nexus.login_events (event, user_id, session_id, at) values ($1, $2, $3, $4)"),
        &[&event.name(), &user_id, &session_id, &now],
    )
    .await?;
    Ok(())
}
