//! The tier's thread: it connects, checks the connection, and repairs what failed writes have left.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, Value, cmd};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout, timeout_at};

use crate::error::{TierBuildError, TierError};
use crate::link::Link;
use crate::ops::{Answer, answer_of};
use crate::repairs::Due;
use crate::servers::Finder;
use crate::settings::Settings;
use crate::token::random;

/// Keys that are repaired side by side.
const REPAIRED_AT_ONCE: usize = 128;

/// Starts the thread. It ends when `stop` says so.
pub(crate) fn start(
    settings: Settings,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> Result<Arc<Link>, TierBuildError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime: Runtime = runtime.map_err(|_| TierBuildError::Thread)?;
    let link = Arc::new(Link::new(settings, runtime.handle().clone()));
    let for_thread = Arc::clone(&link);
    std::thread::Builder::new()
        .name("clockhand-redis".to_string())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = stop => {}
                    () = keep_connected(&for_thread) => {}
                }
            });
        })
        .map_err(|_| TierBuildError::Thread)?;
    Ok(link)
}

/// Where the server is that is connected to, and who knows whether it still is the one.
struct Whereabouts<'f> {
    finder: &'f mut Finder,
    at: Option<(String, u16)>,
}

async fn keep_connected(link: &Arc<Link>) {
    let (shortest, longest) = link.settings.backoff;
    let mut pause = shortest.min(longest);
    let limit = link.settings.connect_timeout;
    let (servers, slot_of) = (link.settings.servers.clone(), link.names.generation());
    let mut finder = Finder::new(servers, slot_of, limit);
    loop {
        let epoch = link.next_epoch();
        let connected = match finder.find().await {
            Ok((client, at)) => match timeout(limit, connect(link, epoch, &client)).await {
                Ok(connected) => connected.map(|()| at),
                Err(_) => Err(TierError::TimedOut),
            },
            Err(error) => Err(error),
        };
        match connected {
            Ok(at) => {
                pause = shortest.min(longest);
                watch(link, epoch, &mut Whereabouts { finder: &mut finder, at }).await;
            }
            Err(error) => link.not_connected(error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Sets a connection up: the server tracks keys for it before anything is read from it.
async fn connect(link: &Arc<Link>, epoch: u64, client: &Client) -> Result<(), TierError> {
    let hears = Arc::downgrade(link);
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(link.settings.connect_timeout))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(1024)
        .set_push_sender(move |message| {
            if let Some(link) = hears.upgrade() {
                link.hear(epoch, message);
            }
            Ok::<(), redis::aio::SendError>(())
        });
    let connected = client.get_multiplexed_async_connection_with_config(&config).await;
    let mut connection = connected.map_err(|error| TierError::of(&error))?;
    let mut tracking = cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST").arg("NOLOOP");
    for prefix in link.names.tracked() {
        tracking.arg("PREFIX").arg(prefix);
    }
    tell::<()>(tracking.query_async(&mut connection).await)?;
    let info: String = tell(cmd("INFO").arg("server").query_async(&mut connection).await)?;
    let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    let run_id = run_id.unwrap_or_default().trim().as_bytes().to_vec();
    link.clock.forget();
    loop {
        let asked = link.generation_told();
        let answered = ask_generation(link, &mut connection, &run_id).await?;
        if link.adopt(asked, answered) {
            break;
        }
    }
    link.up(epoch, connection, run_id);
    Ok(())
}

fn tell<T>(result: RedisResult<T>) -> Result<T, TierError> {
    result.map_err(|error| TierError::of(&error))
}

/// The generation of this run of the server; makes one if there is none.
async fn ask_generation(
    link: &Link,
    connection: &mut MultiplexedConnection,
    run_id: &[u8],
) -> Result<[u8; 8], TierError> {
    let mut asked = link.scripts.generation.prepare_invoke();
    asked.key(link.names.generation()).arg(run_id).arg(&random()[..]);
    let sent = Instant::now();
    let values: Vec<Value> = tell(asked.invoke_async(connection).await)?;
    let answer = answer_of(values, sent)?;
    link.clock.note(answer.micros, answer.sent, answer.arrived);
    generation_of(&answer).ok_or_else(|| TierError::Server("ERR".to_string()))
}

fn generation_of(answer: &Answer) -> Option<[u8; 8]> {
    match answer.rest.first() {
        Some(Value::BulkString(bytes)) => bytes.as_slice().try_into().ok(),
        _ => None,
    }
}

/// Looks after a connection until it is lost.
async fn watch(link: &Arc<Link>, epoch: u64, whereabouts: &mut Whereabouts<'_>) {
    let mut check = tokio::time::interval(link.settings.watch_every);
    check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while link.is_up(epoch) {
        if link.generation().is_none() {
            refresh_generation(link, epoch).await;
        }
        repair(link, epoch).await;
        tokio::select! {
            () = link.attention.notified() => {}
            _ = check.tick() => {
                check_connection(link, epoch).await;
                check_server(link, epoch, whereabouts).await;
            }
        }
    }
}

/// Asks for the server's time. Without an answer the connection is taken for lost: there may be messages that do not come
/// through either.
async fn check_connection(link: &Arc<Link>, epoch: u64) {
    let Ok((mut connection, current)) = link.current() else { return };
    if current != epoch {
        return;
    }
    let sent = Instant::now();
    let asked = cmd("TIME");
    let answered = timeout(link.settings.watch_patience, asked.query_async(&mut connection)).await;
    match answered {
        Ok(Ok((seconds, micros))) => {
            let (seconds, micros): (u64, u64) = (seconds, micros);
            let told = seconds.saturating_mul(1_000_000).saturating_add(micros);
            link.clock.note(told, sent, Instant::now());
        }
        Ok(Err(error)) if TierError::of(&error) != TierError::Lost => {}
        Ok(Err(_)) => link.down(epoch, TierError::Lost),
        Err(_) => link.down(epoch, TierError::TimedOut),
    }
}

/// Asks whether this server still is the one: a cluster's node by a key of the slot, which is refused where the slot is not
/// any more, or the cluster is not whole; sentinels by the address that they name.
async fn check_server(
    link: &Arc<Link>,
    epoch: u64,
    Whereabouts { finder, at }: &mut Whereabouts<'_>,
) {
    if !link.is_up(epoch) {
        return;
    }
    if finder.has_moved(at).await {
        link.down(epoch, TierError::Moved);
    }
    if !finder.is_in_cluster() {
        return;
    }
    let Ok((mut connection, _)) = link.current() else { return };
    let mut asked = cmd("EXISTS");
    asked.arg(link.names.generation());
    let answered =
        timeout(link.settings.watch_patience, asked.query_async::<Value>(&mut connection));
    if let Ok(Err(error)) = answered.await {
        let error = TierError::of(&error);
        if error.ends_connection() {
            link.down(epoch, error);
        }
    }
}

async fn refresh_generation(link: &Arc<Link>, epoch: u64) {
    let Ok((mut connection, _)) = link.current() else { return };
    let (asked, run_id) = (link.generation_told(), link.run_id());
    let until = Instant::now() + link.settings.operation_timeout;
    let asking = ask_generation(link, &mut connection, &run_id);
    match timeout_at(until.into(), asking).await.unwrap_or(Err(TierError::TimedOut)) {
        Ok(answered) => {
            if !link.adopt(asked, answered) {
                link.attention.notify_one();
            }
        }
        // A new connection finds out what is the matter.
        Err(error) => link.down(epoch, error),
    }
}

/// Removes from the server what failed writes may have left there.
async fn repair(link: &Arc<Link>, epoch: u64) {
    while link.is_up(epoch) {
        let done = match link.repairs.due(REPAIRED_AT_ONCE) {
            None => return,
            Some(Due::Everything(number)) => {
                let until = Instant::now() + link.settings.operation_timeout;
                let advanced = link.advance(until).await;
                if advanced.is_ok() {
                    link.repairs.everything_done(number);
                }
                advanced.is_ok()
            }
            Some(Due::Keys(keys)) => {
                let repairs = keys.into_iter().map(|(key, number)| {
                    let link = Arc::clone(link);
                    tokio::spawn(async move { link.repair_key(&key, number).await })
                });
                let repairs: Vec<_> = repairs.collect();
                let mut all = true;
                for repair in repairs {
                    all &= repair.await.is_ok_and(|repaired| repaired.is_ok());
                }
                all
            }
        };
        if !done {
            // Tried again at the next check.
            return;
        }
    }
}
