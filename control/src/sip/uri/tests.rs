use super::*;

#[test]
fn reads_all_parts_of_a_uri_and_prints_them() {
    let text = "sip:al%69ce;x=y:pw@[2001:db8::1]:5070;transport=ws;lr?Replaces=a%40b&X=";
    let uri = Uri::parse(text).unwrap();
    assert_eq!(uri.to_string(), text);
    assert_eq!(uri.user_decoded().unwrap(), "alice;x=y");
    assert_eq!(
        uri.socket_address(),
        Some("[2001:db8::1]:5070".parse().unwrap())
    );
    assert_eq!(uri.params.get("Transport"), Some("ws"));
    assert!(uri.params.has("lr"));
    assert_eq!(uri.headers.first().unwrap().1, "a%40b");
    let tel = Uri::parse("TEL:+49-30-123;phone-context=example.com").unwrap();
    assert_eq!(
        (tel.scheme.clone(), tel.user.as_deref()),
        (Scheme::Tel, Some("+49-30-123"))
    );
    assert_eq!(tel.to_string(), "tel:+49-30-123;phone-context=example.com");
    let urn = Uri::parse("urn:service:sos").unwrap();
    assert_eq!(urn.to_string(), "urn:service:sos");
}

#[test]
fn refuses_malformed_uris() {
    for text in [
        "",
        "sip",
        "sip:",
        "sip:@x",
        "sip:a@",
        "sip:a b@x",
        "sip:a@x:port",
        "sip:a@x:99999",
        "sip:a@[::1",
        "sip:a@[x]",
        "sip:a@x;=1",
        "sip:%4@x",
        "sip:a@<x>",
        "tel:",
        "tel:abc+",
        "1sip:a@x",
        "sip:a@x\ny",
        "sip::5060",
        "sip:a\"@x",
        "SIP:a b@x",
        "sip:a@x :5060",
        "sip:a@x: 5060",
        "sip:a@x:",
        "sip:a@x:5060y",
        "sip:a@x:+5060",
        "sip:a@x/y",
        "sip:a@[::1]y",
        "sip:a@x;b=\"c",
        "sip:a@x;b=\"c d\"",
        "sip:a@x?b=c d",
    ] {
        assert_eq!(Uri::parse(text), None, "{text:?}");
    }
}

#[test]
fn compares_as_the_rfc_does() {
    let same = |a: &str, b: &str| {
        Uri::parse(a)
            .unwrap()
            .is_equivalent(&Uri::parse(b).unwrap())
    };
    assert!(same(
        "sip:%61lice@atlanta.com;transport=TCP",
        "sip:alice@AtlanTa.CoM;Transport=tcp"
    ));
    assert!(same(
        "sip:carol@chicago.com;newparam=5",
        "sip:carol@chicago.com;security=on"
    ));
    assert!(!same("SIP:ALICE@AtLanTa.CoM", "sip:alice@AtLanTa.CoM"));
    assert!(!same("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"));
    assert!(!same(
        "sip:bob@biloxi.com",
        "sip:bob@biloxi.com;transport=udp"
    ));
    assert!(!same("sip:c@x;p=5", "sip:c@x;p=6"));
}

#[test]
fn reads_names_with_quotes_brackets_and_params() {
    let text = "\"A <b> \\\"c\\\"; d\" <sip:a@x;lr>;tag=1;q=0.5";
    let address = NameAddr::parse(text).unwrap();
    assert_eq!(address.to_string(), text);
    assert_eq!(address.display_name().unwrap(), "A <b> \"c\"; d");
    assert_eq!(address.tag(), Some("1"));
    let bare = NameAddr::parse("sip:a@x;tag=1").unwrap();
    assert!(bare.uri.params.is_empty() && bare.tag() == Some("1"));
    for bad in [
        "sip:a@x?y=z",
        "<sip:a@x",
        "\"open <sip:a@x>",
        "<sip:a@x> tail",
        "a, b <sip:a@x>",
    ] {
        assert_eq!(NameAddr::parse(bad), None, "{bad}");
    }
}

#[test]
fn escapes_users() {
    assert_eq!(
        Uri::sip(Some("a b@c#"), "x", None).to_string(),
        "sip:a%20b%40c%23@x"
    );
}

#[test]
fn case_a18_a_quoted_parameter_is_kept_as_it_came() {
    for text in [
        "sip:a@x;thinfo=\"QmFzZQ==\";lr",
        "sips:a@[::1]:5061;b=\"c;d\"",
        "sip:x;b=\"\"",
    ] {
        let uri = Uri::parse(text).expect("a URI");
        assert_eq!(uri.to_string(), text);
        assert!(Uri::is_valid_target(text));
    }
}
