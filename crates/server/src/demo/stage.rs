//! The program with a clock that the story sets, and people who call its functions.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    app::{App, system_clock},
    auth::{
        email::Password,
        session::{self, Ttl},
        token::Caller,
        users,
    },
    db::Actor,
    functions,
    jobs::{self, sales::Turn},
    problem::{AnyError, Problem},
    progress::Progress,
};

/// As many people at once as there are connections of the engine.
const AT_ONCE: usize = 6;

/// Turns of the jobs at most until nothing is due any more.
const TURNS_MAX: usize = 400;

/// The program, its time, and the password of everybody.
pub(super) struct Stage {
    pub(super) app: App,
    clock: Arc<Mutex<DateTime<Utc>>>,
    password: String,
    password_hash: String,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(super) struct Player {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) email: String,
    caller: Caller,
}

impl Player {
    /// The proof of who it is.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Stage {
    /// The program so long before the machine's time.
    pub(super) fn set(app: &App, before: TimeDelta) -> Result<Arc<Stage>, AnyError> {
        let clock = Arc::new(Mutex::new(system_clock()() - before));
        let hand = clock.clone();
        let now = Arc::new(move || *hand.lock().unwrap_or_else(PoisonError::into_inner));
        let password = format!("demo {}", Uuid::new_v4().simple());
        let password_hash = Password::parse(&password)?
            .hashed()
            .map_err(|error| format!("cannot hash the password: {error}"))?;
        Ok(Arc::new(Stage {
            app: app.clone().with_clock(now),
            clock,
            password,
            password_hash,
        }))
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time passes.
    pub(super) fn later(&self, by: TimeDelta) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// The story is over: its time is the machine's.
    pub(super) fn catch_up(&self) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = system_clock()();
    }

    /// The password of everybody in the story.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Its hash. Hashing it for each would take longer than the story.
    pub(super) fn password_hash(&self) -> &str {
        &self.password_hash
    }

    /// Signs somebody in.
    pub(super) async fn sign_in(&self, id: Uuid, name: String, email: String) -> Result<Player, AnyError> {
        let tx = self.app.db.as_service(Actor::Program("demo")).await?;
        let role = session::api_role(&users::roles_of(&tx, id).await?);
        tx.commit().await?;
        let tx = self.app.db.as_auth().await?;
        let user = users::find(&tx, id)
            .await?
            .ok_or("somebody who was just made is gone")?;
        let session = session::open(&tx, id, self.now()).await?;
        tx.commit().await?;
        let issuer = &self.app.public_url;
        let claims = session::claims(&user, session, role, issuer, self.now(), Ttl::default());
        let token = self.app.keys.sign(&claims)?;
        let caller = self.app.keys.verify(&token, self.now())?;
        Ok(Player {
            id,
            name,
            email,
            caller,
        })
    }

    /// Calls a function, which must do what it is asked.
    pub(super) async fn done(&self, who: &Player, name: &'static str, body: Value) -> Result<Value, AnyError> {
        // On the heap, here and below: each is as large as everything that it calls.
        let body = body.to_string();
        let answer = Box::pin(functions::run(&self.app, name, &who.caller, None, body.as_bytes())).await;
        answer.map_err(|problem| failed(name, &who.name, &problem))
    }

    /// Calls a function that takes a file.
    pub(super) async fn filed(
        &self,
        who: &Player,
        name: &'static str,
        fields: Map<String, Value>,
        file: Vec<u8>,
    ) -> Result<Value, AnyError> {
        let answer = Box::pin(functions::uploads::run(
            &self.app,
            name,
            &who.caller,
            None,
            fields,
            file,
        ))
        .await;
        answer.map_err(|problem| failed(name, &who.name, &problem))
    }

    /// Calls a function that a rule must refuse: what its remedy says.
    pub(super) async fn refused(&self, who: &Player, name: &'static str, body: Value) -> Result<String, AnyError> {
        let body = body.to_string();
        match Box::pin(functions::run(&self.app, name, &who.caller, None, body.as_bytes())).await {
            Err(Problem::Refused(refusal)) => Ok(format!("{}; {} ({})", refusal.reason, refusal.remedy, refusal.rule)),
            Ok(_) => Err(format!("{name} by {} should have been refused", who.name).into()),
            Err(problem) => Err(failed(name, &who.name, &problem)),
        }
    }

    /// Lets the jobs do what is due, until `is_over` or a long time.
    pub(super) async fn jobs_until(
        &self,
        what: &str,
        mut is_over: impl AsyncFnMut(&Stage) -> Result<bool, AnyError>,
    ) -> Result<(), AnyError> {
        for _ in 0..TURNS_MAX {
            Box::pin(jobs::turn(&self.app, Turn::Everything)).await?;
            if is_over(self).await? {
                return Ok(());
            }
        }
        Err(format!("the jobs did not finish: {what}").into())
    }

    /// Does the same for many, some at once, with a bar; answers in their order.
    pub(super) async fn each<T, A, F>(
        self: &Arc<Stage>,
        name: &str,
        many: Vec<T>,
        work: impl Fn(Arc<Stage>, T) -> F,
    ) -> Result<Vec<A>, AnyError>
    where
        A: Send + 'static,
        F: Future<Output = Result<A, AnyError>> + Send + 'static,
    {
        let mut progress = Progress::over(name, "people", u64::try_from(many.len())?);
        let mut running = JoinSet::new();
        let mut answers = Vec::new();
        let mut waiting = many.into_iter().enumerate();
        loop {
            while running.len() < AT_ONCE {
                let Some((at, one)) = waiting.next() else { break };
                let task = work(self.clone(), one);
                running.spawn(async move { task.await.map(|answer| (at, answer)) });
            }
            match running.join_next().await {
                Some(answer) => answers.push(answer??),
                None => break,
            }
            progress.done_so_far(u64::try_from(answers.len())?);
        }
        answers.sort_by_key(|(at, _)| *at);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

/// What stands at a place of an answer, such as `/case/id`; null where there is nothing.
pub(super) fn at<'a>(answer: &'a Value, place: &str) -> &'a Value {
    answer.pointer(place).unwrap_or(&Value::Null)
}

fn failed(name: &str, who: &str, problem: &Problem) -> AnyError {
    format!("{name} by {who}: {}", crate::problem::chain(problem)).into()
}
