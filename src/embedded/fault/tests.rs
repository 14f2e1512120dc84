//! Which requests a fault meets, and what several add up to.

use super::*;

fn meet(table: &mut FaultTable, broker: i32, api: i16, topic: &str, partition: i32) -> Verdict {
    let names = |t: Option<&str>, p: Option<i32>| {
        t.is_none_or(|t| t == topic) && p.is_none_or(|p| p == partition)
    };
    table.meet(&Facts { broker, api, names: &names })
}

#[test]
fn a_fault_meets_the_nth_request_that_fits_and_then_as_many_as_asked() {
    let mut table = FaultTable::default();
    let fault = Fault::new(FaultKind::DisconnectBefore).api(0_i16).topic("t").partition(1);
    let id = table.inject(fault.skip(1).times(2));
    let fits = |table: &mut FaultTable| meet(table, 0, 0, "t", 1).action.is_some();
    assert!(meet(&mut table, 0, 1, "t", 1).action.is_none(), "another API");
    assert!(meet(&mut table, 0, 0, "t", 2).action.is_none(), "another partition");
    let seen: Vec<_> = (0..5).map(|_| fits(&mut table)).collect();
    assert_eq!(seen, [false, true, true, false, false]);
    assert_eq!(table.met(id), 2);
    assert!(!table.is_armed());
}

#[test]
fn faults_injected_one_after_the_other_follow_each_other() {
    let mut table = FaultTable::default();
    table.inject(Fault::new(FaultKind::Silence));
    table.inject(Fault::new(FaultKind::Garbage));
    assert_eq!(meet(&mut table, 0, 0, "t", 0).action, Some(FaultKind::Silence));
    assert_eq!(meet(&mut table, 0, 0, "t", 0).action, Some(FaultKind::Garbage));
    assert_eq!(meet(&mut table, 0, 0, "t", 0).action, None);
}

#[test]
fn an_error_code_hits_only_the_partitions_it_names() {
    let mut table = FaultTable::default();
    table.inject(Fault::new(FaultKind::ErrorCode(6)).topic("t").partition(3).applied());
    let verdict = meet(&mut table, 0, 0, "t", 3);
    assert_eq!(verdict.code("t", 3), Some((6, true)));
    assert_eq!(verdict.code("t", 4), None);
    assert_eq!(verdict.code("u", 3), None);
}

#[test]
fn what_is_withdrawn_meets_nothing_more_and_keeps_its_count() {
    let mut table = FaultTable::default();
    let id = table.inject(Fault::new(FaultKind::Silence).always());
    meet(&mut table, 0, 0, "t", 0);
    table.withdraw(Some(id));
    assert_eq!(meet(&mut table, 0, 0, "t", 0), Verdict::default());
    assert_eq!(table.met(id), 1);
    assert!(!table.is_armed());
}
