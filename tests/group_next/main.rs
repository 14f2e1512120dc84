//! Membership by KIP-848 against the embedded broker: what the coordinator and the application see.

#![cfg(feature = "embedded")]

mod changes;
mod consuming;
mod joining;
mod leaving;
mod patterns;
mod peer;
mod rig;
mod trouble;
