//! Instances in processes of their own, which write, invalidate and read the same keys of one server, and check every read.
//!
//! The source is a file with a number for each key; who writes a key increments it there, then inserts it or invalidates it
//! in the tiers, and notes in another file which number is *settled* when that has returned `Ok`. A reader looks up what is
//! settled, waits until what the server has told is acted upon ([`RedisTier::sync`]), and reads: a number below the settled
//! one is a value that was replaced or invalidated before the read began. There is no tolerance, and no clock.
//!
//! At any time one process writes a key, so that its numbers only grow. Everybody reads all keys.
//!
//! `CLOCKHAND_STRESS=full cargo test --release -p clockhand-redis --test processes` makes a million operations.

#[path = "support/mod.rs"]
mod support;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, process, thread};

use clockhand::Cache;
use clockhand::dedup::Claim;
use clockhand_redis::{RedisTier, SharedDeduplicator, Tiered};
use support::{Server, builder};

const KEYS: u64 = 64;
/// Instead of how many tasks write: that none does, but all read all keys, or claim ids.
const STAMPEDE: u64 = 0;
const DEDUP: u64 = u64::MAX;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if arguments.get(1).is_some_and(|word| word == "instance") {
        return instance(&arguments[2..]);
    }
    // The harness of other tests has these.
    if arguments.iter().any(|word| word == "--list") {
        return;
    }
    let operations = match env::var("CLOCKHAND_STRESS").as_deref() {
        Ok("full") => 1_000_000,
        Ok("tiny") => 2_000,
        _ => 40_000,
    };
    for (name, test) in TESTS {
        println!("test {name} ...");
        test(operations);
        println!("test {name} ... ok");
    }
}

