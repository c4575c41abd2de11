//! A scenario's results: a few lines for people, one JSON object for programs.

use serde_json::{Map, Value, json};

/// One number.
#[derive(Clone, Debug)]
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
}

/// The results of one scenario.
#[derive(Clone, Debug)]
pub struct Report {
    scenario: &'static str,
    what: String,
    figures: Vec<Figure>,
    series: Vec<(&'static str, Vec<Vec<Figure>>)>,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
        Figure { name: name.into(), value, unit }
    }

    /// The same number, for a part of the scenario.
    pub fn of(self, whose: &str) -> Figure {
        Figure { name: format!("{} {whose}", self.name), ..self }
    }
}

impl Report {
    pub fn new(scenario: &'static str, what: String, figures: Vec<Figure>) -> Report {
        Report { scenario, what, figures, series: Vec::new() }
    }

    /// And the figures of one thing at several numbers of it, which each point names first.
    pub fn with(mut self, name: &'static str, points: Vec<Vec<Figure>>) -> Report {
        self.series.push((name, points));
        self
    }

    pub fn print(&self, as_json: bool) {
        if as_json {
            let points = |points: &[Vec<Figure>]| points.iter().map(|point| object(point)).collect::<Value>();
            let series = self.series.iter().map(|(name, all)| (name.to_string(), points(all)));
            let series: Map<String, Value> = series.collect();
            let (scenario, what, figures) = (self.scenario, &self.what, object(&self.figures));
            println!("{}", json!({ "scenario": scenario, "what": what, "figures": figures, "series": series }));
            return;
        }
        println!("{}: {}", self.scenario, self.what);
        for Figure { name, value, unit } in &self.figures {
            println!("  {name:<28} {:>12} {unit}", rounded(*value));
        }
        for (name, points) in &self.series {
            println!("  {name}");
            points.iter().for_each(|point| println!("    {}", line(point)));
        }
    }
}

fn object(figures: &[Figure]) -> Value {
    figures.iter().map(|figure| (figure.name.clone(), Value::from(figure.value))).collect()
}

fn line(point: &[Figure]) -> String {
    let figure = |Figure { name, value, unit }: &Figure| format!("{name} {} {unit}", rounded(*value));
    point.iter().map(figure).collect::<Vec<_>>().join(", ")
}

/// At least three digits, with separated thousands.
fn rounded(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.*}", if value < 10.0 { 2 } else { 1 });
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [(1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (1234.0, "1 234"), (1_234_567.0, "1 234 567")];
        for (value, text) in cases {
            assert_eq!(rounded(value), text);
        }
    }
}
