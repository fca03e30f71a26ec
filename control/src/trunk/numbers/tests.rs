use super::*;

fn german(outbound: NumberForm, inbound: NumberForm) -> NumbersConfig {
    NumbersConfig {
        country_code: Some("49".to_owned()),
        national_prefix: "0".to_owned(),
        outbound,
        inbound,
        ..NumbersConfig::default()
    }
}

fn plan(code: &str, national: &str, international: &str, outbound: NumberForm) -> NumbersConfig {
    NumbersConfig {
        country_code: Some(code.to_owned()),
        national_prefix: national.to_owned(),
        international_prefix: international.to_owned(),
        outbound,
        ..NumbersConfig::default()
    }
}

/// The user part that the carrier is told.
fn sent(config: &NumbersConfig, user: &str) -> String {
    let mut uri = Uri::parse(&format!("sip:{user}@carrier.test")).unwrap();
    to_trunk(config, &mut uri);
    uri.user.unwrap()
}

/// The user part that a browser is told.
fn told(config: &NumbersConfig, user: &str) -> String {
    let mut uri = Uri::parse(&format!("sip:{user}@carrier.test")).unwrap();
    from_trunk(config, &mut uri);
    uri.user.unwrap()
}

#[test]
fn numbers_are_written_in_the_form_that_the_carrier_wants() {
    use NumberForm::{AsIs, E164, E164WithoutPlus, National};
    let cases = [
        // As it is dialled, E.164, without plus, national.
        ("+4930123456", "+4930123456", "4930123456", "030123456"),
        ("030123456", "+4930123456", "4930123456", "030123456"),
        ("004930123456", "+4930123456", "4930123456", "030123456"),
        (
            "+33123456789",
            "+33123456789",
            "33123456789",
            "0033123456789",
        ),
        (
            "0033123456789",
            "+33123456789",
            "33123456789",
            "0033123456789",
        ),
        ("+49-30-123456", "+4930123456", "4930123456", "030123456"),
        ("(030)12.34-56", "+4930123456", "4930123456", "030123456"),
        ("030%20123456", "+4930123456", "4930123456", "030123456"),
        ("%2B4930123456", "+4930123456", "4930123456", "030123456"),
        (
            "08001234567",
            "+498001234567",
            "498001234567",
            "08001234567",
        ),
    ];
    for (dialled, e164, bare, national) in cases {
        let as_form = |form| sent(&german(form, AsIs), dialled);
        assert_eq!(as_form(E164), e164, "{dialled}");
        assert_eq!(as_form(E164WithoutPlus), bare, "{dialled}");
        assert_eq!(as_form(National), national, "{dialled}");
        assert_eq!(as_form(AsIs), dialled);
    }
}

#[test]
fn what_is_no_number_or_nobody_s_stays_as_it_is() {
    let untouched = [
        "alice",
        "bob.smith",
        "1001",
        "110",
        "112",
        "911",
        "999",
        "116117",
        "0123",
        "*21#",
        "*100",
        "#31#030123456",
        "+112",
        "00112",
        "+",
        "0",
        "00",
        "030123456x",
        "0x30123456",
        "4930123456",
        "12345678",
        "1-1-2",
        "+4930123456789012",
        "004930123456789012",
        "0301234567890123",
        "%C3%A4",
        "+49%2030a",
    ];
    for form in [
        NumberForm::E164,
        NumberForm::E164WithoutPlus,
        NumberForm::National,
    ] {
        for user in untouched {
            let config = german(form, NumberForm::AsIs);
            assert_eq!(sent(&config, user), user, "{form:?}");
            assert_eq!(
                told(&german(NumberForm::AsIs, form), user),
                user,
                "{form:?}"
            );
        }
    }
}

#[test]
fn other_numbering_plans() {
    use NumberForm::{E164, E164WithoutPlus, National};
    let america = |form| plan("1", "1", "011", form);
    assert_eq!(sent(&america(E164), "15551234567"), "+15551234567");
    assert_eq!(sent(&america(E164), "5551234567"), "+15551234567");
    assert_eq!(sent(&america(E164), "01149301234567"), "+49301234567");
    assert_eq!(sent(&america(E164), "5551234"), "5551234", "local");
    assert_eq!(sent(&america(E164), "911"), "911");
    let bare = america(E164WithoutPlus);
    assert_eq!(sent(&bare, "+15551234567"), "15551234567");
    let national = america(National);
    assert_eq!(sent(&national, "+15551234567"), "15551234567");
    assert_eq!(sent(&national, "+49301234567"), "01149301234567");
    // Without a prefix for the country.
    let spain = |form| plan("34", "", "00", form);
    assert_eq!(sent(&spain(E164), "912345678"), "+34912345678");
    assert_eq!(sent(&spain(E164), "112"), "112");
    assert_eq!(sent(&spain(E164), "116117"), "116117");
    assert_eq!(sent(&spain(National), "+34912345678"), "912345678");
    // A zero that belongs to the number.
    let italy = |form| plan("39", "", "00", form);
    assert_eq!(sent(&italy(E164), "0612345678"), "+390612345678");
    assert_eq!(sent(&italy(National), "+390612345678"), "0612345678");
}

#[test]
fn a_carrier_that_leaves_the_plus_out_is_understood_so() {
    let config = german(NumberForm::E164WithoutPlus, NumberForm::E164);
    assert_eq!(told(&config, "4930123456"), "+4930123456");
    assert_eq!(told(&config, "33123456789"), "+33123456789");
    assert_eq!(told(&config, "030123456"), "+4930123456");
    assert_eq!(told(&config, "112"), "112");
    // One that writes it is not guessed at.
    let config = german(NumberForm::E164, NumberForm::National);
    assert_eq!(told(&config, "4930123456"), "4930123456");
    assert_eq!(told(&config, "+4930123456"), "030123456");
}

