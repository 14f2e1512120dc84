//! The two macros in which every API is written down, once.

/// Declares structures.
///
/// ```text
/// /// What it is.
/// struct FetchPartition {
///     /// What it means.
///     log_start_offset: i64 = -1 => since(5).ignorable(),
/// }
/// ```
///
/// Names and types are the official ones. After the `=` stands the default, where it is not zero
/// or empty; after the `=>` what the official definition says of the field, in the words of
/// [`schema`](super::schema).
///
/// A declaration becomes a `struct` with public fields, its `Default`, and a
/// [`Structure`](super::structure::Structure): a constant table, and two lists of the fields, from
/// which everything else is made by generic code.
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

        const _: () = {
            use $crate::error::Result;
            use $crate::protocol::modern::define::default_of;
            use $crate::protocol::modern::schema::{Field, Schema};
            use $crate::protocol::modern::structure::{Filler, Structure, Visitor, inspect};

            #[allow(non_upper_case_globals, reason = "each constant is named after its field")]
            impl $name {
                $(const $field: Field = $schema.of::<$type>(stringify!($field));)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: default_of!($($default)?),)* }
                }
            }

            impl Structure for $name {
                const SCHEMA: Schema = Schema {
                    name: stringify!($name),
                    fields: &[$(Self::$field),*],
                    inspect_default: |to| inspect(&Self::default(), to),
                };

                fn visit<V: Visitor>(&self, visitor: &mut V) -> Result<()> {
                    $(visitor.field(&Self::$field, &self.$field, || default_of!($($default)?))?;)*
                    Ok(())
                }

                fn fill<F: Filler>(&mut self, filler: &mut F) -> Result<()> {
                    $(filler.field(&Self::$field, &mut self.$field)?;)*
                    Ok(())
                }
            }
        };
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
        const _: () = {
            use std::ops::RangeInclusive;
            use $crate::protocol::modern::{ApiKey, Message, Request};

            impl Message for $request {
                const KEY: ApiKey = ApiKey::$key;
                const VERSIONS: RangeInclusive<i16> = $versions;
                const FLEXIBLE: i16 = $flexible;
            }

            impl Message for $response {
                const KEY: ApiKey = ApiKey::$key;
                const VERSIONS: RangeInclusive<i16> = $versions;
                const FLEXIBLE: i16 = $flexible;
            }

            impl Request for $request {
                type Response = $response;
            }
        };
    };
}

pub(super) use {default_of, define_api, define_structs};
