//! The two macros in which every API is written down, once.

/// Declares structures: official names and types, with what the official definition says of each
/// field (see [`schema`](super::schema)) after the `=>`, and the default, where it is not zero or
/// empty, after the `=`.
macro_rules! define_structs {
    ($(
        $(#[$meta:meta])*
        struct $name:ident {$(
            $(#[$field_meta:meta])*
            $field:ident: $type:ty $(= $default:expr)? => $schema:expr,
        )*}
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        #[allow(non_upper_case_globals, reason = "each constant is named after its field")]
        impl $name {
            $(const $field: $crate::protocol::modern::schema::Field =
                $schema.of::<$type>(stringify!($field));)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: default_of!($($default)?),)* }
            }
        }

        impl $crate::protocol::modern::structure::Structure for $name {
            const SCHEMA: $crate::protocol::modern::schema::Schema =
                $crate::protocol::modern::schema::Schema {
                    name: stringify!($name),
                    fields: &[$(Self::$field),*],
                    inspect_default: |to| {
                        $crate::protocol::modern::structure::inspect(&Self::default(), to);
                    },
                };

            fn visit<V: $crate::protocol::modern::structure::Visitor>(
                &self,
                visitor: &mut V,
            ) -> $crate::error::Result<()> {
                $(visitor.field(&Self::$field, &self.$field, || default_of!($($default)?))?;)*
                Ok(())
            }

            fn fill<F: $crate::protocol::modern::structure::Filler>(
                &mut self,
                filler: &mut F,
            ) -> $crate::error::Result<()> {
                $(filler.field(&Self::$field, &mut self.$field)?;)*
                Ok(())
            }
        }
    )*};
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// Declares an API: its key, all its versions, the first flexible one, and its two messages.
macro_rules! define_api {
    ($key:ident, versions $versions:expr, flexible since $flexible:expr,
     $request:ident => $response:ident) => {
        impl $crate::protocol::modern::Message for $request {
            const KEY: $crate::protocol::modern::ApiKey = $crate::protocol::modern::ApiKey::$key;
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE: i16 = $flexible;
        }

        impl $crate::protocol::modern::Message for $response {
            const KEY: $crate::protocol::modern::ApiKey = $crate::protocol::modern::ApiKey::$key;
            const VERSIONS: std::ops::RangeInclusive<i16> = $versions;
            const FLEXIBLE: i16 = $flexible;
        }

        impl $crate::protocol::modern::Request for $request {
            type Response = $response;
        }
    };
}

pub(super) use {default_of, define_api, define_structs};
