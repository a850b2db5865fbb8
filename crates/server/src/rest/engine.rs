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
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::{error::SqlState, types::ToSql};

use super::{
    catalogue,
    run::{self, Failure, Setup},
    session::{NoSession, Sessions},
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
    /// Settings that every session has.
    pub app_settings: Vec<(String, String)>,
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

    /// Whether the schema cache is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.schema().is_some()
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
        let client = self.login.connect().await?;
        let timezones = self
            .timezones
            .get_or_try_init(|| catalogue::timezones(&client))
            .await?
            .clone();
        let exposed = &self.behaviour.options.schemas;
        let schema = catalogue::load(&client, exposed, &self.behaviour.hoisted, timezones).await?;
        self.sessions.set_role_settings(self.role_settings(&client).await?);
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

    /// What `alter role ... set` says of each role, and the settings that every session has.
    async fn role_settings(
        &self,
        client: &tokio_postgres::Client,
    ) -> Result<HashMap<String, Vec<(String, String)>>, tokio_postgres::Error> {
        // Settings that only a superuser may make, and what the request sets by itself, are not taken.
        let rows = client
            .query(
                sql!(
                    "select r.rolname::text, s.setting
                     from pg_catalog.pg_roles r
                     left join pg_catalog.pg_db_role_setting d on d.setrole = r.oid and d.setdatabase = 0
                     left join lateral pg_catalog.unnest(d.setconfig) as s (setting) on true
                     left join pg_catalog.pg_settings g on g.name = pg_catalog.split_part(s.setting, '=', 1)
                     where not r.rolcanlogin or s.setting is not null
                     order by r.rolname"
                ),
                &[],
            )
            .await?;
        let mut settings: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for row in rows {
            let (role, setting): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            let of_role = settings
                .entry(role)
                .or_insert_with(|| self.behaviour.app_settings.clone());
            let pair = setting.as_deref().and_then(|setting| setting.split_once('='));
            let taken = pair.filter(|(name, _)| !["role", "search_path", "session_authorization"].contains(name));
            of_role.extend(taken.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        Ok(settings)
    }

    fn schema(&self) -> Option<Arc<Schema>> {
        self.schema.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a request. The work goes on to its end when the client goes away, so that no connection is lost.
    pub async fn answer(self: &Arc<Engine>, who: Result<Identity, Refusal>, asked: Asked) -> (Reply, Timings) {
        let engine = self.clone();
        let work = tokio::spawn(async move { engine.work(who, &asked).await });
        work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed");
            (Refusal::Internal.reply().into(), Timings::default())
        })
    }

    async fn work(&self, who: Result<Identity, Refusal>, asked: &Asked) -> (Reply, Timings) {
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
        let mut borrowed = self.sessions.borrow(&who.role).await?;
        let setup = self.setup(who, asked, request, &plan.settings);
        let outcome = run::run(&mut borrowed.session, &setup, plan).await;
        self.sessions.give_back(borrowed);
        Ok(outcome?)
    }

    fn setup(&self, who: &Identity, asked: &Asked, request: &Request, settings: &[(String, String)]) -> Setup {
        let path = std::iter::once(&request.schema).chain(&self.behaviour.extra_search_path);
        let path: Vec<String> = path.map(|schema| quoted(schema)).collect();
        let mut headers: Map<String, Value> = Map::new();
        let mut cookies: Map<String, Value> = Map::new();
        for (name, value) in &asked.headers {
            if name == "cookie" {
                let pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
                cookies.extend(pairs.map(|(name, value)| (name.to_owned(), Value::from(value))));
            } else {
                headers.insert(name.clone(), Value::from(value.as_str()));
            }
        }
        let timezone = request.preferences.timezone.as_ref();
        let mut more: Vec<(String, String)> = timezone
            .map(|zone| ("timezone".to_owned(), zone.clone()))
            .into_iter()
            .collect();
        more.extend(settings.iter().cloned());
        Setup {
            search_path: path.join(", "),
            claims: who.claims.to_string(),
            method: asked.method.clone(),
            path: request.path.clone(),
            headers: Value::Object(headers).to_string(),
            cookies: Value::Object(cookies).to_string(),
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
        let borrowed = self.sessions.borrow(&who.role).await?;
        let client = &borrowed.session.client;
        let by_schema: [&(dyn ToSql + Sync); 1] = [&schema];
        let relations = client.query(
            sql!(
                "select c.relname::text
                 from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where n.nspname = $1 and c.relkind in ('r', 'v', 'm', 'f', 'p')
                   and (pg_catalog.pg_has_role(c.relowner, 'usage')
                        or pg_catalog.has_table_privilege(c.oid, 'select, insert, update, delete')
                        or pg_catalog.has_any_column_privilege(c.oid, 'select, insert, update'))"
            ),
            &by_schema,
        );
        let routines = client.query(
            sql!(
                "select p.oid
                 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
                 where n.nspname = $1 and pg_catalog.has_function_privilege(p.oid, 'execute')"
            ),
            &by_schema,
        );
        let found = tokio::try_join!(relations, routines);
        self.sessions.give_back(borrowed);
        let (relations, routines) = found.map_err(Failure::Database)?;
        let privileges = || {
            Ok::<_, tokio_postgres::Error>(Privileges {
                relations: relations.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
                routines: routines.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
            })
        };
        Ok(privileges().map_err(Failure::Database)?)
    }
}

fn settled(reply: Reply) -> Attempt {
    Attempt {
        reply,
        may_be_stale: false,
    }
}

/// Why a statement gave nothing.
enum Failed {
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
        Failed::Session(NoSession::Refused(error)) | Failed::Statement(Failure::Database(error)) => {
            refused_by_server(error, who)
        }
        Failed::Statement(Failure::Refused(refusal)) => Attempt::of(refusal),
    }
}

fn refused_by_server(error: &tokio_postgres::Error, who: &Identity) -> Attempt {
    let Some(fault) = error.as_db_error() else {
        tracing::warn!(cause = %chain(error), "the database is not available");
        return Attempt::of(&Refusal::NoConnection("the connection was lost".to_owned()));
    };
    let reply = ServerFault {
        code: fault.code().code(),
        message: fault.message(),
        detail: fault.detail(),
        hint: fault.hint(),
    }
    .reply(who.is_authenticated);
    let may_be_stale = [
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
    ]
    .iter()
    .any(|code| code == fault.code());
    if reply.status >= 500 {
        tracing::warn!(cause = %chain(error), "a statement failed");
    }
    Attempt {
        reply: reply.into(),
        may_be_stale,
    }
}
