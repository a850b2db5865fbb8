//! Settings of signing in.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    ANONYMOUS, CLIENT_ADDRESS_HEADER, ConfigError, ETHEREUM, LINKING, Loader, MAIL_FROM, MAIL_INTERVAL, MAIL_TEMPLATES,
    PROVIDERS, SCORE_MIN, SIGN_UP, SMTP_CA, TOKEN_HOOK, parse,
    providers::{self, Provider},
};

/// Long enough that a person has read the first mail (s): GoTrue's value.
const MAIL_INTERVAL_S: u64 = 60;
/// While somebody tries things out (s): that of Supabase's local setup.
const MAIL_INTERVAL_DEV_S: u64 = 1;

/// What zxcvbn calls somewhat guessable: 10^6 to 10^8 tries.
const SCORE_MIN_DEFAULT: u8 = 2;

/// How people sign in.
#[derive(Debug, Clone)]
pub struct Logins {
    /// Whether anybody may sign up.
    pub sign_up: bool,
    /// Whether somebody may sign in without saying who.
    pub anonymous: bool,
    /// Whether people may link and unlink identities by themselves.
    pub linking: bool,
    /// Whether Ethereum wallets may sign in.
    pub ethereum: bool,
    /// Who mails are from: `address` or `Name <address>`.
    pub mail_from: String,
    /// The folder with words of mails.
    pub mail_templates: Option<PathBuf>,
    /// The authorities by which the mail server is known, in place of the system's.
    pub smtp_ca: Option<PathBuf>,
    /// How long to wait before another mail to the same address.
    pub mail_interval: Duration,
    /// How hard a new password must be to guess, from 0 to 4.
    pub score_min: u8,
    /// Other providers of sign-ins, by name.
    pub providers: BTreeMap<String, Provider>,
    /// The function that adds claims to access tokens, as `schema.name`.
    pub token_hook: Option<String>,
    /// The header in which a proxy says who asks, in lower case.
    pub client_address_header: Option<String>,
}

impl Loader<'_> {
    pub(super) fn logins(&self) -> Result<Logins, ConfigError> {
        let dev = self.flags.dev_keys;
        let interval = if dev { MAIL_INTERVAL_DEV_S } else { MAIL_INTERVAL_S };
        Ok(Logins {
            sign_up: self.get(&SIGN_UP, parse::boolean)?.unwrap_or(true),
            anonymous: self.get(&ANONYMOUS, parse::boolean)?.unwrap_or(dev),
            linking: self.get(&LINKING, parse::boolean)?.unwrap_or(dev),
            ethereum: self.get(&ETHEREUM, parse::boolean)?.unwrap_or(dev),
            mail_from: self
                .get(&MAIL_FROM, parse::mail_from)?
                .unwrap_or_else(|| "Nexus Mint <no-reply@localhost>".to_owned()),
            mail_templates: self.get(&MAIL_TEMPLATES, parse::absolute_path)?,
            smtp_ca: self.get(&SMTP_CA, parse::absolute_path)?,
            mail_interval: Duration::from_secs(self.get(&MAIL_INTERVAL, parse::seconds)?.unwrap_or(interval)),
            score_min: self
                .get(&SCORE_MIN, parse::score)?
                .unwrap_or(if dev { 0 } else { SCORE_MIN_DEFAULT }),
            providers: self.get(&PROVIDERS, providers::parse)?.unwrap_or_default(),
            token_hook: self.get(&TOKEN_HOOK, parse::function_name)?,
            client_address_header: self.get(&CLIENT_ADDRESS_HEADER, parse::header_name)?,
        })
    }
}
