//! The task that drives the machine: its clock, its mail, and what is on the wire.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::beat::Wish;
use super::machine::{Action, Machine};
use super::names::{self, Named};
use super::shared::Shared;
use super::wire::{self, Heard};
use super::wish::{self, Telling};
use crate::config::GroupConfig;
use crate::error::{Error, Result};
use crate::group::{
    Coordinator, Done, Identity, Listener, Stamp, Standing, Step, Subscribed, Subscription,
};
use crate::log::Level;
use crate::net::{Backoff, jitter};
use crate::runtime::Sender;

/// What the membership, the application and the offset store say.
#[derive(Debug)]
pub(super) enum Event {
    Subscribe(Subscription),
    StepOut,
    StepIn,
    Finish,
    Leave(Sender<()>),
    /// The application has done with a step.
    Done(u64),
    /// A commit in this epoch was answered as if the member were none.
    Doubt(i32),
}

impl Event {
    /// The membership is over: who wants to leave has left.
    pub(super) fn has_left(self) {
        if let Self::Leave(leaver) = self {
            leaver.send(Ok(()));
        }
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Something that is on its way, if it is: else it never comes.
struct Slot<T>(Option<Boxed<T>>);

impl<T> Slot<T> {
    fn set(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.0 = Some(Box::pin(future));
    }

    async fn come(&mut self) -> T {
        let came = match &mut self.0 {
            Some(future) => future.await,
            None => std::future::pending().await,
        };
        self.0 = None;
        came
    }
}

/// See the module.
pub(super) struct Task {
    pub(super) machine: Machine,
    pub(super) mail: mpsc::UnboundedReceiver<Event>,
    /// For what comes back later; does not keep the mail open.
    pub(super) post: mpsc::WeakUnboundedSender<Event>,
    pub(super) shared: Arc<Shared>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) standing: Arc<Standing>,
    pub(super) listener: Arc<dyn Listener>,
    pub(super) config: GroupConfig,
    pub(super) backoff: Backoff,
}

/// What is on its way.
struct Ways {
    beat: Slot<(u64, Heard)>,
    leave: Slot<()>,
    /// The commits that were asked for before it leaves.
    commits: Slot<()>,
    /// The end of the subscription that waits for them, and what was subscribed to after it.
    put_off: Vec<Subscription>,
    names: Slot<Vec<Named>>,
    /// How often names were asked for in vain.
    vain: u32,
    topics: Slot<Result<Vec<Arc<str>>>>,
    /// The subscription that is resolved here.
    resolved: Option<Subscribed>,
    /// What was asked for last.
    asked: Subscription,
    leavers: Vec<Sender<()>>,
}

impl Ways {
    /// Whether it is on its way out, within bounds of time.
    fn is_leaving(&self) -> bool {
        !self.leavers.is_empty() && (self.commits.0.is_some() || self.leave.0.is_some())
    }
}

/// What came next.
enum Next {
    Beat(u64, Heard),
    Left,
    /// The last commits are over, or were waited for long enough.
    Quiet,
    Named(Vec<Named>),
    Topics(Result<Vec<Arc<str>>>),
    Mail(Option<Event>),
    Due,
}

impl Task {
    /// Runs until the membership is over: left for good, dropped, or handed over.
    pub(super) async fn run(mut self) {
        let mut ways = Ways {
            beat: Slot(None),
            leave: Slot(None),
            commits: Slot(None),
            put_off: Vec::new(),
            names: Slot(None),
            vain: 0,
            topics: Slot(None),
            resolved: None,
            asked: Subscription::default(),
            leavers: Vec::new(),
        };
        let mut is_open = true;
        loop {
            if self.act(&mut ways).is_break() {
                return;
            }
            self.send(&mut ways);
            self.look_up(&mut ways);
            let due = [self.machine.due(), self.machine.ends()].into_iter().flatten().min();
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                (number, heard) = ways.beat.come() => Next::Beat(number, heard),
                () = ways.leave.come() => Next::Left,
                named = ways.names.come() => Next::Named(named),
                topics = ways.topics.come() => Next::Topics(topics),
                () = ways.commits.come() => Next::Quiet,
                event = self.mail.recv(), if is_open => Next::Mail(event),
                () = timer => Next::Due,
            };
            match next {
                // The consumer was freed, and what it left is not cut off by that.
                Next::Mail(None) if ways.is_leaving() => is_open = false,
                Next::Mail(None) => return,
                next => self.take(next, &mut ways),
            }
        }
    }

