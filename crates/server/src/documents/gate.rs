//! shim
use crate::{command::Command, problem::Problem};
use uuid::Uuid;
/// shim
#[derive(Clone, Copy)]
pub enum Action {
    /// shim
    Close,
}
/// shim
#[derive(Clone, Copy)]
pub enum OfferingKind {
    /// shim
    IssuerOwns,
    /// shim
    Acquisition,
}
/// shim
pub async fn pass(
    _c: &Command,
    _p: Uuid,
    _a: Action,
    _s: Uuid,
    _k: OfferingKind,
    _d: Option<chrono::NaiveDate>,
) -> Result<Uuid, Problem> {
    Err(Problem::NotAvailable)
}
