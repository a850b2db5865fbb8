//! `create-investment` over HTTP: the router on a port, asked over kept connections.

use std::sync::Arc;

use nexus_mint::{
    app::App,
    problem::{AnyError, Problem},
    router::router,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};
use uuid::Uuid;

use super::{
    load::{self, Pace, Taken},
    world::World,
};

pub(super) struct Server {
    address: String,
}

impl Server {
    pub(super) async fn start(app: App) -> Result<Server, AnyError> {
        use axum::serve::ListenerExt as _;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let listener = listener.tap_io(|connection| {
            // As the server does it; without it, it is just slower.
            let _ = connection.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, router(app)).await });
        Ok(Server { address })
    }

    pub(super) async fn buy(&self, app: &App, world: &Arc<World>, pace: Pace) -> Result<Taken, AnyError> {
        let mut connections = Vec::new();
        for _ in 0..pace.in_flight {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            connections.push(Mutex::new(stream));
        }
        let (connections, app, world) = (Arc::new(connections), app.clone(), world.clone());
        load::run(pace, move |number| {
            let (connections, app, world) = (connections.clone(), app.clone(), world.clone());
            async move {
                let request = request(&app, &world)?;
                let connection = connections.get(number % connections.len()).ok_or("no connection")?;
                ask(&mut *connection.lock().await, &request).await
            }
        })
        .await
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// Somebody's order of a token of the house that everybody wants.
pub(super) fn request(app: &App, world: &World) -> Result<String, AnyError> {
    let body = json!({ "propertyId": world.hot(), "tokenAmount": 1 }).to_string();
    let buyer = world.next_buyer()?;
    let now = app.now().timestamp();
    let claims =
        json!({ "sub": buyer, "aud": "authenticated", "role": "authenticated", "exp": now + 3_600, "iat": now - 60 });
    let token = app.keys.sign(&claims)?;
    let key = Uuid::now_v7();
    Ok(format!(
        "POST /functions/v1/create-investment HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

async fn ask(stream: &mut TcpStream, request: &str) -> Result<(), AnyError> {
    stream.write_all(request.as_bytes()).await?;
    match answer(stream).await? {
        (200, _) => Ok(()),
        (503, true) => Err(Problem::TooBusy.into()),
        (status, _) => Err(format!("the server answered {status}").into()),
    }
}

/// Status, and whether it says when to come again.
pub(super) async fn answer(stream: &mut TcpStream) -> Result<(u16, bool), AnyError> {
    let mut answer = Vec::with_capacity(2_048);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let (text, _) = answer.split_at(head);
        let text = String::from_utf8_lossy(text).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        if answer.len() < head + 4 + length.map_or(Ok(0), str::parse::<usize>)? {
            continue;
        }
        let status = text.split(' ').nth(1).ok_or("no status")?.parse()?;
        return Ok((status, text.contains("\nretry-after: ")));
    }
}
