//! What the partitions of one producer share: its id, and whether it may have one.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use crate::config::ProducerConfig;
use crate::error::{Code, Error};
use crate::log::Logger;

/// The producer's identity. Its lock is a leaf.
pub(crate) struct Identity {
    state: Mutex<State>,
    /// Rung when an id is wanted.
    bell: Notify,
    required: bool,
    logger: OnceLock<Logger>,
    /// It was said that the default gives way to old brokers.
    said: OnceLock<()>,
}

#[derive(Debug)]
enum State {
    /// Batches go without identity.
    Off,
    /// So they do until a broker is met that can give one: those that were asked cannot.
    GivenWay,
    /// `enable.idempotence=true` was asked for, and the brokers cannot; likewise until one is met.
    Refused(Error),
    /// Nobody needed one yet, or it is being asked for.
    Unknown {
        asked: bool,
        trouble: Option<Error>,
    },
    Known(i64),
}

/// What a partition that needs an id is told.
#[derive(Debug)]
pub(crate) enum Standing {
    /// It needs none.
    Off,
    /// It will get none: its records fail.
    Refused(Error),
    /// It was asked for; every queue is looked at again when the answer is there.
    Awaited,
    Known(i64),
}

impl Identity {
    pub(crate) fn new(config: &ProducerConfig) -> Self {
        let state = match config.enable_idempotence {
            true => State::Unknown { asked: false, trouble: None },
            false => State::Off,
        };
        Self {
            state: Mutex::new(state),
            bell: Notify::new(),
            required: config.idempotence_required,
            logger: OnceLock::new(),
            said: OnceLock::new(),
        }
    }

    pub(crate) fn set_logger(&self, logger: Logger) {
        let _ = self.logger.set(logger);
    }

    pub(crate) fn logger(&self) -> Option<&Logger> {
        self.logger.get()
    }

    /// Whether batches go without.
    pub(crate) fn is_off(&self) -> bool {
        matches!(*self.lock(), State::Off | State::GivenWay)
    }

