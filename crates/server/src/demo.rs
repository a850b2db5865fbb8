//! `nexus-mint demo`: the whole story of two real houses, told in a database of its own.
//!
//! Everything goes through the functions that people call, with their rights and nothing more; only the clock is set, so that
//! months pass in seconds. Whoever is in it is invented, whatever is sold in it is marked as simulated, and it ends at the
//! machine's time, so that a server can go on from there.

mod cast;
mod holding;
mod houses;
mod rent;
mod sale;
mod stage;
mod teller;

use chrono::TimeDelta;
use tokio_postgres::Client;

use crate::{
    app::App,
    db::{Actor, Db, sql},
    ledger,
    problem::AnyError,
};
use houses::House;
use stage::Stage;
pub use teller::Teller;

/// When the story begins, before the machine's time. It is over before the machine's time is reached.
const BEGINS_BEFORE: TimeDelta = TimeDelta::days(110);

/// Buyers of the house that sells, where nobody says otherwise.
pub const BUYERS: usize = 500;

/// Of so many, one buys the house that does not sell as well.
const FEW: usize = 12;

/// What the story left, for whoever looks around afterwards.
#[derive(Debug)]
pub struct Told {
    /// Addresses of people to look with, and what each is.
    pub people: Vec<(String, &'static str)>,
    /// The password of all of them.
    pub password: String,
}

/// Refuses a database in which there is somebody already.
///
/// # Errors
/// When there is.
pub async fn check_empty(db: &Db) -> Result<(), AnyError> {
    let tx = db.as_service(Actor::Program("demo")).await?;
    let is_used: bool = tx
        .query_one(
            sql!("select exists (select from public.user_profiles) or exists (select from public.properties)"),
            &[],
        )
        .await?
        .try_get(0)?;
    tx.commit().await?;
    if is_used {
        return Err("this database holds people or properties already; the demo goes into one of its own".into());
    }
    Ok(())
}

/// Tells the story with so many buyers, of whom each takes about a five hundredth of the first house at [`BUYERS`]. `admin` may
/// become the owner of the database, to ask the laws of everything in it.
///
/// # Errors
/// Where a step does not do what it must: then something is wrong with the program. Fewer than 20 buyers are too few for it.
pub async fn tell(app: &App, teller: &mut Teller, buyers_count: usize, admin: &Client) -> Result<Told, AnyError> {
    let stage = Stage::set(app, BEGINS_BEFORE)?;
    teller.begin("Houses");
    houses::load(&stage).await?;
    teller
        .end(
            "4,710 houses of King County with their real sales; listed, and not for sale",
            &["GET /rest/v1/properties?select=title,bedrooms,sqft&limit=3"],
        )
        .await?;

    teller.begin("People");
    let staff = cast::staff(&stage).await?;
    let buyers = cast::sign_up(&stage, buyers_count).await?;
    teller
        .end(
            &format!(
                "a manager, two compliance officers and two admins, who check each other; {buyers_count} people sign up"
            ),
            &["GET /rest/v1/user_profiles?select=full_name,kyc_status&limit=3   (as an admin)"],
        )
        .await?;

    teller.begin("Identity");
    cast::verify(&stage, &staff, &buyers).await?;
    teller
        .end(
            "each files a document, is screened, and is approved by an officer who opened the case",
            &["POST /functions/v1/verify-kyc {\"action\":\"status\"}   (as a buyer)"],
        )
        .await?;

    teller.begin("Evidence");
    let house = House::prepare(&stage, &staff, houses::that_sells(buyers_count)?).await?;
    let other = House::prepare(&stage, &staff, houses::that_does_not()).await?;
    teller
        .end(
            "deed, insurance, appraisal and entity papers of two houses, filed by one and accepted by another",
            &[&format!(
                "GET /rest/v1/property_documents?select=document_type,review_status&property_id=eq.{}   (as the manager)",
                house.id
            )],
        )
        .await?;

    teller.begin("Launch");
    let house = house.launch(&stage, &staff).await?;
    let other = other.launch(&stage, &staff).await?;
    teller
        .end(
            "seven steps, each approved by somebody else, and a gate that rests on the evidence: two tokens, two offerings",
            &[&format!(
                "GET /rest/v1/property_tokens?select=symbol,total_supply,current_price&property_id=eq.{}",
                house.id
            )],
        )
        .await?;

    teller.begin("Sale");
    let sold = sale::sell(&stage, &house, &buyers).await?;
    teller
        .end(
            &sold,
            &[&format!(
                "GET /rest/v1/offerings?select=status,hard_cap,closes_at&property_id=eq.{}",
                house.id
            )],
        )
        .await?;

    teller.begin("Second thoughts");
    let withdrawn = sale::withdraw(&stage, &house, &buyers).await?;
    teller
        .end(&withdrawn, &["POST /functions/v1/cancel-investment"])
        .await?;

    teller.begin("A sale that fails");
    let few = buyers.get(..buyers_count / FEW).unwrap_or_default();
    let failed = sale::fail(&stage, &other, few).await?;
    teller
        .end(
            &failed,
            &[&format!(
                "GET /rest/v1/refunds?select=amount,status&property_id=eq.{}   (as an officer)",
                other.id
            )],
        )
        .await?;

    teller.begin("Close");
    let closed = sale::close(&stage, &house).await?;
    teller
        .end(
            &closed,
            &[&format!(
                "POST /functions/v1/get-register {{\"propertyId\":\"{}\"}}   (as the manager)",
                house.id
            )],
        )
        .await?;

    teller.begin("Rent");
    let earned = rent::earn(&stage, &staff, &house).await?;
    teller
        .end(
            &earned,
            &[&format!(
                "GET /rest/v1/property_performance?property_id=eq.{}",
                house.id
            )],
        )
        .await?;

    teller.begin("Distribution");
    let paid = rent::distribute(&stage, &staff, &house).await?;
    teller
        .end(
            &paid,
            &["GET /rest/v1/property_returns?select=amount,return_date,status   (as a buyer)"],
        )
        .await?;

    let holders = buyers.get(1..).unwrap_or_default();
    teller.begin("Transfer");
    let moved = holding::transfer(&stage, &staff, &house, holders).await?;
    teller
        .end(
            &moved,
            &["GET /rest/v1/lot_disposals?select=kind,token_amount,cost,proceeds   (as the seller)"],
        )
        .await?;

    teller.begin("Recovery");
    let recovered = holding::recover(&stage, &staff, holders).await?;
    teller
        .end(
            &recovered,
            &["GET /rest/v1/holding_cases?select=kind,status,reason   (as an officer)"],
        )
        .await?;

    teller.begin("Statement");
    let seller = holders.first().ok_or("nobody holds tokens")?;
    let stated = holding::statement(&stage, seller).await?;
    teller
        .end(
            &stated,
            &["POST /functions/v1/get-statement {\"year\":...}   (as a buyer; with Accept: application/pdf, a paper)"],
        )
        .await?;

    teller.begin("Every law");
    let verdict = verify(&stage, admin).await?;
    teller
        .end(
            &verdict,
            &["nexus-mint ledger verify --demo", "nexus-mint ledger laws --demo"],
        )
        .await?;
    stage.catch_up();
    Ok(Told {
        people: cast::to_look_with(&staff, &buyers),
        password: stage.password().to_owned(),
    })
}

/// Replays the journal, and asks every law of the whole database.
async fn verify(stage: &Stage, admin: &Client) -> Result<String, AnyError> {
    let verdict = ledger::verify::verify(&stage.app.db.login().connect().await?).await?;
    if let Some(fault) = verdict.faults.first() {
        return Err(format!("the ledger does not agree: {fault}").into());
    }
    match ledger::laws::breaches(admin).await?.first() {
        Some(breach) => Err(format!("a law is broken: {breach}").into()),
        None => Ok(format!(
            "{} entries and {} postings replayed over {} accounts: everything agrees; {} questions about the laws asked of the whole \
             database: every law holds",
            verdict.entries,
            verdict.postings,
            verdict.accounts,
            ledger::laws::LAWS.len()
        )),
    }
}
