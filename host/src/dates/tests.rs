use super::*;

fn shown(written: Written) -> String {
    match written {
        Written::Local(time) | Written::Moment(time) => text(time),
    }
}

#[test]
fn microseconds_after_a_moment_stay_below_the_next_one() {
    let moment = now();
    assert!(micros_after(moment) <= 999);
    assert_eq!(micros_after(moment - 10), 999);
    assert_eq!(micros_after(moment + 60_000), 0);
}

#[test]
fn j4_dates_are_shown_with_six_digits() {
    assert_eq!(text(0), "1970-01-01 00:00:00.000000");
    assert_eq!(text(1_768_472_431_456), "2026-01-15 10:20:31.456000");
    assert_eq!(text(-1), "1969-12-31 23:59:59.999000");
    let _ = text(i64::MIN);
    let _ = text(i64::MAX);
}

#[test]
fn d3_the_strict_reader() {
    let cases = [
        (
            "2026-01-15 10:20:30.123456",
            Some("2026-01-15 10:20:30.123000"),
        ),
        ("2026-01-15 10:20:30.1", Some("2026-01-15 10:20:30.100000")),
        ("2026-01-15 10:20:30", Some("2026-01-15 10:20:30.000000")),
        ("2026-01-15T10:20:30.5Z", Some("2026-01-15 10:20:30.500000")),
        (
            "2026-01-15T10:20:30+02:00",
            Some("2026-01-15 08:20:30.000000"),
        ),
        (
            "2026-01-15 10:20:30.000000 -0500",
            Some("2026-01-15 15:20:30.000000"),
        ),
        (
            " 2026-01-15 10:20:30.0 ",
            Some("2026-01-15 10:20:30.000000"),
        ),
        ("2026-01-15", None),
        ("2026-01-15 10:20", None),
        ("2026-13-15 10:20:30.0", None),
        ("2026-02-29 10:20:30.0", None),
        ("2026-01-15 24:00:00.0", None),
        ("2026-01-15 10:20:30.1234567", None),
        ("yesterday", None),
        ("", None),
    ];
    for (given, wanted) in cases {
        assert_eq!(strict(given).map(shown).as_deref(), wanted, "{given}");
    }
}

