//! A run of a known length: `bounded SEEDS [--inputs N] [--seed S] [--codec NAME] [--only NUMBER]`.
//!
//! `SEEDS` holds a folder of streams for each codec (`make_seeds.py` makes them). Input `NUMBER` of a run is always
//! the same, so what fails can be looked at again with `--only`. Ends with an error where an answer breaks a promise,
//! an input takes longer than `SLOW`, or the process grew beyond `MEMORY`.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mediaref_fuzz::{Codec, Input, Random, Tally, check, mutate};

/// What an input may take.
const SLOW: Duration = Duration::from_secs(2);
/// After this the run is given up: an endless loop never comes back to be measured.
const HANGS: Duration = Duration::from_secs(60);
const MEMORY_MIB: u64 = 512;

/// The input that is being checked.
static CURRENT: AtomicU64 = AtomicU64::new(0);

struct Options {
    seeds: PathBuf,
    inputs: u64,
    seed: u64,
    codecs: Vec<Codec>,
    only: Option<u64>,
}

fn options() -> Option<Options> {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments.next()?.into();
    let mut options = Options { seeds, inputs: 100_000, seed: 1, codecs: Codec::ALL.to_vec(), only: None };
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--inputs" => options.inputs = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--only" => options.only = Some(value.parse().ok()?),
            "--codec" => options.codecs.retain(|codec| codec.name() == value),
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options() else {
        eprintln!("usage: bounded SEEDS [--inputs N] [--seed S] [--codec h264|hevc|vp9|av1] [--only NUMBER]");
        return ExitCode::from(2);
    };
    thread::spawn(watch);
    let is_fine = options.codecs.iter().all(|&codec| run(codec, &options));
    let memory = most_memory_mib();
    println!("most memory: {memory:?} MiB");
    if is_fine && memory.is_none_or(|memory| memory < MEMORY_MIB) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends the process where one input never ends.
fn watch() {
    let mut last = u64::MAX;
    loop {
        thread::sleep(HANGS);
        let current = CURRENT.load(Ordering::Relaxed);
        if current == last {
            eprintln!("input {current} does not end");
            exit(1);
        }
        last = current;
    }
}

fn run(codec: Codec, options: &Options) -> bool {
    let seeds = read_seeds(&options.seeds.join(codec.name()));
    if seeds.is_empty() {
        eprintln!("{}: no seeds in {}", codec.name(), options.seeds.display());
        return false;
    }
    let mut tally = Tally::default();
    let (mut slowest, mut is_fine) = ((Duration::ZERO, 0), true);
    let begin = Instant::now();
    let numbers = options.only.map_or(0..options.inputs, |number| number..number + 1);
    let count = numbers.end - numbers.start;
    for number in numbers {
        CURRENT.store(number, Ordering::Relaxed);
        let mut random = Random::new(options.seed << 40 | number);
        let mut input = seeds[random.below(seeds.len())].clone();
        if !random.one_in(4) {
            input.packets.truncate(1 + random.below(4)); // most faults need few packets, and these are soon parsed
        }
        mutate(codec, &mut input, &mut random);
        let (mut is_sound, mut taken) = timed(codec, &input, &mut tally);
        if taken > SLOW {
            // It may have been the machine that was slow.
            let before = processor_time();
            (is_sound, taken) = timed(codec, &input, &mut tally);
            taken = before.zip(processor_time()).map_or(taken, |(before, after)| after - before);
        }
        slowest = slowest.max((taken, number));
        if !is_sound || taken > SLOW {
            eprintln!("{}: input {number} of seed {} fails after {taken:?}", codec.name(), options.seed);
            is_fine = false;
        }
    }
    let Tally { pictures, corrupt, unsupported, over_limit, .. } = tally;
    println!(
        "{}: {count} inputs from {} seeds in {:.0?}: {pictures} packets parsed, {corrupt} corrupt, {unsupported} \
         unsupported, {over_limit} over a limit; slowest {:.1?} (input {})",
        codec.name(),
        seeds.len(),
        begin.elapsed(),
        slowest.0,
        slowest.1,
    );
    is_fine
}

/// Whether all promises were kept, and how long it took.
fn timed(codec: Codec, input: &Input, tally: &mut Tally) -> (bool, Duration) {
    let start = Instant::now();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(codec, input, tally)));
    if outcome.is_err() {
        tally.renew_buffers();
    }
    (outcome.is_ok(), start.elapsed())
}

/// What this thread has had of the processor, where the system tells.
fn processor_time() -> Option<Duration> {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    spent.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// In the order of their names, so that numbers mean the same everywhere.
fn read_seeds(folder: &Path) -> Vec<Input> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).map(|bytes| Input::from_bytes(&bytes)).collect()
}

/// The most memory that this process ever held, where the system tells.
fn most_memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib >> 10)
}
