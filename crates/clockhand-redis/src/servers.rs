//! Where the server is: at an address, in a cluster, or where sentinels say.
//!
//! A tier is one server at a time, as values and invalidations have to come over one connection. All keys of a prefix are in
//! one slot, so in a cluster that is the node which has this slot. It is asked for anew whenever a connection is set up, and
//! each check of the connection asks whether that is still the one.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo, ProtocolVersion, Value, cmd,
};
use tokio::time::timeout;

use crate::error::{TierBuildError, TierError};
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// Where the server is.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) place: Place,
    #[cfg(feature = "tls")]
    pub(crate) tls: Tls,
}

#[derive(Clone)]
pub(crate) enum Place {
    /// At this address.
    At(ConnectionInfo),
    /// Where the slot is; these are nodes of the cluster.
    Cluster(Vec<ConnectionInfo>),
    /// Where these sentinels say that the main server of a service is; and how it is connected to.
    Sentinels(Vec<ConnectionInfo>, String, ConnectionInfo),
}

/// Finds the server, and remembers whom to ask.
pub(crate) struct Finder {
    servers: Servers,
    /// The name by which a cluster knows the slot.
    slot_of: Vec<u8>,
    /// Nodes that a cluster has told of: those that were given may be gone.
    told: Vec<ConnectionInfo>,
    /// The sentinel that has answered last, which is asked first.
    answered: usize,
    limit: Duration,
}

impl Place {
    /// From URLs: one, or the nodes of a cluster, or sentinels and the URL of their service.
    pub(crate) fn parse(
        urls: &[String],
        kind: Kind,
        service: Option<&str>,
    ) -> Result<Self, TierBuildError> {
        let mut infos = urls.iter().map(|url| info_of(url)).collect::<Result<Vec<_>, _>>()?;
        match (kind, service) {
            (Kind::Server, _) => infos.pop().map(Self::At).ok_or(TierBuildError::Url),
            (_, _) if infos.is_empty() => Err(TierBuildError::Url),
            (Kind::Cluster, _) => Ok(Self::Cluster(infos)),
            (Kind::Sentinel, Some(service)) => {
                let server = info_of(service)?;
                let (name, _) = address(&server).ok_or(TierBuildError::Url)?;
                Ok(Self::Sentinels(infos, name.to_string(), server))
            }
            (Kind::Sentinel, None) => Err(TierBuildError::Url),
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn infos(&self) -> Vec<&ConnectionInfo> {
        match self {
            Self::At(server) => vec![server],
            Self::Cluster(nodes) => nodes.iter().collect(),
            Self::Sentinels(sentinels, _, server) => {
                sentinels.iter().chain(std::iter::once(server)).collect()
            }
        }
    }

    /// Sets what the servers are told about this client; sentinels keep what their URLs say.
    pub(crate) fn edit(&mut self, edit: impl Fn(ConnectionInfo) -> ConnectionInfo) {
        match self {
            Self::At(server) | Self::Sentinels(_, _, server) => *server = edit(server.clone()),
            Self::Cluster(nodes) => {
                *nodes = nodes.drain(..).map(edit).collect();
            }
        }
    }
}

/// What URLs stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Cluster,
    Sentinel,
}

/// Invalidations come in between replies, which only the third version of the protocol can tell apart.
fn info_of(url: &str) -> Result<ConnectionInfo, TierBuildError> {
    let info = url.into_connection_info().map_err(|_| TierBuildError::Url)?;
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(redis))
}

/// Host and port; none for a path.
fn address(info: &ConnectionInfo) -> Option<(&str, u16)> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some((host, *port))
        }
        _ => None,
    }
}

/// The same at another address.
fn moved_to(info: &ConnectionInfo, host: &str, port: u16) -> ConnectionInfo {
    let (host, info) = (host.to_string(), info.clone());
    match info.addr().clone() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            info.set_addr(ConnectionAddr::TcpTls { host, port, insecure, tls_params })
        }
        _ => info.set_addr(ConnectionAddr::Tcp(host, port)),
    }
}

impl Finder {
    pub(crate) fn new(servers: Servers, slot_of: &[u8], limit: Duration) -> Self {
        Self { servers, slot_of: slot_of.to_vec(), told: Vec::new(), answered: 0, limit }
    }

    /// A client of the server, and what says where it is.
    pub(crate) async fn find(&mut self) -> Result<(Client, Option<(String, u16)>), TierError> {
        let found = match &self.servers.place {
            Place::At(server) => server.clone(),
            Place::Cluster(nodes) => {
                let nodes: Vec<_> = nodes.iter().chain(&self.told).cloned().collect();
                self.find_in_cluster(&nodes).await?
            }
            Place::Sentinels(..) => self.ask_sentinels().await?,
        };
        let at = address(&found).map(|(host, port)| (host.to_string(), port));
        Ok((self.client(found)?, at))
    }