/// A name, and what is tested with so many operations.
type Test = (&'static str, fn(u64));

const TESTS: [Test; 6] = [
    ("two_instances_return_no_settled_past", |operations| undisturbed(2, operations / 4)),
    ("five_instances_return_no_settled_past", |operations| undisturbed(5, operations)),
    ("five_instances_whose_clocks_differ_return_no_settled_past", |operations| {
        with_other_clocks(operations / 2);
    }),
    ("five_instances_return_no_settled_past_while_the_server_is_killed", disturbed),
    ("of_five_instances_one_loads", |_| stampede()),
    ("of_five_instances_one_processes_each_id", |operations| each_id_once(operations / 10)),
];

fn undisturbed(instances: u64, operations: u64) {
    let Some(server) = Server::start() else { return };
    let folder = Folder::new();
    let running: Vec<Instance> =
        (0..instances).map(|nth| Instance::start(&server, &folder, nth, instances)).collect();
    let total = finish(running, operations / instances);
    assert!(total.checked > operations / 10, "{total:?}");
    assert!(total.failed == 0, "{total:?}");
    println!("{total:?}");
}

/// The same with clocks that are days and years apart and go at different paces, the monotonic ones as well.
fn with_other_clocks(operations: u64) {
    const CLOCKS: [&str; 5] = ["+0", "+3d x1.0004", "-400d x0.9996", "+20y x1.0002", "-1h x0.9998"];
    let Some(library) = support::faketime() else {
        println!("skipped: libfaketime is not installed");
        return;
    };
    let Some(server) = Server::start() else { return };
    let folder = Folder::new();
    let running = CLOCKS.iter().zip(0..).map(|(clock, nth)| {
        let clock = [("LD_PRELOAD", library), ("FAKETIME", clock), ("NO_FAKE_STAT", "1")];
        Instance::start_with(&server, &folder, (nth, 5), &clock)
    });
    let total = finish(running.collect(), operations / 5);
    assert!(total.checked > operations / 10, "{total:?}");
    println!("{total:?}");
}

/// The same, and meanwhile connections are ended, and the server is killed and comes back with an older state.
fn disturbed(operations: u64) {
    let Some(mut server) = Server::start() else { return };
    let folder = Folder::new();
    let mut running: Vec<Instance> =
        (0..5).map(|nth| Instance::start(&server, &folder, nth, 5)).collect();
    for instance in &mut running {
        instance.begin(operations / 5);
    }
    for round in 0..6 {
        thread::sleep(Duration::from_millis(150));
        match round % 3 {
            0 => drop(server.kill_clients()),
            1 => drop(server.ask(&["SAVE"])),
            _ => {
                server.kill();
                thread::sleep(Duration::from_millis(20));
                server.restart();
            }
        }
    }
    let total = Total::of(running);
    assert!(total.checked > 0, "{total:?}");
    println!("{total:?}");
}

/// All miss the same keys at the same time; with a lease the source sees one load for each.
fn stampede() {
    let Some(server) = Server::start() else { return };
    let folder = Folder::new();
    let mut running: Vec<Instance> =
        (0..5).map(|nth| Instance::start(&server, &folder, nth, STAMPEDE)).collect();
    for instance in &mut running {
        instance.begin(KEYS);
    }
    let total = Total::of(running);
    assert_eq!(total.loads, KEYS, "{total:?}");
    assert_eq!(total.checked, KEYS * 5);
}

/// All claim the same ids, and some give up; each is processed once.
fn each_id_once(ids: u64) {
    let Some(server) = Server::start() else { return };
    let folder = Folder::new();
    let mut running: Vec<Instance> =
        (0..5).map(|nth| Instance::start(&server, &folder, nth, DEDUP)).collect();
    for instance in &mut running {
        instance.begin(ids);
    }
    let total = Total::of(running);
    assert_eq!(total.written, ids, "{total:?}");
    assert_eq!(total.checked, ids * 5);
    println!("{total:?}");
}

fn finish(mut running: Vec<Instance>, operations: u64) -> Total {
    running.iter_mut().for_each(|instance| instance.begin(operations));
    Total::of(running)
}

/// What all instances have done.
#[derive(Debug, Default)]
struct Total {
    /// Reads that were checked.
    checked: u64,
    /// Of these, those that the cache has answered.
    cached: u64,
    /// Writes that succeeded.
    written: u64,
    /// Operations that failed.
    failed: u64,
    /// Loads from the source.
    loads: u64,
}

impl Total {
    fn of(running: Vec<Instance>) -> Self {
        let mut total = Self::default();
        for instance in running {
            let numbers = instance.end();
            let parts = [
                &mut total.checked,
                &mut total.cached,
                &mut total.written,
                &mut total.failed,
                &mut total.loads,
            ];
            parts.into_iter().zip(numbers).for_each(|(part, number)| *part += number);
        }
        total
    }
}

/// The files that the instances share, in a folder that is gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = env::temp_dir().join(format!("clockhand-redis-files-{}", process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a temporary directory");
        for name in ["source", "settled"] {
            std::fs::write(folder.join(name), vec![0; KEYS as usize * 8]).expect("a file");
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An instance, as the test sees it.
struct Instance {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Instance {
    /// Starts a process and waits until it is connected.
    fn start(server: &Server, folder: &Folder, nth: u64, of: u64) -> Self {
        Self::start_with(server, folder, (nth, of), &[])
    }

    fn start_with(
        server: &Server,
        folder: &Folder,
        (nth, of): (u64, u64),
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["instance", &server.url(), &folder.0.to_string_lossy()])
            .args([nth.to_string(), of.to_string()])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an instance");
        let orders = child.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        answers.read_line(&mut line).expect("an answer");
        assert_eq!(line, "connected\n");
        Self { child, orders, answers }
    }

    fn begin(&mut self, operations: u64) {
        writeln!(self.orders, "{operations}").expect("an instance that listens");
    }

    /// What it has done; panics if it has found an old value.
    fn end(mut self) -> [u64; 5] {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        assert!(self.child.wait().expect("a child").success(), "an instance has failed");
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        numbers.try_into().expect("five numbers")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process of an instance.
fn instance(arguments: &[String]) {
    let [url, folder, nth, of] = arguments else { panic!("four arguments") };
    let (nth, of): (u64, u64) = (nth.parse().expect("a number"), of.parse().expect("a number"));
    let settings = builder(url);
    let settings = if of == STAMPEDE { settings.lease(Duration::from_secs(60)) } else { settings };
    let tier = settings.build().expect("valid settings");
    let cache = Cache::builder().capacity(KEYS).per_entry_ttl().build().expect("a cache");
    let tiered = Tiered::new(cache, &tier).expect("a cache that keeps time");
    support::wait_until("the tier is connected", || tier.status().is_connected);
    println!("connected");
    if let Ok(clock) = env::var("FAKETIME") {
        // So that a library which does nothing is noticed.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        eprintln!("clock {clock}: {} s", now.expect("after 1970").as_secs());
    }
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("an order");
    let operations: u64 = line.trim().parse().expect("a number");
    let checker = Checker {
        tiered,
        tier,
        source: Numbers::open(folder, "source"),
        settled: Numbers::open(folder, "settled"),
        random: nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        numbers: [0; 5],
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let numbers = runtime.block_on(async move {
        match of {
            STAMPEDE => return checker.read_all().await,
            DEDUP => return claim_all(&checker.tier, nth, operations).await,
            _ => {}
        }
        // Several tasks, so that loads and writes of one instance meet as well.
        let tasks = (0..4).map(|task| {
            let own = checker.another(task);
            tokio::spawn(own.run(operations / 4, nth * 4 + task, of * 4))
        });
        let mut numbers = [0; 5];
        for task in tasks.collect::<Vec<_>>() {
            let of_task = task.await.expect("no old value");
            numbers.iter_mut().zip(of_task).for_each(|(sum, number)| *sum += number);
        }
        numbers
    });
    println!("{}", numbers.map(|number| number.to_string()).join(" "));
}

/// A number for each key, in a file.
struct Numbers(File);

impl Numbers {
    fn open(folder: &str, name: &str) -> Self {
        let path = Path::new(folder).join(name);
        Self(OpenOptions::new().read(true).write(true).open(path).expect("a file"))
    }

    fn get(&self, key: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, key * 8).expect("a number");
        u64::from_le_bytes(bytes)
    }

    fn set(&self, key: u64, number: u64) {
        self.0.write_all_at(&number.to_le_bytes(), key * 8).expect("room");
    }

    fn again(&self) -> Self {
        Self(self.0.try_clone().expect("a file"))
    }
}

struct Checker {
    tiered: Tiered<u64, u64>,
    tier: RedisTier,
    source: Numbers,
    settled: Numbers,
    random: u64,
    /// Checked, cached, written, failed, loads.
    numbers: [u64; 5],
}

impl Checker {
    fn another(&self, task: u64) -> Self {
        Self {
            tiered: self.tiered.clone(),
            tier: self.tier.clone(),
            source: self.source.again(),
            settled: self.settled.again(),
            random: self.random.wrapping_add(task.wrapping_mul(0xD134_2543_DE82_EF95)) | 1,
            numbers: [0; 5],
        }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    /// Writes the keys that are its own, one in `of`, and reads all.
    async fn run(mut self, operations: u64, nth: u64, of: u64) -> [u64; 5] {
        for _ in 0..operations {
            let key = self.next(KEYS);
            match self.next(10) {
                0..3 => self.write(key / of * of + nth).await,
                3 => {
                    // Not checked, and not waited for: a load that others overtake.
                    self.read(key).await;
                }
                _ => self.check(key, nth, of).await,
            }
        }
        self.numbers
    }

    async fn write(&mut self, key: u64) {
        if key >= KEYS {
            return;
        }
        let number = self.source.get(key) + 1;
        self.source.set(key, number);
        let written = if self.next(2) == 0 {
            self.tiered.insert(key, number).await
        } else {
            self.tiered.invalidate(&key).await
        };
        match written {
            Ok(()) => {
                self.settled.set(key, number);
                self.numbers[2] += 1;
            }
            Err(_) => self.numbers[3] += 1,
        }
    }

    async fn check(&mut self, key: u64, nth: u64, of: u64) {
        let settled = self.settled.get(key);
        // What this task has written itself it knows without asking.
        if key % of != nth && self.tier.sync().await.is_err() {
            self.numbers[3] += 1;
            return;
        }
        let cached = self.tiered.get_cached(&key);
        self.numbers[1] += u64::from(cached.is_some());
        let read = match cached {
            Some(number) => number,
            None => self.read(key).await,
        };
        assert!(read >= settled, "key {key}: {read} is read, and {settled} was settled before");
        self.numbers[0] += 1;
    }

    async fn read(&mut self, key: u64) -> u64 {
        let (source, loads) = (&self.source, &mut self.numbers[4]);
        let load = async {
            *loads += 1;
            let number = source.get(key);
            // Long enough for somebody to come in between.
            tokio::task::yield_now().await;
            Ok::<u64, std::convert::Infallible>(number)
        };
        self.tiered.get_or_load(&key, load).await.expect("a value")
    }

    /// Reads every key once, by loads that take a while.
    async fn read_all(mut self) -> [u64; 5] {
        for key in 0..KEYS {
            let loads = &mut self.numbers[4];
            let load = async {
                *loads += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok::<u64, std::convert::Infallible>(key)
            };
            assert_eq!(self.tiered.get_or_load(&key, load).await.expect("a value"), key);
            self.numbers[0] += 1;
        }
        self.numbers
    }
}

/// Claims all ids from four tasks, in an order of its own, until each is done. One claim in eight is given back.
async fn claim_all(tier: &RedisTier, nth: u64, ids: u64) -> [u64; 5] {
    let seen: SharedDeduplicator<u64> = SharedDeduplicator::builder(tier)
        .capacity(2 * ids)
        .lease(Duration::from_secs(600))
        .build()
        .expect("valid settings");
    let tasks = (0..4).map(|task| {
        let seen = seen.clone();
        tokio::spawn(async move {
            let mut numbers = [0; 5];
            for step in 0..ids / 4 {
                let id = (step + nth * ids / 20) % (ids / 4) * 4 + task;
                let mut given_back = None;
                loop {
                    match seen.claim(id).await.expect("a server") {
                        Claim::New(ticket)
                            if (id / 4 + nth).is_multiple_of(8) && given_back != Some(id) =>
                        {
                            given_back = Some(id);
                            numbers[3] += 1;
                            drop(ticket);
                        }
                        Claim::New(ticket) => {
                            assert!(ticket.complete().await.expect("a server"), "it was held");
                            numbers[2] += 1;
                        }
                        Claim::Done => break,
                        _ => tokio::task::yield_now().await,
                    }
                }
                numbers[0] += 1;
            }
            numbers
        })
    });
    let mut numbers = [0; 5];
    for task in tasks.collect::<Vec<_>>() {
        let of_task = task.await.expect("each id is done");
        numbers.iter_mut().zip(of_task).for_each(|(sum, number)| *sum += number);
    }
    numbers
}
