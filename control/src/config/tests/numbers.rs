use super::*;

fn with(keys: &str) -> String {
    CARRIER.replace("[[realm]]", &format!("[trunk.numbers]\n{keys}\n[[realm]]"))
}

#[test]
fn numbers_stay_as_they_are_unless_told_otherwise() {
    let config = load(CARRIER).unwrap();
    assert_eq!(config.trunks[0].numbers, NumbersConfig::default());
    assert!(config.warnings().is_empty());
    let keys = "country_code = \"+49\"\nnational_prefix = \"0\"\noutbound = \"e164\"\n\
                inbound = \"national\"\nuser_phone = true";
    let config = load(&with(keys)).unwrap();
    let numbers = &config.trunks[0].numbers;
    assert_eq!(numbers.country_code.as_deref(), Some("49"));
    assert_eq!(numbers.national_prefix, "0");
    assert_eq!(numbers.international_prefix, "00");
    assert_eq!(
        (numbers.outbound, numbers.inbound),
        (NumberForm::E164, NumberForm::National)
    );
    assert_eq!(numbers.user_phone, Some(true));
    let again = config.effective();
    let shown = "[trunk.numbers]\ncountry_code = \"49\"\nnational_prefix = \"0\"\n\
                 international_prefix = \"00\"\noutbound = \"e164\"\ninbound = \"national\"\n\
                 user_phone = true\n";
    assert!(again.contains(shown), "{again}");
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let cases = [
        ("country_code = \"049\"", "one to three digits"),
        ("country_code = \"Germany\"", "one to three digits"),
        ("outbound = \"national\"", "which country"),
        ("inbound = \"national\"", "which country"),
        ("national_prefix = \"0\"", "which country"),
        ("international_prefix = \"+\"", "write digits"),
        (
            "country_code = \"49\"\nnational_prefix = \"001\"",
            "all national numbers",
        ),
        ("outbound = \"e.164\"", "unknown variant"),
        ("prefix = \"0\"", "unknown"),
    ];
    for (keys, part) in cases {
        let text = refusal(&with(keys));
        assert!(text.contains(part), "{keys}: {text}");
    }
}

#[test]
fn a_policy_that_digest_of_browsers_may_not_survive_is_warned_of() {
    let config = load(&with("outbound = \"e164-without-plus\"")).unwrap();
    let warnings = config.warnings();
    assert!(warnings[0].contains("`carrier`"), "{warnings:?}");
    // Not where ringway answers by itself, nor without such browsers, nor of what comes in.
    let account = "[[trunk]]\nusername = \"u\"\npassword = \"p\"";
    let text = with("outbound = \"e164\"").replace("[[trunk]]", account);
    assert!(load(&text).unwrap().warnings().is_empty());
    let realm = "[[realm]]\ndomain = \"Example.com\"\ntrunk = \"carrier\"\n";
    let text = with("outbound = \"e164\"").replace(realm, "");
    assert!(load(&text).unwrap().warnings().is_empty());
    assert!(
        load(&with("inbound = \"e164\""))
            .unwrap()
            .warnings()
            .is_empty()
    );
}
