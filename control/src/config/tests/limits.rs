use super::*;

fn with(keys: &str) -> String {
    CARRIER.replace("[[trunk]]\n", &format!("[[trunk]]\n{keys}\n"))
}

#[test]
fn trunks_have_no_limits_unless_they_are_given() {
    let limits = load(CARRIER).unwrap().trunks[0].limits;
    assert_eq!(limits, LimitsConfig::default());
    let config = load(&with("calls_max = 30\ncalls_per_second = 4")).unwrap();
    assert_eq!(config.trunks[0].limits.calls_max, Some(30));
    assert_eq!(config.trunks[0].limits.calls_per_second, Some(4));
    let effective = config.effective();
    assert!(effective.contains("calls_max = 30\ncalls_per_second = 4\n"));
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    assert!(refusal(&with("calls_max = 0")).contains("at least 1"));
    assert!(refusal(&with("calls_per_second = 0")).contains("at least 1"));
    assert!(refusal(&with("calls_max = 20001")).contains("20000"));
}