#[test]
fn what_a_browser_was_told_it_can_call_back() {
    use NumberForm::{E164, E164WithoutPlus, National};
    for outbound in [E164, E164WithoutPlus, National] {
        for inbound in [E164, E164WithoutPlus, National] {
            let config = german(outbound, inbound);
            for number in ["+4930123456", "+33123456789"] {
                let from_carrier = sent(&german(outbound, NumberForm::AsIs), number);
                let shown = told(&config, &from_carrier);
                assert_eq!(
                    sent(&config, &shown),
                    from_carrier,
                    "{outbound:?} {inbound:?}"
                );
            }
        }
    }
}

#[test]
fn without_a_country_code_only_international_numbers_are_understood() {
    let config = NumbersConfig {
        outbound: NumberForm::E164WithoutPlus,
        ..NumbersConfig::default()
    };
    assert_eq!(sent(&config, "+4930123456"), "4930123456");
    assert_eq!(sent(&config, "004930123456"), "4930123456");
    assert_eq!(sent(&config, "030123456"), "030123456");
}

#[test]
fn parameters_of_the_number_and_everything_else_of_the_address_stay() {
    let config = german(NumberForm::E164, NumberForm::National);
    let from = "\"Bob\" <sip:+4930123456;verstat=TN-Validation-Passed@carrier.test:5070;a=b>;tag=1";
    let shown = name_from_trunk(&config, from, "carrier.test");
    assert_eq!(shown, from.replace("+4930", "030"));
    let odd = "sip:bob@carrier.test;tag=1";
    assert_eq!(name_from_trunk(&config, odd, "carrier.test"), odd);
    assert_eq!(name_from_trunk(&config, "<<", "carrier.test"), "<<");
    let same = "\"030\"   <sip:030123456@carrier.test>;tag=1";
    assert_eq!(name_from_trunk(&config, same, "carrier.test"), same);
}

#[test]
fn user_phone_is_set_on_numbers_only_or_taken_away() {
    let mut config = german(NumberForm::E164, NumberForm::AsIs);
    let write = |config: &NumbersConfig, text: &str| {
        let mut uri = Uri::parse(text).unwrap();
        to_trunk(config, &mut uri);
        uri.to_string()
    };
    assert_eq!(
        write(&config, "sip:+4930123456@a;user=phone"),
        "sip:+4930123456@a;user=phone"
    );
    config.user_phone = Some(true);
    assert_eq!(
        write(&config, "sip:030123456@a;x=y"),
        "sip:+4930123456@a;x=y;user=phone"
    );
    assert_eq!(write(&config, "sip:112@a"), "sip:112@a;user=phone");
    assert_eq!(write(&config, "sip:alice@a"), "sip:alice@a");
    assert_eq!(write(&config, "sip:a"), "sip:a");
    config.user_phone = Some(false);
    assert_eq!(
        write(&config, "sip:030123456@a;user=phone;x=y"),
        "sip:+4930123456@a;x=y"
    );
    config.outbound = NumberForm::AsIs;
    assert_eq!(write(&config, "sip:030-1@a;user=phone"), "sip:030-1@a");
}

#[test]
fn tel_uris_become_sip_uris_of_the_domain() {
    let cases = [
        ("tel:+49-30-123456", "sip:+4930123456@d.test;user=phone"),
        (
            "tel:7042;phone-context=+1-201-555",
            "sip:+12015557042@d.test;user=phone",
        ),
        (
            "tel:7042;phone-context=Example.com",
            "sip:7042;phone-context=example.com@d.test;user=phone",
        ),
        ("tel:112", "sip:112@d.test;user=phone"),
        (
            "tel:+1-201-555-0123;ext=12;isub=9",
            "sip:+12015550123;ext=12;isub=9@d.test;user=phone",
        ),
        (
            "tel:+12015550123;phone-context=+1",
            "sip:+12015550123@d.test;user=phone",
        ),
    ];
    for (tel, sip) in cases {
        let uri = sip_of_tel(&Uri::parse(tel).unwrap(), "d.test").unwrap();
        assert_eq!(uri.to_string(), sip);
        assert_eq!(Uri::parse(sip).unwrap(), uri, "can be read again");
    }
    let sip = Uri::parse("sip:a@b").unwrap();
    assert_eq!(sip_of_tel(&sip, "d.test"), None);
    let config = NumbersConfig::default();
    let from = name_from_trunk(&config, "\"B\" <tel:+4930123456>;tag=7", "d.test");
    assert_eq!(from, "\"B\" <sip:+4930123456@d.test;user=phone>;tag=7");
}

#[test]
fn nothing_that_can_be_parsed_is_a_problem() {
    let users = [
        "%00",
        "+%2B",
        ";;;",
        "0;",
        "+49;=",
        "%",
        "(((",
        "0000000000000000000000",
    ];
    for user in users {
        for scheme in ["sip:", "sips:", "tel:", "x:"] {
            let Some(uri) = Uri::parse(&format!("{scheme}{user}@h")) else {
                continue;
            };
            for form in [NumberForm::E164, NumberForm::National] {
                let config = german(form, form);
                to_trunk(&config, &mut uri.clone());
                from_trunk(&config, &mut uri.clone());
                let text = sip_of_tel(&uri, "h").map(|uri| uri.to_string());
                assert!(text.is_none_or(|text| text.starts_with("sip:")));
            }
        }
    }
}
