//! Answers requests: read, plan, run, render. Holds the schema cache, which is replaced whole while the old one serves.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use pgrest::{
    error::{Refusal, ServerFault},
    name::quoted,
    openapi::{self, Privileges},
    plan::{Plan, StatementPlan},
    request::{self, Incoming, Options, Request},
    response::{self, Reply},
    schema::Schema,
};
use tokio::sync::{Mutex, OnceCell};

use super::{
    catalogue,
    metrics::{self, Loads},
    run::{Failure, Setup},
    session::{NoSession, Sessions},
    wire::{Fault, Row, WireError},
};
use crate::{
    db::{ConnectError, Login, sql},
    problem::chain,
};

/// After a refusal that another look at the catalogue may change, that look is taken, but not more often than this.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// And not so often that it takes more than one part in as many of the time.
const LOOK_AGAIN_SHARE: u32 = 20;

/// How the engine serves, beside the protocol's own options.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// The protocol's options.
    pub options: Options,
    /// Schemas of the search path behind the request's own.
    pub extra_search_path: Vec<String>,
    /// A function that is called before every statement, as SQL has its name.
    pub pre_request: Option<String>,
    /// The settings of functions that hold for their whole transaction.
    pub hoisted: Vec<String>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The database role.
    pub role: Arc<str>,
    /// The claims as JSON.
    pub claims: Arc<str>,
    /// Whether a token was shown.
    pub is_authenticated: bool,
}

/// A request of its own.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path below the protocol's root, still encoded.
    pub path: String,
    /// What follows `?`.
    pub query: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// How long the parts of an answer took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// Reading the request.
    pub parse: Duration,
    /// Planning, if it came to that.
    pub plan: Option<Duration>,
    /// The database, if it came to that.
    pub transaction: Option<Duration>,
    /// Rendering.
    pub response: Duration,
}

/// Answers requests.
pub struct Engine {
    behaviour: Behaviour,
    login: Login,
    sessions: Sessions,
    schema: RwLock<Option<Arc<Schema>>>,
    loading: Mutex<Option<Loaded>>,
    loads: Loads,
    timezones: OnceCell<Vec<String>>,
}

#[derive(Clone, Copy)]
struct Loaded {
    at: Instant,
    took: Duration,
}

/// Why the schema cache could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// PostgreSQL refused.
    #[error("the catalogue cannot be read")]
    Catalogue(#[from] tokio_postgres::Error),
}

/// An answer that is none yet: another look at the catalogue may change it.
struct Attempt {
    reply: Reply,
    may_be_stale: bool,
}

impl Attempt {
    fn of(refusal: &Refusal) -> Attempt {
        Attempt {
            may_be_stale: refusal.may_be_stale(),
            reply: refusal.reply().into(),
        }
    }
}

impl Engine {
    /// An engine that has not looked at the database yet.
    #[must_use]
    pub fn new(behaviour: Behaviour, login: Login, sessions: Sessions) -> Engine {
        Engine {
            behaviour,
            login,
            sessions,
            schema: RwLock::default(),
            loading: Mutex::default(),
            loads: Loads::default(),
            timezones: OnceCell::new(),
        }
    }