    /// Whether sentinels name another server than that at `at`. No other server has to be asked.
    pub(crate) async fn has_moved(&mut self, at: &Option<(String, u16)>) -> bool {
        if !matches!(self.servers.place, Place::Sentinels(..)) {
            return false;
        }
        match self.ask_sentinels().await {
            Ok(found) => address(&found).map(|(host, port)| (host.to_string(), port)) != *at,
            // They say nothing.
            Err(_) => false,
        }
    }

    pub(crate) fn is_in_cluster(&self) -> bool {
        matches!(self.servers.place, Place::Cluster(_))
    }

    fn client(&self, info: ConnectionInfo) -> Result<Client, TierError> {
        #[cfg(feature = "tls")]
        let client = self.servers.tls.client(info);
        #[cfg(not(feature = "tls"))]
        let client = Client::open(info);
        client.map_err(|error| TierError::of(&error))
    }

    async fn find_in_cluster(
        &mut self,
        nodes: &[ConnectionInfo],
    ) -> Result<ConnectionInfo, TierError> {
        let mut last = TierError::Disconnected;
        for node in nodes {
            match self.ask_node(node).await {
                Ok(Some((owner, others))) => {
                    self.told = others;
                    return Ok(owner);
                }
                // It is alone, or the slot has no server.
                Ok(None) => last = TierError::Server("CLUSTERDOWN".to_string()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The node that has the slot, and all nodes.
    async fn ask_node(
        &self,
        node: &ConnectionInfo,
    ) -> Result<Option<(ConnectionInfo, Vec<ConnectionInfo>)>, TierError> {
        let mut connection = self.connect(node).await?;
        let slot: i64 =
            self.ask(&mut connection, cmd("CLUSTER").arg("KEYSLOT").arg(&self.slot_of)).await?;
        let slots: Value = self.ask(&mut connection, cmd("CLUSTER").arg("SLOTS")).await?;
        let Value::Array(ranges) = slots else { return Ok(None) };
        let (mut owner, mut all) = (None, Vec::new());
        for range in ranges {
            let Some((first, last, servers)) = range_of(&range) else { continue };
            for (nth, (host, port)) in servers.iter().enumerate() {
                let host = host.as_deref().or(address(node).map(|(host, _)| host));
                let Some(host) = host else { continue };
                let server = moved_to(node, host, *port);
                if nth == 0 && (first..=last).contains(&slot) {
                    owner = Some(server.clone());
                }
                all.push(server);
            }
        }
        Ok(owner.map(|owner| (owner, all)))
    }

    async fn ask_sentinels(&mut self) -> Result<ConnectionInfo, TierError> {
        let mut last = TierError::Disconnected;
        let Place::Sentinels(sentinels, service, server) = &self.servers.place else {
            return Err(last);
        };
        for nth in 0..sentinels.len() {
            let nth = (self.answered + nth) % sentinels.len();
            let asked = async {
                let mut connection = self.connect(&sentinels[nth]).await?;
                let mut question = cmd("SENTINEL");
                question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
                self.ask::<Option<(String, u16)>>(&mut connection, &question).await
            };
            match asked.await {
                Ok(Some((host, port))) => {
                    let found = moved_to(server, &host, port);
                    self.answered = nth;
                    return Ok(found);
                }
                Ok(None) => last = TierError::Server("NOSUCHSERVICE".to_string()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, info: &ConnectionInfo) -> Result<MultiplexedConnection, TierError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.limit))
            .set_response_timeout(Some(self.limit));
        let client = self.client(info.clone())?;
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connected = timeout(self.limit, connecting).await.map_err(|_| TierError::TimedOut)?;
        connected.map_err(|error| TierError::of(&error))
    }

    async fn ask<T: FromRedisValue>(
        &self,
        connection: &mut MultiplexedConnection,
        question: &redis::Cmd,
    ) -> Result<T, TierError> {
        let asking = question.query_async(connection);
        let answered = timeout(self.limit, asking).await.map_err(|_| TierError::TimedOut)?;
        answered.map_err(|error| TierError::of(&error))
    }
}

/// A range of slots, and the servers that have it, the main one first. A host that is not told is that of who was asked.
type Range = (i64, i64, Vec<(Option<String>, u16)>);

fn range_of(range: &Value) -> Option<Range> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), servers @ ..] = &parts[..] else { return None };
    let servers = servers.iter().filter_map(|server| {
        let Value::Array(parts) = server else { return None };
        let Some(Value::Int(port)) = parts.get(1) else { return None };
        let host = parts.first().and_then(|host| String::from_redis_value_ref(host).ok());
        let host = host.filter(|host| !host.is_empty() && host != "?");
        Some((host, u16::try_from(*port).ok()?))
    });
    Some((*first, *last, servers.collect()))
}
