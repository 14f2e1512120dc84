//! Which broker generation an embedded broker plays, so that negotiation can be tested without one.

/// The broker generation to play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// Every version that the library's protocol definitions hold, advertised exactly.
    #[default]
    Newest,
    /// Closes the connection on ApiVersions and on any API it does not know.
    V0_8_2,
    /// Silent on ApiVersions and on any API it does not know; answers what is pipelined behind it.
    V0_9_0,
    /// ApiVersions v0 only; a newer one gets error 35 in the layout of v0 with an empty list.
    V0_10_0,
    /// As 0.10.0, with the versions of 0.10.2.
    V0_10_2,
    /// The first with record batches (magic 2) and producer ids.
    V0_11_0,
    /// The versions of 1.1.
    V1_1,
    /// The first here with flexible versions.
    V2_8,
    /// The last that speaks to every client since 0.8.
    V3_9,
    /// Advertises Produce from version 0 as 4.x does, and closes on versions 0 to 2 as it does too.
    V4_3,
}