    /// How it serves.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.behaviour.options
    }

    /// Where it connects to.
    #[must_use]
    pub fn login(&self) -> &Login {
        &self.login
    }

    /// Its connections, for the other protocols of the same roles.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether the schema cache is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.schema().is_some()
    }

    /// Figures of the pool and the schema cache, as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        metrics::text(&self.loads, self.sessions.load())
    }

    /// Closes what nobody uses.
    pub fn close(&self) {
        self.sessions.close();
    }

    /// Looks at the catalogue and replaces the cache.
    ///
    /// # Errors
    /// See [`LoadError`]; the old cache stays.
    pub async fn reload(&self) -> Result<(), LoadError> {
        let mut loading = self.loading.lock().await;
        self.load(&mut loading).await
    }

    /// Looks again unless that was done just now. Says whether the cache is new.
    async fn look_again(&self, known: Option<&Arc<Schema>>) -> bool {
        let mut loading = self.loading.lock().await;
        let now = self.schema();
        let is_newer = match (known, &now) {
            (Some(known), Some(now)) => !Arc::ptr_eq(known, now),
            (None, now) => now.is_some(),
            (Some(_), None) => false,
        };
        if is_newer {
            return true;
        }
        let wait = loading.map(|loaded| LOOK_AGAIN_AFTER.max(loaded.took.saturating_mul(LOOK_AGAIN_SHARE)));
        if loading
            .zip(wait)
            .is_some_and(|(loaded, wait)| loaded.at.elapsed() < wait)
        {
            return false;
        }
        match self.load(&mut loading).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(cause = %chain(&error), "the schema cache cannot be loaded");
                false
            }
        }
    }

    async fn load(&self, loading: &mut Option<Loaded>) -> Result<(), LoadError> {
        let begun = Instant::now();
        let loaded = self.load_once(loading).await;
        self.loads.note(loaded.is_ok().then(|| begun.elapsed()));
        loaded
    }

    async fn load_once(&self, loading: &mut Option<Loaded>) -> Result<(), LoadError> {
        let begun = Instant::now();
        let client = self.login.connect().await?;
        let timezones = self
            .timezones
            .get_or_try_init(|| catalogue::timezones(&client))
            .await?
            .clone();
        let exposed = &self.behaviour.options.schemas;
        let schema = catalogue::load(&client, exposed, &self.behaviour.hoisted, timezones).await?;
        self.sessions.set_role_settings(Engine::role_settings(&client).await?);
        let (relations, relationships, functions) = schema.sizes();
        *self.schema.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(schema));
        let took = begun.elapsed();
        *loading = Some(Loaded {
            at: Instant::now(),
            took,
        });
        tracing::info!(relations, relationships, functions, ?took, "schema cache loaded");
        Ok(())
    }

    /// What `alter role ... set` says of each role.
    async fn role_settings(
        client: &tokio_postgres::Client,
    ) -> Result<HashMap<String, Vec<(String, String)>>, tokio_postgres::Error> {
        // Settings that only a superuser may make, and what the request sets by itself, are not taken.
        let rows = client
            .query(
                sql!(
                    "select r.rolname::text, s.setting
                     from pg_catalog.pg_roles r
                     join pg_catalog.pg_db_role_setting d on d.setrole = r.oid and d.setdatabase = 0
                     cross join lateral pg_catalog.unnest(d.setconfig) as s (setting)
                     left join pg_catalog.pg_settings g on g.name = pg_catalog.split_part(s.setting, '=', 1)
                     where coalesce(g.context, 'user') = 'user'"
                ),
                &[],
            )
            .await?;
        let mut settings: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for row in rows {
            let (role, setting): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let pair = setting.split_once('=');
            let taken = pair.filter(|(name, _)| !["role", "search_path", "session_authorization"].contains(name));
            let taken = taken.map(|(name, value)| (name.to_owned(), value.to_owned()));
            settings.entry(role).or_default().extend(taken);
        }
        Ok(settings)
    }

    fn schema(&self) -> Option<Arc<Schema>> {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a request. When the client goes away, what it asked for goes on to its end: see [`super::session::Borrowed`].
    pub async fn answer(&self, who: Result<Identity, Refusal>, asked: &Asked) -> (Reply, Timings) {
        let mut timings = Timings::default();
        let who = match who {
            Ok(who) => who,
            Err(refusal) => return (refusal.reply().into(), timings),
        };
        let mut known = self.schema();
        if known.is_none() {
            self.look_again(None).await;
            known = self.schema();
        }
        let Some(schema) = known else {
            return (Refusal::NoSchema.reply().into(), timings);
        };
        let attempt = self.attempt(&schema, &who, asked, &mut timings).await;
        if attempt.may_be_stale && self.look_again(Some(&schema)).await {
            let newer = self.schema().unwrap_or(schema);
            return (self.attempt(&newer, &who, asked, &mut timings).await.reply, timings);
        }
        (attempt.reply, timings)
    }

    async fn attempt(&self, schema: &Schema, who: &Identity, asked: &Asked, timings: &mut Timings) -> Attempt {
        let begun = Instant::now();
        let incoming = Incoming {
            method: &asked.method,
            path: &asked.path,
            query: &asked.query,
            headers: &asked.headers,
            body: &asked.body,
        };
        let request = match request::read(&incoming, self.options(), schema) {
            Ok(request) => request,
            Err(refusal) => return Attempt::of(&refusal),
        };
        timings.parse = begun.elapsed();
        let begun = Instant::now();
        let plan = schema.plan(&request, self.options());
        let planned = begun.elapsed();
        match plan {
            Err(refusal) => Attempt::of(&refusal),
            Ok(Plan::Methods(methods)) => settled(Reply {
                status: 200,
                headers: vec![
                    ("Allow".to_owned(), methods.join(",")),
                    ("Access-Control-Allow-Origin".to_owned(), "*".to_owned()),
                ],
                ..Reply::default()
            }),
            Ok(Plan::Document { by_privilege }) => {
                timings.plan = Some(planned);
                let begun = Instant::now();
                let attempt = self.document(schema, who, &request, by_privilege).await;
                timings.transaction = Some(begun.elapsed());
                attempt
            }
            Ok(Plan::Statement(plan)) => {
                timings.plan = Some(planned);
                let begun = Instant::now();
                let outcome = self.run(who, asked, &request, &plan).await;
                timings.transaction = Some(begun.elapsed());
                let begun = Instant::now();
                let attempt = match outcome {
                    Ok(outcome) => match response::reply(&plan, &request, outcome) {
                        Ok(reply) => settled(reply),
                        Err(refusal) => Attempt::of(&refusal),
                    },
                    Err(failure) => failed(&failure, who),
                };
                timings.response = begun.elapsed();
                attempt
            }
        }
    }

    async fn run(
        &self,
        who: &Identity,
        asked: &Asked,
        request: &Request,
        plan: &StatementPlan,
    ) -> Result<response::Outcome, Failed> {
        let setup = self.setup(who, asked, request, &plan.settings);
        self.sessions.answer(&who.role, &setup, plan).await
    }

    fn setup<'a>(
        &self,
        who: &Identity,
        asked: &'a Asked,
        request: &'a Request,
        settings: &'a [(String, String)],
    ) -> Setup<'a> {
        let mut search_path = quoted(&request.schema);
        for schema in &self.behaviour.extra_search_path {
            search_path.push_str(", ");
            search_path.push_str(&quoted(schema));
        }
        let cookies = asked.headers.iter().filter(|(name, _)| name == "cookie");
        let cookies = cookies.flat_map(|(_, value)| value.split(';').filter_map(|pair| pair.trim().split_once('=')));
        let headers = asked.headers.iter().filter(|(name, _)| name != "cookie");
        let timezone = request.preferences.timezone.as_ref();
        let mut more: Vec<(&str, &str)> = timezone.map(|zone| ("timezone", zone.as_str())).into_iter().collect();
        more.extend(settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Setup {
            search_path,
            claims: who.claims.clone(),
            method: &asked.method,
            path: &request.path,
            headers: object(headers.map(|(name, value)| (name.as_str(), value.as_str()))),
            cookies: object(cookies),
            more,
            before: self.behaviour.pre_request.as_deref().map(pgrest::sql::before),
        }
    }

    async fn document(&self, schema: &Schema, who: &Identity, request: &Request, by_privilege: bool) -> Attempt {
        let privileges = if by_privilege {
            match self.privileges(who, &request.schema).await {
                Ok(privileges) => Some(privileges),
                Err(failure) => return failed(&failure, who),
            }
        } else {
            None
        };
        let document = openapi::document(schema, &request.schema, privileges.as_ref(), self.options());
        let mut headers = vec![(
            "Content-Type".to_owned(),
            pgrest::media::MediaType::OpenApi.content_type(),
        )];
        headers.extend(
            request
                .profile
                .iter()
                .map(|profile| ("Content-Profile".to_owned(), profile.clone())),
        );
        settled(Reply {
            status: 200,
            headers,
            body: if request.is_head {
                Vec::new()
            } else {
                document.to_string().into_bytes()
            },
            ..Reply::default()
        })
    }

    /// What the caller's role may use.
    async fn privileges(&self, who: &Identity, schema: &str) -> Result<Privileges, Failed> {
        let mut borrowed = self.sessions.borrow(&who.role).await?;
        let session = borrowed.session().map_err(Failure::Database)?;
        let of_schema = [schema];
        let relations = session.rows(
            sql!(
                "select c.relname::text
                 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = $1::text and c.relkind in ('r', 'v', 'm', 'f', 'p')
                   and (pg_catalog.pg_has_role(c.relowner, 'usage')
                        or pg_catalog.has_table_privilege(c.oid, 'select, insert, update, delete')
                        or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update'))"
            ),
            &of_schema,
        );
        let relations = relations.await.map_err(Failure::Database)?;
        let routines = session.rows(
            sql!(
                "select p.oid
                 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                 where n.nspname = $1::text and pg_catalog.has_function_privilege(p.oid, 'execute')"
            ),
            &of_schema,
        );
        let routines = routines.await.map_err(Failure::Database)?;
        let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let id = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
        let first = |row: &Row| row.columns().next().flatten().map(<[u8]>::to_vec);
        Ok(Privileges {
            relations: relations.iter().filter_map(first).map(|bytes| name(&bytes)).collect(),
            routines: routines
                .iter()
                .filter_map(first)
                .filter_map(|bytes| id(&bytes))
                .collect(),
        })
    }
}

