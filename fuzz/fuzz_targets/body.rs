//! Bodies of `/auth/v1`: each is read as what it should be, or not.
#![no_main]

use nexus_mint::auth::{
    account::Change,
    admin::{AdminUser, generate_link::LinkWanted},
    factors::Enrolment,
    links::LinkBody,
    pkce::{Challenge, Exchange},
    providers::grant::Shown,
    refresh::Refresh,
    signup::SignUp,
    verify::Proof,
    web3::Signed,
};
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    macro_rules! read {
        ($($kind:ty),*) => { $(let _ = serde_json::from_value::<$kind>(value.clone());)* };
    }
    read!(Change, AdminUser, LinkWanted, Enrolment, LinkBody, Exchange, Shown, Refresh, SignUp, Proof, Signed);
    if let Ok(challenge) = serde_json::from_value::<Challenge>(value) {
        let _ = challenge.flow();
    }
});