    fn take(&mut self, next: Next, ways: &mut Ways) {
        let now = Instant::now();
        match next {
            Next::Beat(number, heard) => self.hear(number, heard, ways, now),
            Next::Left => self.machine.left(now),
            Next::Quiet => {
                for asked in std::mem::take(&mut ways.put_off) {
                    self.subscribe_to(asked, ways, now);
                }
                if !ways.leavers.is_empty() {
                    self.machine.leave(now);
                }
            }
            Next::Named(named) => {
                ways.vain = ways.vain.saturating_add(1);
                self.learn(named, now);
            }
            Next::Topics(topics) => self.topics(topics, ways, now),
            Next::Mail(Some(event)) => self.event(event, ways, now),
            Next::Due => self.machine.tick(now),
            Next::Mail(None) => {}
        }
    }

    fn event(&mut self, event: Event, ways: &mut Ways, now: Instant) {
        match event {
            // What ends waits for the commits that were asked for, and what follows waits for the end.
            Event::Subscribe(asked) if !ways.put_off.is_empty() => ways.put_off.push(asked),
            Event::Subscribe(asked) if asked.is_empty() && !self.standing.is_quiet() => {
                ways.put_off.push(asked);
                self.await_commits(ways);
            }
            Event::Subscribe(asked) => self.subscribe_to(asked, ways, now),
            Event::StepOut => self.machine.step_out(now),
            Event::StepIn => self.machine.step_in(now),
            Event::Finish => self.machine.finish(),
            Event::Leave(leaver) => {
                ways.leavers.push(leaver);
                self.leave(ways, now);
            }
            Event::Done(step) => self.machine.done(step, now),
            Event::Doubt(epoch) => self.machine.doubted(epoch, now),
        }
    }

    /// Leaves, after the commits that were asked for: they would be void (rule 8.25).
    fn leave(&mut self, ways: &mut Ways, now: Instant) {
        if self.standing.is_quiet() {
            return self.machine.leave(now);
        }
        self.await_commits(ways);
    }

    fn await_commits(&mut self, ways: &mut Ways) {
        self.machine.finish();
        let standing = Arc::clone(&self.standing);
        ways.commits.set(async move { standing.quiet().await });
    }

    fn subscribe_to(&mut self, asked: Subscription, ways: &mut Ways, now: Instant) {
        let telling = wish::telling(&asked, self.config.exclude_internal_topics);
        ways.asked = asked;
        self.subscribe(telling, ways, now);
    }

    fn subscribe(&mut self, telling: Result<Telling>, ways: &mut Ways, now: Instant) {
        (ways.resolved, ways.topics) = (None, Slot(None));
        match telling {
            Ok(Telling::Plain(wish)) if wish == Wish::default() => {
                self.machine.subscribe(None, now);
            }
            Ok(Telling::Plain(wish)) => {
                self.want(&wish.names);
                self.machine.subscribe(Some(wish), now);
            }
            Ok(Telling::Resolved(subscribed)) => {
                ways.resolved = Some(subscribed);
                self.resolve(Duration::ZERO, ways);
            }
            Err(error) => {
                self.machine.subscribe(None, now);
                self.listener.step(Step::Failed(error));
            }
        }
    }

    /// Their metadata is kept fresh, and who may be made is made.
    fn want(&self, names: &[Arc<str>]) {
        let cluster = self.coordinator.cluster();
        let topics: Vec<_> = names.iter().filter_map(|name| cluster.topic(name).ok()).collect();
        cluster.want_topics(&topics);
    }

