//! A broker that acknowledges everything and serves an endless log from memory, for a few
//! nanoseconds a message: against it the client is the limit.
//!
//! What is produced is counted and forgotten. What is fetched is one batch, made at the start, over
//! and over: only its base offset changes, which no checksum covers. `null-broker --help` tells
//! the options. It listens on the loopback address alone, prints its bootstrap list and runs until
//! it is killed, or its standard input closes if asked so; then it says what a message cost it.

mod answers;
mod connection;
mod fetch;
mod log;
mod options;
mod produce;
mod skim;
mod text;
mod world;

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use options::{Command, HELP, Options};
use world::World;

fn main() -> ExitCode {
    match options::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("null-broker: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<(), String> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Payloads { count, size } => {
            let mut out = io::stdout().lock();
            for line in text::lines(count, size) {
                out.write_all(&line).map_err(|e| e.to_string())?;
            }
        }
        Command::Serve(options) => serve(options).map_err(|e| e.to_string())?,
    }
    Ok(())
}

fn serve(options: Options) -> io::Result<()> {
    let bind = |index: u16| {
        let port = if options.port == 0 { 0 } else { options.port + index };
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
    };
    let listeners: Vec<_> = (0..options.brokers).map(bind).collect::<Result<_, _>>()?;
    let ports = listeners.iter().map(|l| Ok(l.local_addr()?.port())).collect::<io::Result<_>>()?;
    let until_stdin_closes = options.until_stdin_closes;
    let world = Arc::new(World::new(options, ports).map_err(io::Error::other)?);
    for (listener, broker) in listeners.into_iter().zip(1..) {
        let world = Arc::clone(&world);
        thread::spawn(move || accept(&listener, broker, &world));
    }
    println!("{}", world.bootstrap());
    io::stdout().flush()?;
    if !until_stdin_closes {
        loop {
            thread::park();
        }
    }
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    eprintln!("{}", world.cost());
    Ok(())
}

fn accept(listener: &TcpListener, broker: i32, world: &Arc<World>) {
    for stream in listener.incoming().flatten() {
        let world = Arc::clone(world);
        thread::spawn(move || match connection::run(stream, broker, &world) {
            Err(error) if !left(&error) => eprintln!("broker {broker}: {error}"),
            _ => {}
        });
    }
}

/// Whether the client went away, as clients do.
fn left(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
