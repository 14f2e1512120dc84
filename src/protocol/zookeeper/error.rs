//! ZooKeeper's error numbers.

/// The error of a reply; 0 is success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

macro_rules! codes {
    ($($number:literal $name:ident $text:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $text] pub const $name: Self = Self($number);)*

            /// What the number means.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "an error that this version of the library does not know",
                }
            }
        }
    };
}

codes! {
    0 OK "success";
    -1 SYSTEM_ERROR "the server met an error in itself";
    -2 RUNTIME_INCONSISTENCY "the server found its data inconsistent";
    -3 DATA_INCONSISTENCY "the server found its data inconsistent";
    -4 CONNECTION_LOSS "the server lost a connection";
    -5 MARSHALLING_ERROR "the server could not read or write the request";
    -6 UNIMPLEMENTED "the server does not know the operation";
    -7 OPERATION_TIMEOUT "the operation ran out of time at the server";
    -8 BAD_ARGUMENTS "the arguments are invalid";
    -100 API_ERROR "the request was refused";
    -101 NO_NODE "the node does not exist";
    -102 NO_AUTH "not authorized for the node";
    -103 BAD_VERSION "the node's version is another one";
    -108 NO_CHILDREN_FOR_EPHEMERALS "an ephemeral node cannot have children";
    -110 NODE_EXISTS "the node exists already";
    -111 NOT_EMPTY "the node has children";
    -112 SESSION_EXPIRED "the session expired";
    -113 INVALID_CALLBACK "the callback is invalid";
    -114 INVALID_ACL "the access list is invalid";
    -115 AUTH_FAILED "the authentication failed";
    -118 SESSION_MOVED "the session moved to another server";
    -119 NOT_READ_ONLY "the server is in read-only mode";
    -120 EPHEMERAL_ON_LOCAL_SESSION "the session is local and cannot have ephemeral nodes";
    -121 NO_WATCHER "there is no such watch";
    -124 SESSION_CLOSED_REQUIRE_SASL_AUTH "the server requires SASL authentication";
    -125 QUOTA_EXCEEDED "the quota is exceeded";
    -127 THROTTLED "the server throttled the request";
}