    /// Asks, after a pause, which topics the patterns mean.
    fn resolve(&self, pause: Duration, ways: &mut Ways) {
        let Some(subscribed) = ways.resolved.clone() else { return };
        let cluster = Arc::clone(self.coordinator.cluster());
        let timeout = self.config.request_timeout;
        ways.topics.set(async move {
            tokio::time::sleep(pause).await;
            subscribed.resolve_now(&cluster, Instant::now() + timeout).await
        });
    }

    fn topics(&mut self, topics: Result<Vec<Arc<str>>>, ways: &mut Ways, now: Instant) {
        match topics {
            Ok(names) => {
                self.machine.subscribe(Some(Wish { names, pattern: None }), now);
                self.resolve(self.config.metadata_max_age, ways);
            }
            Err(error) if error.is_retriable() => self.resolve(self.backoff.most, ways),
            Err(error) => self.listener.step(Step::Failed(error)),
        }
    }

    fn hear(&mut self, number: u64, heard: Heard, ways: &mut Ways, now: Instant) {
        match heard {
            Heard::Told(told) => self.machine.answered(number, told, now),
            Heard::Refused(code, text) => self.machine.refused(number, code, text, now),
            Heard::Failed(error) => {
                // The same trouble is told once, not at each attempt (invariant 13.7).
                let level = if self.machine.is_failing() { Level::Debug } else { Level::Info };
                let (cluster, group) = (self.coordinator.cluster(), self.coordinator.group());
                let why = format_args!("a heartbeat for group {group} failed: {error}");
                cluster.logger().log(level, "group", why);
                self.machine.failed(number, error, now);
            }
            Heard::NeedsNames => {
                self.machine.postponed(number);
                let exclude = self.config.exclude_internal_topics;
                let telling = wish::resolved(&ways.asked, exclude);
                self.subscribe(telling, ways, now);
            }
        }
    }

    /// Sends the heartbeat that is due. One that the machine has given up is no longer waited for.
    fn send(&mut self, ways: &mut Ways) {
        if self.machine.outstanding().is_none() {
            ways.beat.0 = None;
        }
        let Some(beat) = self.machine.beat(Instant::now()) else { return };
        let (coordinator, constants) =
            (Arc::clone(&self.coordinator), self.machine.constants().clone());
        let patience = self.machine.patience().min(self.config.request_timeout);
        let number = beat.number;
        ways.beat
            .set(async move { (number, wire::send(coordinator, constants, beat, patience).await) });
    }

    /// Looks for names that are missing, with pauses while nobody knows them.
    fn look_up(&mut self, ways: &mut Ways) {
        let missing = self.machine.books().unresolved();
        if missing.is_empty() {
            (ways.names, ways.vain) = (Slot(None), 0);
        } else if ways.names.0.is_none() {
            let cluster = Arc::clone(self.coordinator.cluster());
            let pause = self.backoff.delay(ways.vain, jitter());
            let timeout = self.config.request_timeout;
            ways.names.set(async move {
                tokio::time::sleep(pause).await;
                let known = names::known(&cluster, &missing);
                if known.len() == missing.len() {
                    return known;
                }
                names::asked(cluster, missing, timeout).await
            });
        }
    }

    fn learn(&mut self, named: Vec<Named>, now: Instant) {
        for (topic, name) in named {
            self.machine.learn(topic, name);
        }
        self.machine.settle(now);
    }