    /// A broker is connected that knows producer ids: what those said that were asked before holds no
    /// longer. A cluster is upgraded broker by broker, and the new ones may have been away just then.
    pub(crate) fn ask_anew(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::GivenWay | State::Refused(_)) {
            return;
        }
        *state = State::Unknown { asked: true, trouble: None };
        drop(state);
        self.bell.notify_one();
    }

    /// Whether it does not give way.
    pub(crate) fn is_required(&self) -> bool {
        self.required
    }

    /// An id other than `spent`; asks for one if there is none.
    pub(crate) fn get(&self, spent: Option<i64>) -> Standing {
        let mut state = self.lock();
        match &mut *state {
            State::Off | State::GivenWay => return Standing::Off,
            State::Refused(error) => return Standing::Refused(error.clone()),
            State::Known(id) if Some(*id) != spent => return Standing::Known(*id),
            State::Known(_) => *state = State::Unknown { asked: true, trouble: None },
            State::Unknown { asked: true, .. } => return Standing::Awaited,
            State::Unknown { asked, .. } => *asked = true,
        }
        drop(state);
        self.bell.notify_one();
        Standing::Awaited
    }

    /// Asks for an id before the first batch needs it.
    pub(crate) fn prepare(&self) {
        self.get(None);
    }

    /// Whether an id is being asked for.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(*self.lock(), State::Unknown { .. })
    }

    /// Why there is no id yet, if something is wrong.
    pub(crate) fn trouble(&self) -> Option<Error> {
        match &*self.lock() {
            State::Unknown { trouble, .. } => trouble.clone(),
            _ => None,
        }
    }

    /// Waits until somebody asks for an id.
    pub(super) async fn wanted(&self) {
        while !matches!(*self.lock(), State::Unknown { asked: true, .. }) {
            self.bell.notified().await;
        }
    }

    pub(super) fn set_trouble(&self, error: Error) {
        if let State::Unknown { trouble, .. } = &mut *self.lock() {
            *trouble = Some(error);
        }
    }

    pub(crate) fn set_known(&self, id: i64) {
        let mut state = self.lock();
        if matches!(*state, State::Unknown { .. }) {
            *state = State::Known(id);
        }
    }

    /// The brokers cannot: the default gives way and says so (invariant 5.18), a demand fails.
    pub(crate) fn give_way(&self, error: Error) {
        let mut state = self.lock();
        if !matches!(*state, State::Unknown { .. }) {
            return;
        }
        if self.required {
            *state = State::Refused(self.refusal(error));
            return;
        }
        *state = State::GivenWay;
        drop(state);
        self.say_once(&error);
    }

    /// The cluster is of Kafka 0.7, which never had identities: the default is off there.
    pub(crate) fn give_way_to_legacy(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Unknown { .. }) {
            return;
        }
        if self.required {
            let cause = Error::new(Code::UNSUPPORTED_FEATURE, "the cluster is of Kafka 0.7");
            *state = State::Refused(self.refusal(cause));
            return;
        }
        *state = State::Off;
        drop(state);
        if let Some(logger) = self.logger.get().filter(|_| self.said.set(()).is_ok()) {
            logger.info("producer", format_args!("{GIVES_WAY}: the cluster is of Kafka 0.7"));
        }
    }

    /// The error of records that need an identity where there can be none.
    pub(crate) fn refusal(&self, cause: Error) -> Error {
        let text = "enable.idempotence=true needs brokers 0.11 or later and record format v2";
        Error::new(Code::UNSUPPORTED_FEATURE, text)
            .with_property("enable.idempotence")
            .caused_by(cause)
    }

    /// Says that the default gives way to brokers that cannot, and which.
    pub(crate) fn say_once(&self, why: &Error) {
        if self.said.set(()).is_ok() {
            self.warn(format_args!("{GIVES_WAY}: {why}"));
        }
    }

    pub(crate) fn warn(&self, line: std::fmt::Arguments<'_>) {
        if let Some(logger) = self.logger.get() {
            logger.warn("producer", line);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a line begins that says that the default gives way.
pub(crate) const GIVES_WAY: &str =
    "enable.idempotence gives way: order is kept, but a repetition may write a record twice";

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("state", &*self.lock()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn identity(properties: &[(&str, &str)]) -> Identity {
        let mut config = Config::new();
        for (name, value) in properties {
            config.set(name, value).unwrap();
        }
        Identity::new(&ProducerConfig::from(&config).unwrap())
    }

    #[test]
    fn an_id_is_asked_for_once_and_shared() {
        let identity = identity(&[]);
        assert!(matches!(identity.get(None), Standing::Awaited));
        assert!(matches!(identity.get(None), Standing::Awaited));
        identity.set_known(5);
        assert!(matches!(identity.get(None), Standing::Known(5)));
    }

    #[test]
    fn rule_5_8_who_used_up_an_id_gets_another_and_the_others_may_keep_theirs() {
        let identity = identity(&[]);
        identity.prepare();
        identity.set_known(5);
        assert!(matches!(identity.get(Some(5)), Standing::Awaited));
        identity.set_known(6);
        assert!(matches!(identity.get(Some(5)), Standing::Known(6)));
        assert!(matches!(identity.get(None), Standing::Known(6)));
    }

    #[test]
    fn rule_5_18_the_default_gives_way_and_a_demand_is_an_error() {
        let default = identity(&[]);
        default.give_way(Error::bare(Code::UNSUPPORTED_FEATURE));
        assert!(matches!(default.get(None), Standing::Off));
        let demanded = identity(&[("enable.idempotence", "true")]);
        demanded.give_way(Error::bare(Code::UNSUPPORTED_FEATURE));
        let Standing::Refused(error) = demanded.get(None) else { panic!() };
        assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
        assert!(error.message().contains("enable.idempotence"), "{error}");
    }

    #[test]
    fn rule_5_18_who_gave_way_asks_anew_when_a_broker_is_met_that_can() {
        for property in [None, Some(("enable.idempotence", "true"))] {
            let identity = identity(property.as_slice());
            identity.give_way(Error::bare(Code::UNSUPPORTED_FEATURE));
            identity.ask_anew();
            assert!(matches!(identity.get(None), Standing::Awaited));
            identity.set_known(5);
            identity.ask_anew();
            assert!(matches!(identity.get(None), Standing::Known(5)));
        }
        let off = identity(&[("enable.idempotence", "false")]);
        off.ask_anew();
        assert!(matches!(off.get(None), Standing::Off));
    }
}
