//! The Kafka releases under test: what each needs to start, and what it can do.
//!
//! Everything that differs between releases stands in this one table.

/// A Kafka release, as Maven Central has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The version of `org.apache.kafka:kafka_<scala>`.
    pub version: &'static str,
    /// The Scala version in the artifact's name.
    pub scala: &'static str,
    /// Further coordinates (`group:artifact:version`) that the broker or its tools need.
    pub extra: &'static [&'static str],
    /// Whether it runs without ZooKeeper, as broker and controller in one process.
    pub kraft: bool,
    /// Major, minor: what comparisons use (`0.8` is `(0, 8)`).
    pub number: (u32, u32),
}

/// What a test may need of a broker, with the first release that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At least this release.
    Since(u32, u32),
    /// Only releases before this one.
    Before(u32, u32),
    /// One of these versions; in a long run (`SAMSA_LONG`) any other will do.
    Often(&'static [&'static str]),
}

impl Need {
    /// Whether `release` has it.
    pub fn is_met_by(self, release: &Release) -> bool {
        match self {
            Self::Since(major, minor) => release.number >= (major, minor),
            Self::Before(major, minor) => release.number < (major, minor),
            Self::Often(versions) => {
                versions.contains(&release.version) || std::env::var_os("SAMSA_LONG").is_some()
            }
        }
    }
}

const LOG4J_1: &str = "org.slf4j:slf4j-log4j12:1.7.21";
const JAXB: &str = "javax.xml.bind:jaxb-api:2.3.1";
const TOOLS: &str = "org.apache.kafka:kafka-tools:";

/// Every release that the checks run on, oldest first.
pub const RELEASES: [Release; 8] = [
    release("0.8.2.2", "2.11", &[], (0, 8)),
    release("0.9.0.1", "2.11", &[TOOLS], (0, 9)),
    release("0.10.2.2", "2.11", &[TOOLS, LOG4J_1, JAXB], (0, 10)),
    release("0.11.0.3", "2.11", &[TOOLS, LOG4J_1, JAXB], (0, 11)),
    release("1.1.1", "2.11", &[TOOLS, LOG4J_1], (1, 1)),
    release("2.8.2", "2.13", &[TOOLS], (2, 8)),
    release("3.9.2", "2.13", &[TOOLS, "org.slf4j:slf4j-reload4j:1.7.36"], (3, 9)),
    Release {
        version: "4.3.1",
        scala: "2.13",
        extra: &[TOOLS, "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"],
        kraft: true,
        number: (4, 3),
    },
];

const fn release(
    version: &'static str,
    scala: &'static str,
    extra: &'static [&'static str],
    number: (u32, u32),
) -> Release {
    Release { version, scala, extra, kraft: false, number }
}

impl Release {
    /// The release of that version.
    pub fn of(version: &str) -> &'static Release {
        RELEASES.iter().find(|r| r.version == version).expect("a release of the table")
    }

    /// Whether it is this release or a later one.
    pub fn since(&self, major: u32, minor: u32) -> bool {
        self.number >= (major, minor)
    }

    /// The Maven project whose runtime dependencies are this broker's jars.
    pub fn pom(&self) -> String {
        let mut dependencies = dependency(
            "org.apache.kafka",
            &format!("kafka_{}", self.scala),
            self.version,
            if self.since(2, 0) { &[] } else { &OLD_EXCLUSIONS },
        );
        for coordinates in self.extra {
            let mut parts = coordinates.split(':');
            let (group, artifact) = (parts.next().unwrap(), parts.next().unwrap());
            let version = parts.next().filter(|v| !v.is_empty()).unwrap_or(self.version);
            let tools = artifact == "kafka-tools" && self.since(3, 0);
            let exclusions: &[&str] = if tools { &TOOLS_EXCLUSIONS } else { &[] };
            dependencies += &dependency(group, artifact, version, exclusions);
        }
        format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId>\
             <artifactId>kafka-jars</artifactId><version>1</version>\
             <dependencies>{dependencies}</dependencies></project>\n"
        )
    }
}

/// Artifacts that old releases name but that are unneeded or no longer to be had.
const OLD_EXCLUSIONS: [&str; 5] = [
    "javax.jms:jms",
    "com.sun.jdmk:jmxtools",
    "com.sun.jmx:jmxri",
    "jline:jline",
    "io.netty:netty",
];

const TOOLS_EXCLUSIONS: [&str; 2] =
    ["org.apache.kafka:connect-runtime", "org.apache.kafka:kafka-log4j-appender"];

fn dependency(group: &str, artifact: &str, version: &str, exclusions: &[&str]) -> String {
    let excluded: String = exclusions
        .iter()
        .filter_map(|coordinates| coordinates.split_once(':'))
        .map(|(g, a)| {
            format!("<exclusion><groupId>{g}</groupId><artifactId>{a}</artifactId></exclusion>")
        })
        .collect();
    format!(
        "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version><exclusions>{excluded}</exclusions></dependency>"
    )
}
