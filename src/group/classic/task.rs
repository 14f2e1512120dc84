//! The task of a classic member: does what its machine says, and tells it what came of it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::sleep_until;

use super::Shared;
use super::acts::{Act, Assigned, Joined, Rules, Trouble, Who, Wish};
use super::lead::{Plan, Watch};
use super::machine::Machine;
use crate::cluster::{HeldTopics, Metadata};
use crate::config::Assignor;
use crate::error::{Code, Result};
use crate::group::coordinator::Lane;
use crate::group::standing::Stamp;
use crate::group::{Done, Step, Subscribed, Subscription};
use crate::net::Backoff;
use crate::runtime::Sender;

/// What the front, the offsets and the application tell the task.
#[derive(Debug)]
pub(super) enum Mail {
    Subscribe(Subscription),
    StepOut,
    StepIn,
    Rejoin(&'static str),
    Finish,
    Leave(Sender<()>),
    /// The application has heard the step of this number.
    Told(u64),
    /// A commit as this member was answered so.
    Committed(Code, Stamp),
}

/// A subscription that depends on which topics there are.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    subscribed: Subscribed,
    looked: Option<Instant>,
}

impl Pattern {
    /// The subscription, if it was not looked up for so long.
    pub(super) fn stale(&self, age: Duration) -> Option<Subscribed> {
        let fresh = self.looked.is_some_and(|looked| looked.elapsed() < age);
        (!fresh).then(|| self.subscribed.clone())
    }
}

/// What came of something that was begun.
enum Event {
    Joined(u64, Result<Joined, Trouble>),
    Led(u64, Result<Plan>),
    Synced(u64, Result<Assigned, Trouble>),
    Beaten(Who, Code, Instant),
    Left(Result<()>),
    /// The commits that were asked for before it leaves are over, or were waited for long enough.
    Quiet,
    /// So they are before its subscription ends.
    Over,
    /// So they are before it gives up what this step is about.
    Told(u64),
    /// The look-up of this number.
    Resolved(u64, Result<Vec<Arc<str>>>),
}

struct Driver {
    shared: Arc<Shared>,
    mail: mpsc::WeakUnboundedSender<Mail>,
    machine: Machine,
    work: JoinSet<Event>,
    /// The join, the sync or the leader's work under way.
    main: Option<AbortHandle>,
    changes: watch::Receiver<Arc<Metadata>>,
    watch: Option<Watch>,
    /// The topics that were subscribed by name: asking for them may create them.
    named: Option<HeldTopics>,
    /// What the assignment under way was made for.
    plan: Option<Plan>,
    /// Counts subscriptions: a look-up for an older one is not wanted.
    wishes: u64,
    /// The new subscription that waits for its first look-up.
    fresh: bool,
    look_up_at: Option<Instant>,
    look_ups_failed: u32,
    leaves_out: usize,
    /// An end of the subscription that waits for commits, and what was subscribed since.
    put_off: Vec<Subscription>,
    /// Until when the consumer was told that the member is sure to be one.
    sure_until: Option<Instant>,
    left: Option<Sender<()>>,
}

/// Serves the member until it left for good.
pub(super) async fn run(
    shared: Arc<Shared>,
    mail: mpsc::WeakUnboundedSender<Mail>,
    mut received: mpsc::UnboundedReceiver<Mail>,
) {
    let mut driver = Driver::new(shared, mail);
    let mut is_open = true;
    loop {
        driver.perform();
        if driver.is_done() {
            return;
        }
        let due = driver.next_due();
        tokio::select! {
            mail = received.recv(), if is_open => match mail {
                Some(mail) => driver.take(mail),
                // The consumer was freed, and what it left is not cut off by that.
                None if driver.is_leaving() => is_open = false,
                None => return,
            },
            Some(ended) = driver.work.join_next() => driver.ended(ended),
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {
                driver.tick();
            }
            Ok(()) = driver.changes.changed(), if driver.watch.is_some() => driver.look(),
        }
    }
}

fn rules(shared: &Shared) -> Rules {
    let config = &shared.config;
    let own = shared.own.as_ref().is_none_or(|own| own.is_cooperative());
    let all = config.assignors.iter().all(|a| *a == Assignor::CooperativeSticky);
    Rules {
        session: config.session_timeout,
        heartbeat: config.heartbeat_interval,
        backoff: Backoff { first: config.retry_backoff, most: config.retry_backoff_max },
        cooperative: own && all,
        is_static: config.instance_id.is_some(),
    }
}