    /// Does what the machine wants; whether that was the end.
    fn act(&mut self, ways: &mut Ways) -> std::ops::ControlFlow<()> {
        for action in self.machine.actions() {
            match action {
                Action::Revoke(step, list) => {
                    self.listener.step(Step::Revoke(list, self.done(step)));
                }
                Action::Assign(step, list) => {
                    // Who reads them asks for their offsets as a member that holds them.
                    self.standing.claim(&list, None);
                    self.listener.step(Step::Assign(list, self.done(step)));
                }
                Action::Lost(list) => {
                    let (cluster, group) = (self.coordinator.cluster(), self.coordinator.group());
                    let count = list.len();
                    let text = format_args!("group {group}: {count} partitions are lost");
                    cluster.logger().info("group", text);
                    self.listener.step(Step::Lost(list));
                }
                Action::Overtaken(list) => self.listener.step(Step::Lost(list)),
                Action::Failed(error) => self.listener.step(Step::Failed(error)),
                Action::GaveUp(list) => self.standing.give_up(&list),
                Action::Known(member, epoch) => self.known(member, epoch),
                Action::Heard(sure_until) => {
                    self.standing.heard();
                    self.listener.confirmed(Some(sure_until));
                }
                Action::Elsewhere => {
                    let (cluster, group) = (self.coordinator.cluster(), self.coordinator.group());
                    let text = format_args!(
                        "group {group}: no heartbeat was answered for so long that the coordinator may count the member out"
                    );
                    cluster.logger().warn("group", text);
                    self.coordinator.known().iter().for_each(|seat| self.coordinator.lost(seat));
                }
                Action::Unknown { waits } => {
                    self.standing.dismiss(waits);
                    self.shared.set_identity(None);
                }
                Action::Reopen => self.standing.reopen(),
                Action::Leave(member, epoch) => {
                    let constants = self.machine.constants().clone();
                    let (coordinator, timeout) =
                        (Arc::clone(&self.coordinator), self.config.request_timeout);
                    ways.leave.set(wire::leave(coordinator, constants, member, epoch, timeout));
                }
                Action::Classic => {
                    self.hand_over(ways);
                    return std::ops::ControlFlow::Break(());
                }
                Action::Gone => {
                    ways.leavers.drain(..).for_each(|leaver| leaver.send(Ok(())));
                    self.mail.close();
                    while let Ok(event) = self.mail.try_recv() {
                        event.has_left();
                    }
                    return std::ops::ControlFlow::Break(());
                }
            }
        }
        std::ops::ControlFlow::Continue(())
    }

    fn done(&self, step: u64) -> Done {
        let post = self.post.clone();
        Done::new(move || {
            // Nobody is there any more who could mind.
            let _ = post.upgrade().map(|post| post.send(Event::Done(step)));
        })
    }

    fn known(&self, member: Arc<str>, epoch: i32) {
        let (cluster, group) = (self.coordinator.cluster(), self.coordinator.group());
        let text = format_args!("group {group}: member {member} is in epoch {epoch}");
        cluster.logger().debug("group", text);
        let instance = self.config.instance_id.clone();
        self.standing.open(Stamp {
            member: Arc::clone(&member),
            instance: instance.clone(),
            generation: epoch,
            by_epochs: true,
        });
        let group = Arc::clone(group);
        self.shared.set_identity(Some(Identity {
            group,
            member,
            instance,
            generation: epoch,
            user_data: None,
        }));
    }

    /// The brokers have no such groups: a classic membership takes over, one way (9.17).
    fn hand_over(&mut self, ways: &mut Ways) {
        let cluster = self.coordinator.cluster();
        let group = self.coordinator.group();
        let why = format_args!(
            "group {group}: the brokers have no groups by group.protocol=consumer; the member is one of \
             a classic group from now on"
        );
        cluster.logger().warn("group", why);
        self.standing.dismiss(false);
        let member = match super::classic(cluster, &self.config, Arc::clone(&self.listener)) {
            Ok(member) => member,
            Err(error) => return self.listener.step(Step::Failed(error)),
        };
        let last = ways.put_off.pop();
        let asked = last.unwrap_or_else(|| std::mem::take(&mut ways.asked));
        if ways.leavers.is_empty() {
            member.membership.subscribe(asked);
        }
        self.shared.hand_over(member, &mut self.mail);
    }
}

/// A panic ends the membership: the application hears of it.
pub(super) fn panicked(listener: &Arc<dyn Listener>, error: Error) {
    listener.step(Step::Failed(error));
}
