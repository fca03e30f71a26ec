//! RFC 4475, in the order of its sections. The fixtures are the files of its appendix A.

use bytes::Bytes;
use control::sip::framing::FrameError;
use control::sip::{Contact, HeaderName, Message, Method, NameAddr, ParseError, Scheme, Uri, Via};

use crate::subject::{self, fixture, stream};

const FOLDER: &str = "rfc4475";

fn accepted(name: &str) -> Message {
    subject::accept(name, &fixture(FOLDER, name))
}

/// Returns the error, having checked the status and whether the request can be answered with it.
fn refused(name: &str, status: u16) -> ParseError {
    let bytes = fixture(FOLDER, name);
    let error = subject::refuse(name, &bytes);
    assert_eq!(error.status(), status, "{name}: {error}");
    error
}

fn is_answerable(name: &str) -> bool {
    Message::salvage(fixture(FOLDER, name)).is_some()
}

fn address(message: &Message, name: HeaderName) -> NameAddr {
    NameAddr::parse(message.header(name).unwrap()).unwrap()
}

fn target(message: &Message) -> Uri {
    Uri::parse(message.request_uri().unwrap()).unwrap()
}

fn is_value_of(error: &ParseError, wanted: HeaderName) -> bool {
    matches!(error, ParseError::HeaderValue { name, .. } if *name == wanted)
}

#[test]
fn every_message_of_the_rfc_has_a_test() {
    let names = subject::names(FOLDER);
    assert_eq!(names.len(), 49);
    for name in names {
        let call = format!("(\"{name}\"");
        assert!(include_str!("rfc4475.rs").contains(&call), "{name}");
    }
}

// Section 3.1.1: valid messages.