impl Driver {
    fn new(shared: Arc<Shared>, mail: mpsc::WeakUnboundedSender<Mail>) -> Self {
        let machine = Machine::new(rules(&shared), Instant::now());
        let changes = shared.cluster.changes();
        Self {
            shared,
            mail,
            machine,
            work: JoinSet::new(),
            main: None,
            changes,
            watch: None,
            named: None,
            plan: None,
            wishes: 0,
            fresh: false,
            look_up_at: None,
            look_ups_failed: 0,
            leaves_out: 0,
            put_off: Vec::new(),
            sure_until: None,
            left: None,
        }
    }

    /// Whether everything is over; tells who waits for it.
    fn is_done(&mut self) -> bool {
        let done = self.machine.is_gone() && self.leaves_out == 0;
        if done {
            self.left.take().into_iter().for_each(|left| left.send(Ok(())));
        }
        done
    }

    /// Whether it is on its way out, within bounds of time.
    fn is_leaving(&self) -> bool {
        self.left.is_some() && (self.leaves_out > 0 || !self.machine.has_ended())
    }

    fn next_due(&self) -> Option<Instant> {
        [self.machine.next_due(), self.look_up_at].into_iter().flatten().min()
    }

    fn take(&mut self, mail: Mail) {
        let now = Instant::now();
        match mail {
            // What ends waits for the commits that were asked for, and what follows waits for the end.
            Mail::Subscribe(asked) if !self.put_off.is_empty() => self.put_off.push(asked),
            Mail::Subscribe(asked) if asked.is_empty() && !self.shared.standing.is_quiet() => {
                self.put_off.push(asked);
                self.await_commits(Event::Over, now);
            }
            Mail::Subscribe(asked) => self.subscribe(&asked, now),
            Mail::StepOut => self.machine.step_out(),
            Mail::StepIn => self.machine.step_in(now),
            Mail::Rejoin(why) => self.machine.rejoin(why, now),
            Mail::Finish => self.machine.finish(now),
            Mail::Told(step) => self.told(step, now),
            Mail::Committed(code, stamp) => {
                let who = Who { member: stamp.member, generation: stamp.generation };
                self.machine.committed(&who, code, now);
            }
            Mail::Leave(left) => {
                self.look_up_at = None;
                self.left = Some(left);
                self.leave(now);
            }
        }
    }

    /// The application has heard a step. What it gives up is the member's until the commits are over that were
    /// asked for: they would be void (rule 8.25). Most are over before; an end of the subscription that does
    /// not wait may have left one.
    fn told(&mut self, step: u64, now: Instant) {
        if !self.machine.gives_up() || self.shared.standing.is_quiet() {
            return self.machine.told(step, now);
        }
        let shared = Arc::clone(&self.shared);
        self.work.spawn(async move {
            shared.standing.quiet().await;
            Event::Told(step)
        });
    }

    /// Leaves, after the same.
    fn leave(&mut self, now: Instant) {
        if self.shared.standing.is_quiet() {
            return self.machine.leave();
        }
        self.await_commits(Event::Quiet, now);
    }

    fn await_commits(&mut self, then: Event, now: Instant) {
        self.machine.finish(now);
        let shared = Arc::clone(&self.shared);
        self.work.spawn(async move {
            shared.standing.quiet().await;
            then
        });
    }

    /// The subscription that was to end does.
    fn end(&mut self, now: Instant) {
        for (index, asked) in std::mem::take(&mut self.put_off).into_iter().enumerate() {
            match index {
                0 => self.subscribe(&asked, now),
                _ => self.take(Mail::Subscribe(asked)),
            }
        }
    }

    // Subscriptions

    fn subscribe(&mut self, subscription: &Subscription, now: Instant) {
        self.wishes += 1;
        (self.look_up_at, self.look_ups_failed, self.fresh) = (None, 0, false);
        self.set_pattern(None);
        let names = subscription.topics.iter().map(|name| &**name);
        self.named = Some(HeldTopics::named(&self.shared.cluster, names, true));
        if subscription.is_empty() {
            return self.machine.subscribe(None, now);
        }
        let internal = self.shared.config.exclude_internal_topics;
        match Subscribed::new(subscription, internal) {
            Err(error) => {
                self.machine.subscribe(None, now);
                self.shared.listener.step(Step::Failed(error));
            }
            Ok(subscribed) if subscribed.has_patterns() => {
                self.set_pattern(Some(Pattern { subscribed, looked: None }));
                self.fresh = true;
                self.look_up();
            }
            Ok(subscribed) => {
                let topics = subscribed.resolve(&[]);
                self.machine.subscribe(Some(Wish { subscribed, topics }), now);
            }
        }
    }