/// A JSON object of texts. Of a name that comes twice, PostgreSQL takes the last.
fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = b"{".to_vec();
    for (name, value) in members {
        if text.len() > 1 {
            text.push(b',');
        }
        // Writing texts to memory cannot fail.
        let _ = serde_json::to_writer(&mut text, name);
        text.push(b':');
        let _ = serde_json::to_writer(&mut text, value);
    }
    text.push(b'}');
    String::from_utf8(text).unwrap_or_default()
}

fn settled(reply: Reply) -> Attempt {
    Attempt {
        reply,
        may_be_stale: false,
    }
}

/// Why a statement gave nothing.
pub(super) enum Failed {
    Session(NoSession),
    Statement(Failure),
}

impl From<NoSession> for Failed {
    fn from(error: NoSession) -> Failed {
        Failed::Session(error)
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed::Statement(failure)
    }
}

fn failed(failure: &Failed, who: &Identity) -> Attempt {
    match failure {
        Failed::Session(NoSession::Busy) => Attempt::of(&Refusal::PoolTimeout),
        Failed::Session(NoSession::Certificates(error)) => {
            tracing::error!(cause = %chain(error), "no database connection");
            Attempt::of(&Refusal::NoConnection(
                "the certificates to trust cannot be used".to_owned(),
            ))
        }
        Failed::Session(NoSession::Refused(error)) => match error.as_db_error() {
            Some(said) => {
                let fault = Fault {
                    code: said.code().code().to_owned(),
                    message: said.message().to_owned(),
                    detail: said.detail().map(str::to_owned),
                    hint: said.hint().map(str::to_owned),
                };
                refused_by_server(&fault, who)
            }
            None => unavailable(error),
        },
        Failed::Session(NoSession::Unreachable(error)) => unavailable(error),
        Failed::Session(NoSession::Begin(error)) | Failed::Statement(Failure::Database(error)) => match error {
            WireError::Refused(fault) => refused_by_server(fault, who),
            WireError::Lost(_) => unavailable(error),
        },
        Failed::Statement(Failure::Refused(refusal)) => Attempt::of(refusal),
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> Attempt {
    tracing::warn!(cause = %chain(error), "the database is not available");
    Attempt::of(&Refusal::NoConnection("the connection was lost".to_owned()))
}

/// SQLSTATEs of a column, a table and a function that are not there.
const NOT_THERE: [&str; 3] = ["42703", "42P01", "42883"];

fn refused_by_server(fault: &Fault, who: &Identity) -> Attempt {
    let reply = ServerFault {
        code: &fault.code,
        message: &fault.message,
        detail: fault.detail.as_deref(),
        hint: fault.hint.as_deref(),
    }
    .reply(who.is_authenticated);
    if reply.status >= 500 {
        tracing::warn!(code = fault.code, fault.message, "a statement failed");
    }
    Attempt {
        reply: reply.into(),
        may_be_stale: NOT_THERE.contains(&fault.code.as_str()),
    }
}
