//! Runs embedded brokers until standard input ends: `embedded_broker [BROKERS] [name=value]…`.

use std::io::Read;

use samsa::embedded::Cluster;

fn main() -> samsa::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let brokers = arguments.next_if(|a| !a.contains('=')).and_then(|a| a.parse().ok()).unwrap_or(1);
    let cluster = Cluster::start(brokers)?;
    for argument in arguments {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        cluster.set(name, value)?;
    }
    println!("{}", cluster.address());
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    cluster.stop();
    Ok(())
}