    fn set_pattern(&self, pattern: Option<Pattern>) {
        *self.shared.pattern.lock().unwrap_or_else(PoisonError::into_inner) = pattern;
    }

    fn pattern(&self) -> Option<Pattern> {
        self.shared.pattern.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks which topics there are.
    fn look_up(&mut self) {
        self.look_up_at = None;
        let Some(pattern) = self.pattern() else { return };
        let (shared, number) = (Arc::clone(&self.shared), self.wishes);
        self.work.spawn(async move {
            let deadline = Instant::now() + shared.config.request_timeout;
            let found = pattern.subscribed.resolve_now(&shared.cluster, deadline).await;
            Event::Resolved(number, found)
        });
    }

    fn resolved(&mut self, number: u64, found: Result<Vec<Arc<str>>>) {
        let now = Instant::now();
        let Some(pattern) = self.pattern().filter(|_| number == self.wishes) else { return };
        let topics = match found {
            Ok(topics) => topics,
            Err(error) => {
                self.shared.warn(format_args!("the topics were not told: {error}"));
                self.look_ups_failed += 1;
                let config = &self.shared.config;
                let backoff =
                    Backoff { first: config.retry_backoff, most: config.retry_backoff_max };
                self.look_up_at = Some(now + backoff.delay(self.look_ups_failed, 0.5));
                return;
            }
        };
        self.look_ups_failed = 0;
        self.look_up_at = Some(now + self.shared.config.metadata_max_age);
        let subscribed = pattern.subscribed.clone();
        self.set_pattern(Some(Pattern { looked: Some(now), ..pattern }));
        if std::mem::take(&mut self.fresh) {
            self.machine.subscribe(Some(Wish { subscribed, topics }), now);
        } else {
            self.machine.resolved(topics, now);
        }
    }

    // Events

    fn tick(&mut self) {
        let now = Instant::now();
        if self.look_up_at.is_some_and(|time| now >= time) {
            self.look_up();
        }
        self.machine.tick(now);
    }

    /// Metadata changed while the member leads.
    fn look(&mut self) {
        if self.watch.as_ref().is_some_and(Watch::sees_change) {
            self.machine.rejoin("partitions of subscribed topics came or went", Instant::now());
        }
    }

    fn ended(&mut self, ended: Result<Event, JoinError>) {
        let now = Instant::now();
        match ended {
            Ok(Event::Joined(attempt, answer)) => {
                self.shared.say_of_join(&answer);
                self.machine.joined(attempt, answer, now);
            }
            Ok(Event::Led(attempt, Ok(plan))) => {
                let led = plan.led.clone();
                self.plan = Some(plan);
                self.machine.led(attempt, Ok(led), now);
            }
            Ok(Event::Led(attempt, Err(error))) => {
                self.shared.warn(format_args!("this member leads and could not assign: {error}"));
                self.machine.led(attempt, Err(error), now);
            }
            Ok(Event::Synced(attempt, answer)) => self.machine.synced(attempt, answer, now),
            Ok(Event::Beaten(who, code, sent)) => self.machine.beaten(&who, code, sent, now),
            Ok(Event::Left(outcome)) => {
                self.leaves_out -= 1;
                if let Err(error) = outcome {
                    self.shared
                        .warn(format_args!("the coordinator did not hear it leave: {error}"));
                }
            }
            Ok(Event::Told(step)) => self.machine.told(step, now),
            Ok(Event::Quiet) => self.machine.leave(),
            Ok(Event::Over) => self.end(now),
            Ok(Event::Resolved(number, found)) => self.resolved(number, found),
            Err(error) if error.is_cancelled() => {}
            // What it was about is unknown: the task ends with it, and the application hears why.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    // Acts

    fn perform(&mut self) {
        loop {
            let until = self.machine.sure_until();
            if until.is_some() {
                self.confirm(until);
            }
            let acts = self.machine.take();
            if acts.is_empty() {
                // Only now: what is lost was taken away before.
                self.confirm(until);
                return;
            }
            // What is done may lead to more.
            acts.into_iter().for_each(|act| self.act(act));
        }
    }

    fn confirm(&mut self, until: Option<Instant>) {
        if self.sure_until != until {
            self.sure_until = until;
            self.shared.listener.confirmed(until);
        }
    }

    fn act(&mut self, act: Act) {
        let shared = Arc::clone(&self.shared);
        match act {
            Act::Join(join) => self.begin(async move {
                let answer = shared.join(&join).await;
                Event::Joined(join.attempt, answer)
            }),
            Act::Lead(leading) => self.begin(async move {
                let plan = shared.lead(&leading).await;
                Event::Led(leading.attempt, plan)
            }),
            Act::Sync(sync) => self.begin(async move {
                let answer = shared.sync(&sync).await;
                Event::Synced(sync.attempt, answer)
            }),
            Act::Beat(who) => {
                self.work.spawn(async move {
                    let sent = Instant::now();
                    let code = shared.beat(&who).await;
                    Event::Beaten(who, code, sent)
                });
            }
            Act::Leave(member, why) => {
                self.leaves_out += 1;
                shared.info(format_args!("member {member} leaves: {why}"));
                self.work.spawn(async move { Event::Left(shared.leave(&member, why).await) });
            }
            Act::Abandon => {
                self.main.take().iter().for_each(AbortHandle::abort);
                shared.coordinator.hang_up(Lane::Patient);
            }
            Act::Elsewhere => {
                shared.warn(format_args!("the coordinator was silent for the whole session"));
                shared.coordinator.known().iter().for_each(|seat| shared.coordinator.lost(seat));
            }
            Act::Shut => shared.standing.shut(),
            Act::Reopen => shared.standing.reopen(),
            Act::Introduce(who) => shared.standing.introduce(shared.stamp(who)),
            Act::Hold(added, who) => shared.standing.claim(&added, Some(shared.stamp(who))),
            Act::Inform(user_data) => shared.inform(user_data),
            Act::GiveUp(partitions) => shared.standing.give_up(&partitions),
            Act::Dismiss { shut } => {
                shared.standing.dismiss(shut);
                shared.inform(None);
            }
            Act::Assign(partitions, step) => {
                shared.listener.step(Step::Assign(partitions, self.done(step)));
            }
            Act::Revoke(partitions, step) => {
                shared.listener.step(Step::Revoke(partitions, self.done(step)));
            }
            Act::Lost(partitions) => {
                shared.warn(format_args!("{} partitions are lost", partitions.len()));
                shared.listener.step(Step::Lost(partitions));
            }
            Act::Failed(error) => shared.listener.step(Step::Failed(error)),
            Act::Watch(true) => {
                let plan = self.plan.take();
                self.watch = plan.map(|plan| Watch::new(&shared.cluster, &plan));
                // It may have changed between the assignor's look and now.
                self.look();
            }
            Act::Watch(false) => (self.watch, self.plan) = (None, None),
        }
    }

    fn begin(&mut self, work: impl Future<Output = Event> + Send + 'static) {
        self.main = Some(self.work.spawn(work));
    }

    fn done(&self, step: u64) -> Done {
        let mail = self.mail.clone();
        Done::new(move || {
            if let Some(mail) = mail.upgrade() {
                // Nobody hears it once the member has left.
                let _ = mail.send(Mail::Told(step));
            }
        })
    }
}

impl Shared {
    fn stamp(&self, who: Who) -> Stamp {
        let instance = self.config.instance_id.clone();
        Stamp { member: who.member, instance, generation: who.generation, by_epochs: false }
    }

    fn say_of_join(&self, answer: &Result<Joined, Trouble>) {
        match answer {
            Ok(joined) => {
                let Who { member, generation } = &joined.who;
                let role = if joined.leads { ", which leads" } else { "" };
                let protocol = &joined.protocol;
                self.info(format_args!("generation {generation} by {protocol}: {member}{role}"));
            }
            Err(Trouble { error, .. }) if error.code() == Code::MEMBER_ID_REQUIRED => {}
            Err(Trouble { error, .. }) => self.info(format_args!("not joined: {error}")),
        }
    }

    fn info(&self, text: std::fmt::Arguments<'_>) {
        let group = self.coordinator.group();
        self.cluster.logger().info("group", format_args!("group {group}: {text}"));
    }

    fn warn(&self, text: std::fmt::Arguments<'_>) {
        let group = self.coordinator.group();
        self.cluster.logger().warn("group", format_args!("group {group}: {text}"));
    }
}
