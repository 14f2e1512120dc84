//! One property table: name, type, range, default, doc and aliases; parser, validation and docs come from it.
