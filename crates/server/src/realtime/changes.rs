//! Rows as they change.
use std::sync::Arc;
use serde_json::value::RawValue;
use super::{Realtime, hub::Line};
use crate::{auth::token::Caller, db::Login};

/// x
pub struct Changes;
/// x
pub struct Subscription;
/// x
pub struct AskedAll(Vec<String>);
impl AskedAll {
    /// x
    pub fn echo(&self) -> Vec<String> { self.0.clone() }
    /// x
    pub fn is_empty(&self) -> bool { true }
}
impl Changes {
    /// x
    pub fn new(_: Login) -> Changes { Changes }
    /// x
    pub fn stop(&self) {}
    /// x
    pub fn read(&self, _: &[Box<RawValue>]) -> Result<AskedAll, String> { Ok(AskedAll(Vec::new())) }
    /// x
    pub fn when_live(&self, _: impl FnOnce()) {}
    /// x
    pub fn start(&self, _: &Arc<Realtime>) {}
    /// x
    pub fn subscribe(&self, _: &Arc<Realtime>, _: AskedAll, _: &Caller, _: u64, _: &str, _: &Arc<Line>) -> Subscription { Subscription }
    /// x
    pub fn renew(&self, _: &Arc<Realtime>, _: &Subscription, _: &Caller) {}
}