#[test]
fn a_short_tortuous_invite() {
    let message = accepted("wsinv");
    assert_eq!(message.to_tag(), Some("1918181833n"));
    assert_eq!(message.from_tag(), Some("98asjd8"));
    let from = address(&message, HeaderName::From).display_name();
    assert_eq!(from.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(message.cseq().unwrap().to_string(), "9 INVITE");
    assert_eq!(message.header(HeaderName::MaxForwards), Some("0068"));
    assert_eq!(message.header(HeaderName::Subject), Some(""));
    let folded = message.header("newfangledheader");
    assert_eq!(folded, Some("newfangled value continued newfangled value"));
    assert_eq!(
        message.header("UnknownHeaderWithUnusualValue"),
        Some(";;,,;;,;")
    );
    let vias: Vec<Via> = message
        .values(HeaderName::Via)
        .map(|value| Via::parse(value).unwrap())
        .collect();
    let hosts: Vec<&str> = vias.iter().map(|via| via.host.as_str()).collect();
    assert_eq!(
        hosts,
        ["192.0.2.2", "spindle.example.com", "192.168.255.111"]
    );
    let branches: Vec<&str> = vias.iter().map(|via| via.branch().unwrap()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    let contact = address(&message, HeaderName::Contact);
    assert_eq!(
        contact.display_name().as_deref(),
        Some("Quoted string \"\"")
    );
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.params.get("q"), Some("0.33"));
    assert!(contact.params.has("secondparam"));
    assert!(target(&message).params.has("unknownparam"));
    let route = address(&message, HeaderName::Route).uri;
    assert!(route.params.has("lr") && route.params.has("unknown-no-value"));
    assert_eq!(route.params.get("unknownwith"), Some("value"));
    assert_eq!(message.body().len(), 150);
}

#[test]
fn the_wide_range_of_valid_characters() {
    let message = accepted("intmeth");
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method(), Method::from(method));
    assert_eq!(message.cseq().unwrap().method.as_str(), method);
    let uri = target(&message);
    assert_eq!(uri.host, "example.com");
    assert_eq!(
        uri.user.as_deref(),
        Some("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        uri.password.as_deref(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    let to = address(&message, HeaderName::To);
    assert_eq!(
        to.display_name().as_deref(),
        Some("BEL:\u{7} NUL:\0 DEL:\u{7f}")
    );
    let from = address(&message, HeaderName::From);
    assert_eq!(
        from.display.as_deref(),
        Some("token1~` token2'+_ token3*%!.-")
    );
    assert_eq!(from.params.get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(
        message.call_id(),
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    );
    assert_eq!(
        message.header("extensionHeader-!.%*+_`'~"),
        Some("\u{feff}大停電")
    );
}

#[test]
fn percent_escapes() {
    let message = accepted("esc01");
    assert_eq!(
        target(&message).user_decoded().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(
        target(&message).scheme,
        Scheme::Sip,
        "an escaped scheme is none"
    );
    assert_eq!(
        address(&message, HeaderName::To)
            .uri
            .user_decoded()
            .as_deref(),
        Some("user")
    );
    let from = address(&message, HeaderName::From).uri;
    assert_eq!(from.user_decoded().as_deref(), Some("I have spaces"));
    let contact = address(&message, HeaderName::Contact).uri;
    assert_eq!(contact.user_decoded().as_deref(), Some("caller"));
    assert_eq!(contact.params.get("%6C%72"), Some(""));
    assert_eq!(contact.params.get("n%61me"), Some("v%61lue%25%34%31"));
}

#[test]
fn escaped_nulls_in_uris() {
    let message = accepted("escnull");
    let to = address(&message, HeaderName::To).uri;
    assert_eq!(to.user_decoded().as_deref(), Some("null-\0-null"));
    let users: Vec<_> = Contact::all(&message)
        .unwrap()
        .into_iter()
        .map(|contact| match contact {
            Contact::Address(address) => address.uri.user_decoded().unwrap(),
            Contact::Star => panic!("no star"),
        })
        .collect();
    assert_eq!(users, ["\0", "\0\0"], "two bindings");
}

#[test]
fn percent_signs_that_are_no_escapes() {
    let message = accepted("esc02");
    assert_eq!(
        message.method(),
        Method::from("RE%47IST%45R"),
        "not REGISTER"
    );
    let to = address(&message, HeaderName::To);
    assert_eq!(to.display_name().as_deref(), Some("%Z%45"));
    assert_eq!(
        Via::top(&message).unwrap().branch(),
        Some("z9hG4bK209%fzsnel234")
    );
    assert_eq!(
        Contact::all(&message).unwrap().len(),
        2,
        "C%6Fntact is no Contact"
    );
    assert_eq!(
        message.header("C%6Fntact"),
        Some("<sip:alias2@host2.example.com>")
    );
}

#[test]
fn no_space_between_display_name_and_bracket() {
    let message = accepted("lwsdisp");
    let from = address(&message, HeaderName::From);
    assert_eq!(from.display.as_deref(), Some("caller"));
    assert_eq!(from.uri.to_string(), "sip:caller@example.com");
}

#[test]
fn long_values() {
    let message = accepted("longreq");
    let to = address(&message, HeaderName::To);
    assert!(
        to.display_name()
            .unwrap()
            .starts_with("I have a user name of extreme")
    );
    assert_eq!(to.uri.port, Some(6000));
    assert_eq!(message.values(HeaderName::Via).count(), 34);
    let top = Via::top(&message).unwrap();
    assert_eq!(
        (top.host.as_str(), top.branch()),
        ("sip33.example.com", None)
    );
    let last = message
        .values(HeaderName::Via)
        .last()
        .and_then(Via::parse)
        .unwrap();
    assert!(last.branch().unwrap().ends_with("longbranchvalue"));
    assert!(address(&message, HeaderName::From).tag().unwrap().len() > 100);
    assert_eq!(message.body().len(), 150);
}

#[test]
fn trailing_octets_in_a_datagram() {
    let message = accepted("dblreq");
    assert_eq!(message.method(), Method::Register);
    assert_eq!(message.body().len(), 0, "what follows is thrown away");
    // On a stream, what follows is the next message. Its own Content-Length is one byte short, so
    // that what comes then cannot be read.
    let (messages, _) = stream(&fixture(FOLDER, "dblreq"));
    assert_eq!(messages.len(), 2);
    let second = Message::parse(messages[1].clone()).unwrap();
    assert_eq!(
        (second.method(), second.body().len()),
        (Method::Invite, 150)
    );
}

#[test]
fn semicolons_in_the_user_part() {
    let message = accepted("semiuri");
    let uri = target(&message);
    assert_eq!(
        uri.user_decoded().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(
        (uri.host.as_str(), uri.params.is_empty()),
        ("example.com", true)
    );
    assert_eq!(message.values(HeaderName::Accept).count(), 6, "folded");
}

#[test]
fn varied_and_unknown_transports() {
    let message = accepted("transports");
    let transports: Vec<String> = message
        .values(HeaderName::Via)
        .map(|via| Via::parse(via).unwrap().transport)
        .collect();
    assert_eq!(transports, ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]);
}

#[test]
fn a_multipart_body() {
    let message = accepted("mpart01");
    assert_eq!(message.method().as_str(), "MESSAGE");
    let body = message.body();
    assert_eq!(body.len(), 553);
    assert!(
        body.starts_with(b"--7a9cbec02ceef655\r\n") && body.contains(&0),
        "binary"
    );
    let identity = message.header(HeaderName::Identity).unwrap();
    assert!(identity.starts_with("r5mwreLuyDRYBi") && identity.ends_with("hkMWYUA="));
}

#[test]
fn an_unusual_reason_phrase() {
    let message = accepted("unreason");
    assert_eq!(message.status(), Some(200));
    let reason = "= 2**3 * 5**2 но сто девяносто девять - простое";
    assert_eq!(message.reason(), Some(reason));
}

#[test]
fn an_empty_reason_phrase() {
    let message = accepted("noreason");
    assert_eq!((message.status(), message.reason()), (Some(100), Some("")));
    // "A liberal receiver would accept it anyway" without the space; the space is written then.
    let bytes = fixture(FOLDER, "noreason");
    let spaceless = [b"SIP/2.0 100", &bytes["SIP/2.0 100 ".len()..]].concat();
    let read = Message::parse(Bytes::from(spaceless)).unwrap();
    assert_eq!(read.to_bytes(), bytes);
}

// Section 3.1.2: invalid messages.

#[test]
fn extraneous_separators() {
    let error = refused("badinv01", 400);
    assert!(is_value_of(&error, HeaderName::Via));
    // The Via cannot be read, so that nobody knows where an answer would go.
    assert!(!is_answerable("badinv01"));
}

#[test]
fn content_length_larger_than_the_message() {
    let error = refused("clerr", 400);
    assert!(matches!(error, ParseError::ContentLength { .. }) && is_answerable("clerr"));
    let (messages, error) = stream(&fixture(FOLDER, "clerr"));
    assert_eq!(
        (messages.len(), error),
        (0, None),
        "a stream waits for the rest"
    );
}

#[test]
fn negative_content_length() {
    let error = refused("ncl", 400);
    assert!(matches!(error, ParseError::ContentLength { .. }) && is_answerable("ncl"));
    let (_, error) = stream(&fixture(FOLDER, "ncl"));
    assert!(
        matches!(error, Some(FrameError::Length { .. })),
        "a stream is closed"
    );
}

#[test]
fn request_numbers_out_of_range() {
    let error = refused("scalar02", 400);
    assert!(is_value_of(&error, HeaderName::CSeq) && is_answerable("scalar02"));
}

#[test]
fn response_numbers_out_of_range() {
    // A response with an error is dropped.
    let error = refused("scalarlg", 400);
    assert!(is_value_of(&error, HeaderName::CSeq) && !is_answerable("scalarlg"));
}

#[test]
fn an_unterminated_quoted_string() {
    let error = refused("quotbal", 400);
    assert!(is_value_of(&error, HeaderName::To) && is_answerable("quotbal"));
}

#[test]
fn brackets_around_the_request_uri() {
    // "It is reasonable always to reject a request with this error".
    let error = refused("ltgtruri", 400);
    assert!(matches!(error, ParseError::RequestUri { offset: 7 }) && is_answerable("ltgtruri"));
}

#[test]
fn a_space_in_the_request_uri() {
    let error = refused("lwsruri", 400);
    assert!(matches!(error, ParseError::StartLine { .. }) && is_answerable("lwsruri"));
}

#[test]
fn several_spaces_in_the_request_line() {
    // "It is acceptable to reject this request as malformed": so do we, here and below.
    assert!(matches!(
        refused("lwsstart", 400),
        ParseError::StartLine { .. }
    ));
}

#[test]
fn spaces_at_the_end_of_the_request_line() {
    let error = refused("trws", 400);
    assert!(matches!(error, ParseError::StartLine { .. }) && is_answerable("trws"));
}

#[test]
fn escaped_headers_in_the_request_uri() {
    // They must not be forwarded, so that the request is refused, as the RFC accepts.
    let error = refused("escruri", 400);
    assert!(matches!(error, ParseError::RequestUri { .. }) && is_answerable("escruri"));
}

#[test]
fn a_time_zone_other_than_gmt() {
    // "An element shouldn't do that unless the contents of the Date header field were actually
    // important to its processing": to us they are not.
    let message = accepted("baddate");
    assert_eq!(
        message.header(HeaderName::Date),
        Some("Fri, 01 Jan 2010 16:00:00 EST")
    );
}

#[test]
fn a_contact_with_headers_outside_of_brackets() {
    // A proxy passes the Contact on as it came; a registrar reads it and answers 400.
    let message = accepted("regbadct");
    assert_eq!(Contact::all(&message), None);
}

#[test]
fn spaces_within_an_address() {
    let error = refused("badaspec", 400);
    assert!(is_value_of(&error, HeaderName::To) && is_answerable("badaspec"));
}

#[test]
fn commas_in_a_display_name_without_quotes() {
    // The file of the RFC lacks the empty line behind the header, which is borne: the display name
    // is to blame, with the line and without.
    let error = refused("baddn", 400);
    assert!(is_value_of(&error, HeaderName::From) && is_answerable("baddn"));
    let whole = [fixture(FOLDER, "baddn").as_ref(), b"\r\n"].concat();
    let error = subject::refuse("baddn", &Bytes::from(whole));
    assert!(
        is_value_of(&error, HeaderName::From) && error.status() == 400,
        "{error}"
    );
}

#[test]
fn an_unknown_protocol_version() {
    assert!(matches!(
        refused("badvers", 505),
        ParseError::Version { offset: 0 }
    ));
    assert!(
        is_answerable("badvers"),
        "although its Via has that version too"
    );
}

#[test]
fn cseq_with_another_method() {
    let error = refused("mismatch01", 400);
    assert!(matches!(
        error,
        ParseError::MethodMismatch { is_known: true, .. }
    ));
    assert!(is_answerable("mismatch01"));
}

#[test]
fn cseq_with_another_method_than_an_unknown_one() {
    // 501 has "better future-proof characteristics" than 400.
    let error = refused("mismatch02", 501);
    assert!(matches!(
        error,
        ParseError::MethodMismatch {
            is_known: false,
            ..
        }
    ));
    assert!(is_answerable("mismatch02"));
}

#[test]
fn an_overlarge_status() {
    let error = refused("bigcode", 400);
    assert!(matches!(error, ParseError::StartLine { .. }) && !is_answerable("bigcode"));
}

// Section 3.2: transactions.

#[test]
fn a_branch_that_is_nothing_but_the_magic_cookie() {
    // Accepted: the transaction layer recognises the request as RFC 2543 does.
    let message = accepted("badbranch");
    assert_eq!(Via::top(&message).unwrap().branch(), Some("z9hG4bK"));
}

// Section 3.3: the layers above.

#[test]
fn missing_mandatory_headers() {
    // "Ideally, it will respond with a 400": without Call-ID, From and To no client could match
    // that answer to its request, so none is sent.
    let error = refused("insuf", 400);
    assert_eq!(
        error,
        ParseError::MissingHeader {
            name: HeaderName::From
        }
    );
    assert!(!is_answerable("insuf"));
}

#[test]
fn an_unknown_scheme_in_the_request_uri() {
    let uri = target(&accepted("unkscm"));
    assert_eq!(
        uri.scheme,
        Scheme::Other("nobodyknowsthisscheme".to_owned()),
        "for a 416"
    );
    assert_eq!(uri.host, "");
}

#[test]
fn an_atypical_scheme_in_the_request_uri() {
    let uri = target(&accepted("novelsc"));
    assert_eq!(
        uri.scheme,
        Scheme::Other("soap.beep".to_owned()),
        "for a 416"
    );
    assert_eq!(uri.to_string(), "soap.beep://192.0.2.103:3002");
}

#[test]
fn unknown_schemes_in_headers() {
    let message = accepted("unksm2");
    assert_eq!(
        address(&message, HeaderName::To).uri.to_string(),
        "isbn:2983792873"
    );
    assert_eq!(
        address(&message, HeaderName::From).uri.to_string(),
        "http://www.example.com"
    );
    assert_eq!(
        address(&message, HeaderName::Contact).uri.to_string(),
        "name:John_Smith"
    );
}

#[test]
fn require_and_proxy_require() {
    let message = accepted("bext01");
    let required: Vec<&str> = message.values(HeaderName::Require).collect();
    assert_eq!(
        required,
        ["nothingSupportsThis", "nothingSupportsThisEither"]
    );
    let of_proxies: Vec<&str> = message.values(HeaderName::ProxyRequire).collect();
    assert_eq!(
        of_proxies,
        ["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]
    );
}

#[test]
fn an_unknown_content_type() {
    let message = accepted("invut");
    assert_eq!(
        message.header(HeaderName::ContentType),
        Some("application/unknownformat")
    );
    assert_eq!(
        message.body().as_ref(),
        b"<audio>\r\n <pcmu port=\"443\"/>\r\n</audio>\r\n"
    );
}

#[test]
fn an_unknown_authorization_scheme() {
    let message = accepted("regaut01");
    let value = message.header(HeaderName::Authorization);
    assert_eq!(
        value,
        Some("NoOneKnowsThisScheme opaque-data=here"),
        "to be passed on"
    );
}

#[test]
fn several_values_where_one_is_required() {
    let error = refused("multi01", 400);
    assert!(matches!(
        error,
        ParseError::RepeatedHeader {
            name: HeaderName::CSeq,
            ..
        }
    ));
    assert!(is_answerable("multi01"));
}

#[test]
fn several_content_lengths() {
    let error = refused("mcl01", 400);
    assert!(matches!(error, ParseError::ContentLength { .. }) && is_answerable("mcl01"));
    let (_, error) = stream(&fixture(FOLDER, "mcl01"));
    assert!(
        matches!(error, Some(FrameError::SecondLength { .. })),
        "a stream is closed"
    );
}

#[test]
fn a_response_with_a_broadcast_via() {
    // Well formed. The transaction layer takes responses by their top Via only and sends them to
    // nobody's second one.
    let message = accepted("bcast");
    let second = message
        .values(HeaderName::Via)
        .nth(1)
        .and_then(Via::parse)
        .unwrap();
    assert_eq!(second.host, "255.255.255.255");
}

#[test]
fn max_forwards_of_zero() {
    assert_eq!(
        accepted("zeromf").header(HeaderName::MaxForwards),
        Some("0")
    );
}

#[test]
fn a_contact_parameter() {
    let contact = address(&accepted("cparam01"), HeaderName::Contact);
    assert!(contact.params.has("unknownparam") && contact.uri.params.is_empty());
}

#[test]
fn a_uri_parameter() {
    let contact = address(&accepted("cparam02"), HeaderName::Contact);
    assert!(contact.uri.params.has("unknownparam") && contact.params.is_empty());
}

#[test]
fn a_contact_with_headers() {
    let contact = address(&accepted("regescrt"), HeaderName::Contact);
    let header = ("Route".to_owned(), "%3Csip:sip.example.com%3E".to_owned());
    assert_eq!(contact.uri.headers, [header]);
}

#[test]
fn an_accept_without_session_descriptions() {
    let message = accepted("sdp01");
    assert_eq!(
        message.header(HeaderName::Accept),
        Some("text/nobodyKnowsThis")
    );
}

// Section 3.4: backward compatibility.

#[test]
fn an_invite_as_in_rfc_2543() {
    let message = accepted("inv2543");
    assert_eq!(Via::top(&message).unwrap().branch(), None);
    assert_eq!(
        (message.from_tag(), message.header(HeaderName::MaxForwards)),
        (None, None)
    );
    assert_eq!(
        message.body().len(),
        105,
        "all octets behind the empty line"
    );
    let (_, error) = stream(&fixture(FOLDER, "inv2543"));
    assert_eq!(
        error,
        Some(FrameError::NoLength),
        "on a stream nothing says where it ends"
    );
}
