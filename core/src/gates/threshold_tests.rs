use super::*;

fn threshold(text: &str) -> Threshold {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[test]
fn thresholds_are_read_as_people_write_them() {
    for (text, same) in [
        ("coverage >= 80", "coverage >= 80%"),
        ("coverage>=80.50 %", "coverage >= 80.5%"),
        ("  branch_coverage > 7.125", "branch_coverage > 7.125%"),
        ("complexity <= 15", "complexity <= 15"),
        ("errors == 0", "errors = 0"),
        ("tests > 0", "tests > 0"),
        ("skipped < 007", "skipped < 7"),
    ] {
        assert_eq!(threshold(text).to_string(), same);
        assert_eq!(threshold(same), threshold(text));
    }
}

#[test]
fn nonsense_is_refused_with_what_is_possible() {
    for (text, why) in [
        ("", "as in \"coverage >= 80\""),
        ("coverage", "as in \"coverage >= 80\""),
        ("coverage >=", "as in \"coverage >= 80\""),
        (">= 80", "as in \"coverage >= 80\""),
        ("coverage => 80", ">=, <=, >, <, ="),
        ("coverage != 80", "there is no metric \"coverage !\""),
        ("covrage >= 80", "there is no metric \"covrage\"; there are tests, failures,"),
        ("Coverage >= 80", "there is no metric \"Coverage\""),
        ("coverage >= eighty", "\"eighty\" is not a number"),
        ("coverage >= -1", "\"-1\" is not a number"),
        ("coverage >= 80.1234", "is not a number"),
        ("coverage >= NaN", "is not a number"),
        ("coverage >= 1e9", "is not a number"),
        ("coverage >= %", "is not a number"),
        ("coverage >= 80%%", "is not a number"),
        ("errors <= 99999999999999999999", "is not a number"),
        ("errors <= 2.5", "errors is a count"),
        ("errors <= 3%", "errors is not a percentage"),
        ("coverage >= 101", "at most 100"),
        ("coverage > 100", "no coverage can be so"),
        ("coverage <= 800", "at most 100"),
        ("errors < 0", "no errors can be so"),
    ] {
        let error = text.parse::<Threshold>().expect_err(text).to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
}

#[test]
fn a_figure_that_falls_short_is_printed_with_its_bound() {
    for (text, figure, told) in [
        ("coverage >= 80", 65.0, Some("Coverage 65% < 80%")),
        ("coverage >= 80", 79.999, Some("Coverage 79.99% < 80%")),
        ("coverage >= 80", 80.0, None),
        ("coverage >= 82.3", 82_300.0 / 1000.0, None),
        ("coverage > 80", 80.0, Some("Coverage 80% <= 80%")),
        ("branch_coverage >= 66.67", 200.0 / 3.0, Some("Branch coverage 66.66% < 66.67%")),
        ("complexity <= 15", 15.001, Some("Complexity 15.01 > 15")),
        ("complexity <= 15", 15.000_000_001, Some("Complexity 15.000000001 > 15")),
        ("complexity < 15", 15.0, Some("Complexity 15 >= 15")),
        ("errors = 0", 3.0, Some("Errors 3 > 0")),
        ("tests = 3", 2.0, Some("Tests 2 < 3")),
        ("tests > 0", 0.0, Some("Tests 0 <= 0")),
        ("tests > 0", f64::INFINITY, None),
        ("coverage >= 0", f64::NAN, Some("Coverage is not a number")),
    ] {
        assert_eq!(threshold(text).shortfall(figure).as_deref(), told, "{text} of {figure}");
    }
}
