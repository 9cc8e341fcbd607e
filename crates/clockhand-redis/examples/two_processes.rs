//! Two processes with a cache each before one Redis: what one writes, the other reads.
//!
//! `cargo run -p clockhand-redis --example two_processes -- redis://127.0.0.1:6379`

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io, thread};

use clockhand::Cache;
use clockhand_redis::{RedisTier, Tiered};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "redis://127.0.0.1:6379".to_string());
    let prices = connect(&url)?;
    match arguments.next() {
        None => first(&url, &prices),
        Some(_) => second(&prices),
    }
}

fn connect(url: &str) -> Result<Tiered<String, f64>, Box<dyn Error>> {
    let tier = RedisTier::builder(url).key_prefix("example").build()?;
    let cache = Cache::builder().capacity(1_000).per_entry_ttl().build()?;
    let prices = Tiered::new(cache, &tier)?;
    for _ in 0..100 {
        if tier.status().is_connected {
            return Ok(prices);
        }
        thread::sleep(Duration::from_millis(20));
    }
    Err(format!("no server: {}", tier.health()).into())
}

/// Writes, and asks the other process what it reads.
fn first(url: &str, prices: &Tiered<String, f64>) -> Result<(), Box<dyn Error>> {
    let mut other = Command::new(env::current_exe()?)
        .args([url, "second"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut ask, answers) = (other.stdin.take().ok_or("no pipe")?, other.stdout.take());
    let mut answers = BufReader::new(answers.ok_or("no pipe")?).lines();
    let mut read = |key: &str| -> Result<String, Box<dyn Error>> {
        writeln!(ask, "{key}")?;
        Ok(answers.next().ok_or("no answer")??)
    };
    for price in [1.0842, 1.0843, 1.0844] {
        prices.blocking().insert("EURUSD".to_string(), price)?;
        println!("written: {price}; the other process reads {}", read("EURUSD")?);
    }
    prices.blocking().invalidate(&"EURUSD".to_string())?;
    println!("invalidated; the other process reads {}", read("EURUSD")?);
    drop(ask);
    other.wait()?;
    let (_, tier) = prices.stats();
    println!("this process has written {} values", tier.inserts);
    Ok(())
}

/// Reads what it is asked for.
fn second(prices: &Tiered<String, f64>) -> Result<(), Box<dyn Error>> {
    for key in io::stdin().lines() {
        // Whoever asks has written: that message is to have come.
        prices.blocking().sync()?;
        match prices.blocking().get(&key?) {
            Some(price) => println!("{price}"),
            None => println!("nothing"),
        }
        io::stdout().flush()?;
    }
    Ok(())
}
