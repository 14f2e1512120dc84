//! Any valid message of every API and version, made from the schema, survives decode and encode.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use samsa::Code;

mod reflection;
use reflection::generate::generate;
use reflection::{Codec, codecs};

/// Runs a property over messages of every API and version.
fn for_every_version(property: impl Fn(&Codec, i16, &[u8]) -> Result<(), TestCaseError>) {
    for codec in codecs() {
        for version in codec.versions() {
            let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
            let outcome = TestRunner::new(config)
                .run(&vec(any::<u8>(), 0..300), |tape| property(&codec, version, &tape));
            outcome.unwrap_or_else(|e| panic!("{} version {version}: {e}", codec.name));
        }
    }
}

fn fail(what: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(what.to_string())
}

#[test]
fn every_message_is_encoded_to_the_bytes_it_was_decoded_from() {
    for_every_version(|codec, version, tape| {
        let bytes = Bytes::from(generate(codec, version, tape, false).bytes);
        let left = (codec.decode)(version, bytes.clone()).map_err(fail)?;
        let again = (codec.recode)(version, bytes.clone(), version).map_err(fail)?;
        proptest::prop_assert_eq!(left, 0);
        proptest::prop_assert_eq!(Bytes::from(again), bytes);
        Ok(())
    });
}

#[test]
fn rule_2_9_unknown_tagged_fields_are_skipped_by_their_size() {
    for_every_version(|codec, version, tape| {
        let bytes = Bytes::from(generate(codec, version, tape, true).bytes);
        let known = (codec.recode)(version, bytes.clone(), version).map_err(fail)?;
        let left = (codec.decode)(version, bytes.clone()).map_err(fail)?;
        let with = (codec.json)(version, bytes.clone()).map_err(fail)?;
        let without = (codec.json)(version, Bytes::from(known.clone())).map_err(fail)?;
        proptest::prop_assert_eq!(left, 0);
        proptest::prop_assert_eq!(with, without);
        proptest::prop_assert!(known.len() <= bytes.len());
        Ok(())
    });
}

#[test]
fn rule_2_8_every_message_at_every_other_version_is_expressed_or_refused() {
    for_every_version(|codec, version, tape| {
        let bytes = Bytes::from(generate(codec, version, tape, false).bytes);
        for other in codec.versions() {
            match (codec.recode)(version, bytes.clone(), other) {
                Ok(again) => {
                    let left = (codec.decode)(other, Bytes::from(again)).map_err(fail)?;
                    proptest::prop_assert_eq!(left, 0);
                }
                Err(error) => {
                    proptest::prop_assert_ne!(version, other);
                    proptest::prop_assert_eq!(error.code(), Code::UNSUPPORTED_FEATURE);
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_version_that_is_not_defined_is_refused_in_both_directions() {
    for codec in codecs() {
        for version in [i16::MIN, -1, codec.last + 1, i16::MAX] {
            let decoded = (codec.decode)(version, Bytes::from_static(&[0; 64]));
            assert_eq!(decoded.expect_err(codec.name).code(), Code::UNSUPPORTED_FEATURE);
            let encoded = (codec.default)(version);
            assert_eq!(encoded.expect_err(codec.name).code(), Code::UNSUPPORTED_FEATURE);
        }
    }
}
