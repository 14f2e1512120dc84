//! The command line.

use samsa::protocol::record::Compression;

pub const HELP: &str = "\
null-broker [OPTION VALUE]...    serves; prints the bootstrap list
null-broker payloads COUNT SIZE  prints the values that its log is made of, without separators

  --brokers 1         how many brokers it plays, each on a port of its own
  --partitions 12     how many partitions every topic has; a topic is there as soon as it is named
  --codec none        of the log: none, gzip, snappy, lz4, zstd
  --level DEFAULT     of the codec
  --size 100          bytes of a value in the log
  --batch-records N   records of a batch in the log; by default as many as fill 500,000 bytes
  --rate endless      or records a second and partition: then the log grows from the start on, a
                      record a batch, and a fetch at its end waits; 0: it stays empty
  --sessions yes      no: fetch sessions (KIP-227) are refused
  --port 0            the first broker's port, the others' follow; 0: any
  --until-stdin-closes yes   ends then, and tells what a message cost
";

/// What to do.
pub enum Command {
    Help,
    Payloads { count: usize, size: usize },
    Serve(Options),
}

/// What to play.
pub struct Options {
    pub brokers: u16,
    pub partitions: i32,
    pub codec: Compression,
    pub level: Option<i32>,
    pub size: usize,
    pub batch_records: Option<usize>,
    /// None: the log is endless.
    pub rate: Option<f64>,
    pub sessions: bool,
    pub port: u16,
    pub until_stdin_closes: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            brokers: 1,
            partitions: 12,
            codec: Compression::None,
            level: None,
            size: 100,
            batch_records: None,
            rate: None,
            sessions: true,
            port: 0,
            until_stdin_closes: false,
        }
    }
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let arguments: Vec<String> = arguments.collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--help" | "-h"] => Ok(Command::Help),
        ["payloads", count, size] => {
            Ok(Command::Payloads { count: number(count)?, size: number(size)? })
        }
        ref pairs => {
            let mut options = Options::default();
            for pair in pairs.chunks(2) {
                let [name, value] = *pair else { return Err(format!("{} needs a value", pair[0])) };
                set(&mut options, name, value)?;
            }
            if options.brokers == 0 || options.partitions < 1 {
                return Err("at least one broker and one partition".to_owned());
            }
            Ok(Command::Serve(options))
        }
    }
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    match name {
        "--brokers" => options.brokers = number(value)?,
        "--partitions" => options.partitions = number(value)?,
        "--codec" => {
            options.codec = Compression::from_name(value).ok_or(format!("no codec {value}"))?;
        }
        "--level" => options.level = Some(number(value)?),
        "--size" => options.size = number(value)?,
        "--batch-records" => options.batch_records = Some(number(value)?),
        "--rate" if value == "endless" => options.rate = None,
        "--rate" => options.rate = Some(number(value)?),
        "--sessions" => options.sessions = yes(value)?,
        "--port" => options.port = number(value)?,
        "--until-stdin-closes" => options.until_stdin_closes = yes(value)?,
        _ => return Err(format!("no option {name}; see --help")),
    }
    Ok(())
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{text} is not a number, or not one that fits"))
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{text} is neither yes nor no")),
    }
}
