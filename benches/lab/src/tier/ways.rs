//! The ways to have values in Redis.

use std::time::{Duration, Instant};

use cached::ConcurrentCached;
use cached::stores::RedisCache;
use clockhand::Cache;
use clockhand_redis::{Raw, RedisTier, Tiered};
use redis::{Client, Commands, Connection};

use super::server::refused;
use super::{BULK, KEYS, Operation, Plan};
use crate::failure::Failure;

const HOUR: Duration = Duration::from_secs(3600);

/// One instance, which one thread asks.
pub(super) trait Instance: Send {
    /// What has to be so before the operation, and is not measured.
    fn prepare(&mut self, operation: Operation, key: u64) {
        let _ = (operation, key);
    }

    fn ask(&mut self, operation: Operation, key: u64) -> Result<(), Failure>;
}

type Make = fn(&Plan, u64) -> Result<Box<dyn Instance>, Failure>;

pub(super) struct Way {
    pub(super) name: &'static str,
    pub(super) operations: &'static [Operation],
    pub(super) make: Make,
}

/// What ways without a cache of their own can do.
const FAR: [Operation; 4] = [Operation::Second, Operation::Miss, Operation::Bulk, Operation::Write];

pub(super) const WAYS: [Way; 3] = [
    Way {
        name: "clockhand-redis",
        operations: &[
            Operation::First,
            Operation::Second,
            Operation::Miss,
            Operation::Bulk,
            Operation::Write,
        ],
        make: TwoTiers::make,
    },
    Way { name: "redis, plain", operations: &FAR, make: Plain::make },
    Way { name: "cached, RedisCache", operations: &FAR, make: Cached::make },
];

fn broken(what: &str) -> Failure {
    Failure::Broken(format!("{what}: a value is not there, or another one"))
}

struct TwoTiers {
    tiered: Tiered<u64, Vec<u8>>,
    value: Vec<u8>,
}

impl TwoTiers {
    fn make(plan: &Plan, _: u64) -> Result<Box<dyn Instance>, Failure> {
        let invalid = |error: &dyn std::fmt::Display| Failure::Input(format!("--redis: {error}"));
        let tier = RedisTier::builder(&plan.url).key_prefix("clockhand-lab");
        let tier = tier.operation_timeout(Duration::from_secs(5)).build();
        let tier = tier.map_err(|error| invalid(&error))?;
        let cache = Cache::builder().capacity(KEYS * 4).per_entry_ttl().build();
        let cache = cache.map_err(|error| invalid(&error))?;
        let tiered = Tiered::with_codec(cache, &tier, Raw).map_err(|error| invalid(&error))?;
        let began = Instant::now();
        while !tier.status().is_connected {
            if began.elapsed() > Duration::from_secs(10) {
                return Err(Failure::Input("the tier does not connect; look at --redis".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Box::new(Self { tiered, value: plan.value.clone() }))
    }
}

impl Instance for TwoTiers {
    fn prepare(&mut self, operation: Operation, key: u64) {
        match operation {
            Operation::Second => {
                self.tiered.cache().invalidate(&key);
            }
            Operation::Bulk => {
                (key..key + BULK).for_each(|key| {
                    self.tiered.cache().invalidate(&key);
                });
            }
            _ => {}
        }
    }

    fn ask(&mut self, operation: Operation, key: u64) -> Result<(), Failure> {
        let (blocking, name) = (self.tiered.blocking(), "clockhand-redis");
        let is_there = match operation {
            Operation::First | Operation::Second => {
                blocking.get(&key).is_some_and(|value| value == self.value)
            }
            Operation::Miss => {
                let load = || Ok::<_, std::convert::Infallible>(self.value.clone());
                blocking.get_or_load(&key, load).is_ok()
            }
            Operation::Bulk => {
                let keys: Vec<u64> = (key..key + BULK).collect();
                blocking.get_many(&keys).iter().all(Option::is_some)
            }
            Operation::Write => blocking.insert(key, self.value.clone()).is_ok(),
        };
        if is_there { Ok(()) } else { Err(broken(name)) }
    }
}

/// The client alone: no cache, and nothing that is coherent.
struct Plain {
    connection: Connection,
    value: Vec<u8>,
}

fn name_of(key: u64) -> String {
    format!("clockhand-lab:plain:{key}")
}

impl Plain {
    fn make(plan: &Plan, _: u64) -> Result<Box<dyn Instance>, Failure> {
        let client = Client::open(&plan.url[..]).map_err(refused)?;
        let connection = client.get_connection().map_err(refused)?;
        Ok(Box::new(Self { connection, value: plan.value.clone() }))
    }

    fn set(&mut self, key: u64) -> Result<(), Failure> {
        self.connection.set_ex(name_of(key), &self.value, HOUR.as_secs()).map_err(refused)
    }
}

impl Instance for Plain {
    fn ask(&mut self, operation: Operation, key: u64) -> Result<(), Failure> {
        match operation {
            Operation::Write => return self.set(key),
            Operation::Bulk => {
                let names: Vec<String> = (key..key + BULK).map(name_of).collect();
                let values: Vec<Option<Vec<u8>>> = self.connection.mget(names).map_err(refused)?;
                let all = values.iter().all(Option::is_some);
                return if all { Ok(()) } else { Err(broken("redis")) };
            }
            _ => {}
        }
        let value: Option<Vec<u8>> = self.connection.get(name_of(key)).map_err(refused)?;
        match (operation, value) {
            (Operation::Miss, None) => self.set(key),
            (_, Some(value)) if value == self.value => Ok(()),
            _ => Err(broken("redis")),
        }
    }
}

/// The store of the crate `cached`: values as JSON, a pool of connections.
struct Cached {
    store: RedisCache<u64, Vec<u8>>,
    value: Vec<u8>,
}

impl Cached {
    fn make(plan: &Plan, _: u64) -> Result<Box<dyn Instance>, Failure> {
        let store = RedisCache::builder("clockhand-lab:cached", HOUR)
            .connection_string(&plan.url)
            .connection_pool_max_size(1)
            .build();
        let store =
            store.map_err(|_| Failure::Input("cached does not connect; look at --redis".into()))?;
        Ok(Box::new(Self { store, value: plan.value.clone() }))
    }

    fn set(&self, key: u64) -> Result<(), Failure> {
        self.store.cache_set(key, self.value.clone()).map(drop).map_err(|_| broken("cached"))
    }

    fn get(&self, key: u64) -> Result<Option<Vec<u8>>, Failure> {
        self.store.cache_get(&key).map_err(|_| broken("cached"))
    }
}

impl Instance for Cached {
    fn ask(&mut self, operation: Operation, key: u64) -> Result<(), Failure> {
        let wanted = Some(&self.value);
        match operation {
            Operation::Write => self.set(key),
            Operation::Miss if self.get(key)?.is_none() => self.set(key),
            // It has nothing for many keys at once.
            Operation::Bulk => {
                let mut keys = key..key + BULK;
                keys.try_for_each(|key| self.get(key)?.map(drop).ok_or_else(|| broken("cached")))
            }
            _ if self.get(key)?.as_ref() == wanted => Ok(()),
            _ => Err(broken("cached")),
        }
    }
}