#[test]
fn d5_the_lenient_reader() {
    let cases = [
        ("2020-03-04", Some("2020-03-04 00:00:00.000000")),
        ("2020-03-04 05:06", Some("2020-03-04 05:06:00.000000")),
        ("2020-03-04T05:06:07", Some("2020-03-04 05:06:07.000000")),
        (
            "2020-03-04 05:06:07.891234567",
            Some("2020-03-04 05:06:07.891000"),
        ),
        ("2020-03-04T05:06:07Z", Some("2020-03-04 05:06:07.000000")),
        (
            "2020-03-04T05:06:07+01:00",
            Some("2020-03-04 04:06:07.000000"),
        ),
        (
            "2020-03-04T00:00:00 00:00",
            Some("2020-03-04 00:00:00.000000"),
        ),
        (
            "2020-03-04T05:06:07 01:00",
            Some("2020-03-04 04:06:07.000000"),
        ),
        (
            "2020-03-04T05:06:07-0130",
            Some("2020-03-04 06:36:07.000000"),
        ),
        ("20200304", Some("2020-03-04 00:00:00.000000")),
        ("20200304T050607Z", Some("2020-03-04 05:06:07.000000")),
        ("2020-03", Some("2020-03-01 00:00:00.000000")),
        ("2020", Some("2020-01-01 00:00:00.000000")),
        ("2020/03/04", Some("2020-03-04 00:00:00.000000")),
        ("03/04/2020", Some("2020-03-04 00:00:00.000000")),
        ("25/04/2020", Some("2020-04-25 00:00:00.000000")),
        ("3/4/2020 5:06 PM", Some("2020-03-04 17:06:00.000000")),
        ("3/4/2020 12:06 am", Some("2020-03-04 00:06:00.000000")),
        ("4 Mar 2020", Some("2020-03-04 00:00:00.000000")),
        ("04-March-2020", Some("2020-03-04 00:00:00.000000")),
        ("Mar 4, 2020", Some("2020-03-04 00:00:00.000000")),
        (
            "March 4th, 2020 at 5:06",
            Some("2020-03-04 05:06:00.000000"),
        ),
        ("Mar 2020", Some("2020-03-01 00:00:00.000000")),
        (
            "Wed, 04 Mar 2020 05:06:07 +0000",
            Some("2020-03-04 05:06:07.000000"),
        ),
        (
            "Wed, 4 Mar 2020 05:06:07 -0500 (EST)",
            Some("2020-03-04 10:06:07.000000"),
        ),
        (
            "4 Mar 2020 05:06:07 GMT",
            Some("2020-03-04 05:06:07.000000"),
        ),
        (
            "Wed Mar  4 05:06:07 2020",
            Some("2020-03-04 05:06:07.000000"),
        ),
        ("0001-01-01", Some("0001-01-01 00:00:00.000000")),
        ("9999-12-31", Some("9999-12-31 00:00:00.000000")),
        ("1850-06-01", Some("1850-06-01 00:00:00.000000")),
        ("0000-01-01", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2020-02-30", None),
        ("2020-13", None),
        ("10:00", None),
        ("x", None),
        ("", None),
        ("31 Foo 2020", None),
        ("٢٠٢٠-٠٣-٠٤", None),
    ];
    for (given, wanted) in cases {
        assert_eq!(lenient(given).map(shown).as_deref(), wanted, "{given}");
    }
}

#[test]
fn d6_the_forms_of_the_original_are_read_alike_by_both_readers() {
    for given in ["2026-01-15 10:20:30.123456", "2026-01-15 10:20:30"] {
        assert!(strict(given).is_some(), "{given}");
        assert_eq!(strict(given), lenient(given), "{given}");
    }
}

#[test]
fn d1_d7_dates_are_utc_and_all_years_can_be_shown() {
    for (given, wanted) in [
        ("0001-01-01 00:00:00.0", "0001-01-01 00:00:00.000000"),
        ("1899-12-31 23:59:59.999", "1899-12-31 23:59:59.999000"),
        ("9999-12-31T23:59:59+00:00", "9999-12-31 23:59:59.000000"),
        ("2026-01-15 10:20:30 +02:00", "2026-01-15 08:20:30.000000"),
    ] {
        assert_eq!(strict(given).map(shown).as_deref(), Some(wanted), "{given}");
    }
}

#[test]
fn d1_a_date_with_a_zone_is_a_moment() {
    for (given, has_zone) in [
        ("2026-01-15 10:20:30.5", false),
        ("2026-01-15T10:20:30", false),
        ("2026-01-15T10:20:30Z", true),
        ("2026-01-15 10:20:30 +00:00", true),
        ("2026-01-15 10:20:30.000000 -0500", true),
    ] {
        for written in [strict(given), lenient(given)] {
            let is_moment = matches!(written, Some(Written::Moment(_)));
            assert_eq!(is_moment, has_zone, "{given}");
        }
    }
    for (given, has_zone) in [
        ("2026", false),
        ("20260115", false),
        ("20260115T102030", false),
        ("20260115T102030Z", true),
        ("3/4/2020 5:06 PM", false),
        ("3/4/2020 5:06 PM EST", true),
        ("Wed Mar  4 05:06:07 2020", false),
        ("Wed, 04 Mar 2020 05:06:07 +0000", true),
        ("2020-03-04T00:00:00 00:00", true),
    ] {
        let is_moment = matches!(lenient(given), Some(Written::Moment(_)));
        assert_eq!(is_moment, has_zone, "{given}");
    }
}

proptest::proptest! {
    #[test]
    fn d4_what_is_shown_is_read_again(milliseconds in -62_135_596_800_000_i64..253_402_300_799_999) {
        let (shown, written) = (text(milliseconds), Some(Written::Local(milliseconds)));
        proptest::prop_assert_eq!(strict(&shown), written);
        proptest::prop_assert_eq!(lenient(&shown), written);
    }

    #[test]
    fn d5_no_text_makes_the_readers_fail(given in "\\PC{0,40}") {
        let _ = (strict(&given), lenient(&given));
    }
}
