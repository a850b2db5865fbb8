//! People who sign up, and ask over kept connections as fast as they are answered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use nexus_mint::problem::AnyError;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use uuid::Uuid;

use super::What;

pub(super) const PASSWORD: &str = "correct horse battery";

/// Somebody who is signed in. The tokens change with each refresh.
#[derive(Clone)]
pub(crate) struct Who {
    pub(super) user_id: Uuid,
    pub(super) session_id: Uuid,
    email: String,
    tokens: Arc<Mutex<Tokens>>,
}

struct Tokens {
    access: String,
    refresh: String,
}

/// How many a second, and how long the slowest hundredth took at least (us).
pub(super) struct Rate {
    pub(super) each_second: f64,
    pub(super) p99_us: u32,
}

/// Signs up so many people, a few at a time.
pub(crate) async fn sign_up(address: &str, count: usize) -> Result<Vec<Who>, AnyError> {
    let mut connection = Connection::open(address).await?;
    let mut people = Vec::with_capacity(count);
    for at in 0..count {
        let email = format!("{at}@example.com");
        let body = json!({ "email": email, "password": PASSWORD }).to_string();
        let answer = connection.ask("POST", "/auth/v1/signup", None, &body).await?;
        let user_id = answer.pointer("/user/id").and_then(Value::as_str).unwrap_or_default();
        let access = text(&answer, "access_token")?;
        people.push(Who {
            user_id: user_id.parse()?,
            session_id: session_of(&access)?,
            email,
            tokens: Arc::new(Mutex::new(Tokens {
                refresh: text(&answer, "refresh_token")?,
                access,
            })),
        });
    }
    Ok(people)
}

fn session_of(access: &str) -> Result<Uuid, AnyError> {
    let payload = access.split('.').nth(1).ok_or("no JWT")?;
    let claims: Value = serde_json::from_slice(&decoded(payload)?)?;
    Ok(text(&claims, "session_id")?.parse()?)
}

/// base64url without padding.
fn decoded(text: &str) -> Result<Vec<u8>, AnyError> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut kept, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.bytes() {
        let value = LETTERS
            .iter()
            .position(|known| *known == letter)
            .ok_or("no base64url")?;
        kept = (kept << 6) | u32::try_from(value)?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((kept >> bits) & 0xff)?);
        }
    }
    Ok(bytes)
}

fn text(answer: &Value, key: &str) -> Result<String, AnyError> {
    let text = answer.get(key).and_then(Value::as_str);
    Ok(text.ok_or_else(|| format!("no {key} in {answer}"))?.to_owned())
}

/// Everybody asks until the time is over.
pub(super) async fn ask(address: &str, people: &[Who], what: What, time: Duration) -> Result<Rate, AnyError> {
    let mut running = JoinSet::new();
    let begun = Instant::now();
    for who in people {
        running.spawn(one(address.to_owned(), who.clone(), what, begun + time));
    }
    let mut all = Vec::new();
    while let Some(times) = running.join_next().await {
        all.extend(times??);
    }
    let took = begun.elapsed();
    all.sort_unstable();
    Ok(Rate {
        each_second: f64::from(u32::try_from(all.len())?) / took.as_secs_f64(),
        p99_us: all.get(all.len() * 99 / 100).copied().unwrap_or_default(),
    })
}

async fn one(address: String, who: Who, what: What, until: Instant) -> Result<Vec<u32>, AnyError> {
    let mut connection = Connection::open(&address).await?;
    let mut took = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        who.ask(&mut connection, what).await?;
        took.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    Ok(took)
}

impl Who {
    /// The access token that holds now.
    pub(crate) fn access(&self) -> String {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.access.clone()
    }

    async fn ask(&self, connection: &mut Connection, what: What) -> Result<(), AnyError> {
        let (access, refresh) = {
            let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            (tokens.access.clone(), tokens.refresh.clone())
        };
        match what {
            What::User => {
                connection.ask("GET", "/auth/v1/user", Some(&access), "").await?;
            }
            What::Read => {
                let path = "/rest/v1/user_profiles?select=id&limit=1";
                connection.ask("GET", path, Some(&access), "").await?;
            }
            What::SignIn => {
                let body = json!({ "email": self.email, "password": PASSWORD }).to_string();
                let path = "/auth/v1/token?grant_type=password";
                connection.ask("POST", path, None, &body).await?;
            }
            What::Refresh => {
                let body = json!({ "refresh_token": refresh }).to_string();
                let path = "/auth/v1/token?grant_type=refresh_token";
                let answer = connection.ask("POST", path, None, &body).await?;
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.access = text(&answer, "access_token")?;
                tokens.refresh = text(&answer, "refresh_token")?;
            }
        }
        Ok(())
    }
}

/// A kept connection.
struct Connection(TcpStream);

impl Connection {
    async fn open(address: &str) -> Result<Connection, AnyError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection(stream))
    }

    async fn ask(&mut self, method: &str, path: &str, bearer: Option<&str>, body: &str) -> Result<Value, AnyError> {
        let bearer = bearer
            .map(|token| format!("Authorization: Bearer {token}\r\n"))
            .unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        let mut whole = None;
        while whole.is_none_or(|whole| answer.len() < whole) {
            if self.0.read_buf(&mut answer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            if whole.is_none() {
                whole = crate::rest::client::length(&answer)?;
            }
        }
        let at = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap_or_default();
        Ok(serde_json::from_slice(answer.get(at + 4..).unwrap_or_default())?)
    }
}
