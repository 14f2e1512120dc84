//! One connection, version negotiation, and one broker's connections by purpose.
